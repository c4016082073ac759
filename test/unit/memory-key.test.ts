import { randomBytes } from "node:crypto";
import { insecureMemoryKey } from "../../lib/keys/memory.js";

test("a secret that came as a string leaves no copy in Buffer's pool", () => {
  const secret = randomBytes(30).toString("base64");
  const pool = (): Buffer => Buffer.from(Buffer.from("x").buffer);
  const before = pool();
  insecureMemoryKey(secret);
  expect([before, pool()].map((bytes) => bytes.includes(secret))).toEqual([false, false]);
});

test.each([undefined, 5, {}, "", "with space", "newline\n"])("refuses %j", (wrong) => {
  expect(() => insecureMemoryKey(wrong as string)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
});
