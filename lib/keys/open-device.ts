import { Connection } from "../binding/connection.js";
import type { HmacKey } from "../core/hmac-key.js";
import { type DeviceBounds, DeviceKey } from "./device-key.js";

/** A key on a connection of its own, which `open` opens; where that fails the connection is given up. */
export async function openDevice(
  backend: string,
  bounds: DeviceBounds,
  open: (connection: Connection) => Promise<void>,
): Promise<HmacKey> {
  const connection = new Connection();
  try {
    await open(connection);
    return new DeviceKey(backend, connection, bounds);
  } catch (error) {
    await connection.close(0); // a device that hangs has had its time
    throw error;
  }
}
