import { isAnyArrayBuffer } from "node:util/types";

/** Watches which buffers are made over an ArrayBuffer of zeros, as `secretBuffer` makes them; the result ends that and gives them. */
export function watchSecretBuffers(): () => Buffer[] {
  const made: Buffer[] = [];
  const from = Buffer.from.bind(Buffer) as (...args: unknown[]) => Buffer;
  const spy = jest.spyOn(Buffer, "from").mockImplementation(((...args: unknown[]) => {
    const buffer = from(...args);
    if (isAnyArrayBuffer(args[0]) && buffer.every((byte) => byte === 0)) made.push(buffer);
    return buffer;
  }) as typeof Buffer.from);
  return () => {
    spy.mockRestore();
    return made;
  };
}
