import { Connection } from "./connection.js";

/** Does something on a device connection of its own, which is closed, within `timeout` milliseconds, before it returns. */
export async function withConnection<T>(
  timeout: number,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = new Connection();
  try {
    const result = await use(connection);
    await connection.close(timeout);
    return result;
  } catch (error) {
    await connection.close(0); // a device that hangs has had its time
    throw error;
  }
}
