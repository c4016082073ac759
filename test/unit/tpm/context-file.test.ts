import { parseTpmContext } from "../../../lib/keys/tpm/context-file.js";

/** A context file: magic, version, hierarchy, savedHandle, sequence, blob with its length. */
const file = ({
  magic = "badcc0de",
  version = "00000001",
  handle = "80000000",
  blob = "0003aabbcc",
}): Buffer => Buffer.from(`${magic}${version}40000001${handle}0102030405060708${blob}`, "hex");

test("a context file becomes a TPMS_CONTEXT", () => {
  expect(Buffer.from(parseTpmContext(file({}))).toString("hex")).toBe(
    "0102030405060708" + "80000000" + "40000001" + "0003aabbcc",
  );
});

test.each([
  ["nothing", Buffer.alloc(0), "BADCC0DE"],
  ["another file", file({ magic: "00000000" }), "BADCC0DE"],
  ["another version", file({ version: "00000002" }), "version is 2"],
  ["a header alone", file({}).subarray(0, 8), "cut off"],
  ["a cut", file({}).subarray(0, -1), "cut off"],
  ["bytes in the end", Buffer.concat([file({}), Buffer.of(0)]), "too long"],
  ["a session", file({ handle: "02000000" }), "a session"],
])("refuses %s", (_what, bytes, message) => {
  expect(() => parseTpmContext(bytes)).toThrow(
    expect.objectContaining({ code: "ERR_TPM_FILE_INVALID", message: expect.stringContaining(message) }),
  );
});
