import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { type Pkcs11Login, pinBytes } from "../../../lib/keys/pkcs11/pin.js";
import { temporaryFolder } from "../../support/process.js";

const { folder, remove } = temporaryFolder("pin");
afterAll(remove);

let files = 0;

/** A file with this content and mode. */
function file(content: string | Uint8Array, mode = 0o600): string {
  const name = path.join(folder, `pin ${++files}`);
  writeFileSync(name, content);
  chmodSync(name, mode);
  return name;
}

async function read(pinSource: string): Promise<string | undefined> {
  return (await pinBytes({}, { pinSource }))?.toString("latin1");
}

async function refusal(pinSource: string): Promise<string> {
  const error: unknown = await pinBytes({}, { pinSource }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "AwsHmacError", code: "ERR_PIN_SOURCE" });
  return String(error);
}

describe("a PIN", () => {
  test("is taken from the first place that is given", async () => {
    process.env.AWS_HMAC_TEST_PIN = "variable";
    const pinEnv = "AWS_HMAC_TEST_PIN";
    const pinValue = (): Buffer => Buffer.from("value");
    const pinSource = file("file");
    const order: [Pkcs11Login, Parameters<typeof pinBytes>[1], string | undefined][] = [
      [{ pin: "string", pinEnv }, { pinSource }, "string"],
      [{ pin: () => "function", pinEnv }, { pinValue }, "function"],
      [{ pinEnv }, { pinSource }, "file"],
      [{ pinEnv }, { pinValue }, "value"],
      [{ pinEnv }, {}, "variable"],
      [{}, {}, undefined],
    ];
    for (const [options, uri, expected] of order) {
      expect((await pinBytes(options, uri))?.toString()).toBe(expected);
    }
    delete process.env.AWS_HMAC_TEST_PIN;
  });

  test("of a variable that is not set, or empty, is an error", async () => {
    process.env.AWS_HMAC_TEST_EMPTY = "";
    for (const pinEnv of ["AWS_HMAC_TEST_NO_SUCH", "AWS_HMAC_TEST_EMPTY"]) {
      await expect(pinBytes({ pinEnv }, {})).rejects.toMatchObject({
        code: "ERR_PIN_SOURCE",
        message: expect.stringContaining(pinEnv),
      });
    }
    await expect(pinBytes({ pinEnv: "" }, {})).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    delete process.env.AWS_HMAC_TEST_EMPTY;
  });

  test("of a function that gives none is an error", async () => {
    for (const given of [undefined, "", new Uint8Array(), 7]) {
      await expect(pinBytes({ pin: () => given as string }, {})).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
      });
    }
  });
});

describe("a PIN's file", () => {
  test("loses one newline at its end and nothing else", async () => {
    for (const [content, pin] of [
      ["1234", "1234"],
      ["1234\n", "1234"],
      ["1234\r\n", "1234"],
      ["1234\n\n", "1234\n"],
      [" 12 34 \n", " 12 34 "],
      ["\n12\r", "\n12\r"],
    ] as const) {
      expect(await read(file(content))).toBe(pin);
    }
    expect(await read(file(Buffer.of(0, 0xff, 0x0a)))).toBe("\0\xff");
  });

  test("is named by a path or a file URL", async () => {
    const name = file("1234");
    for (const source of [name, `file:${name}`, `file://${name}`]) expect(await read(source)).toBe("1234");
    const link = path.join(folder, "link");
    symlinkSync(name, link);
    expect(await read(link)).toBe("1234");
    for (const source of ["pin", "./pin", "file:pin", "//host/pin", "file://host/pin", "https://host/pin"]) {
      expect(await refusal(source)).toMatch(/file:\/path or an absolute path/);
    }
  });

  test("is no command", async () => {
    const trace = path.join(folder, "ran");
    expect(await refusal(`|touch ${trace}`)).toMatch(/a command is not run/);
    expect(await refusal(trace)).toMatch(/cannot open/);
  });

  test("is there, regular, not empty and not long", async () => {
    expect(await refusal(path.join(folder, "none"))).toMatch(/cannot open/);
    const sub = path.join(folder, "sub");
    mkdirSync(sub);
    expect(await refusal(sub)).toMatch(/no regular file/);
    expect(await refusal("/dev/null")).toMatch(/no regular file/);
    symlinkSync(path.join(folder, "none"), path.join(folder, "dangling"));
    expect(await refusal(path.join(folder, "dangling"))).toMatch(/cannot open/);
    for (const content of ["", "\n", "\r\n"]) expect(await refusal(file(content))).toMatch(/empty/);
    expect(await refusal(file("x".repeat(4097)))).toMatch(/more than 4096/);
    expect(await read(file("x".repeat(4096)))).toHaveLength(4096);
  });

  test("is no pipe: nobody waits for what may never come", async () => {
    const pipe = path.join(folder, "pipe");
    execFileSync("mkfifo", ["-m", "600", pipe]);
    expect(await refusal(pipe)).toMatch(/no regular file/);
    const link = path.join(folder, "link to a pipe");
    symlinkSync(pipe, link);
    expect(await refusal(link)).toMatch(/no regular file/);
    // One that somebody writes to is none either.
    const writer = openSync(pipe, constants.O_RDWR);
    writeSync(writer, "1234\n");
    expect(await refusal(pipe)).toMatch(/no regular file/);
    closeSync(writer);
  });

  test("is for its owner and group alone", async () => {
    for (const mode of [0o400, 0o440, 0o600, 0o640]) expect(await read(file("1234", mode))).toBe("1234");
    for (const mode of [0o644, 0o604, 0o660, 0o602, 0o601]) {
      expect(await refusal(file("1234", mode))).toMatch(/chmod o=,g-w/);
    }
  });

  if (process.getuid?.() === 0) {
    test("belongs to its reader or to root", async () => {
      const name = file("1234");
      const link = path.join(folder, "link to another's");
      symlinkSync(name, link); // root's own
      chownSync(name, 12345, 12345);
      for (const source of [name, link]) expect(await refusal(source)).toMatch(/belongs to another user/);
    });
  }
});
