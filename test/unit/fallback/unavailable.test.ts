import { connect } from "node:net";
import {
  AwsHmacError,
  CredentialsError,
  type ErrorCode,
  errorCodes,
  Pkcs11Error,
  TpmError,
} from "../../../lib/index.js";
import { isUnavailable } from "../../../lib/keys/fallback/unavailable.js";
import { freePorts } from "../../support/ports.js";

const tpm = { rc: 0x922, rcName: "TPM_RC_RETRY", operation: "TPM2_HMAC" };

test.each<[string, unknown]>([
  ["what may be retried", new TpmError("ERR_TPM_BUSY", "busy", { ...tpm, retryable: true })],
  ["a time that is over", new AwsHmacError("ERR_TIMEOUT", "late", { retryable: true })],
  [
    "a device that failed, which does not mend itself",
    new Pkcs11Error("ERR_PKCS11_DEVICE", "failed", {
      rv: 5,
      rvName: "CKR_GENERAL_ERROR",
      operation: "C_Sign",
    }),
  ],
  ["a foreign error that may be retried", Object.assign(new Error("away"), { retryable: true })],
  ["AbortSignal.timeout", new DOMException("late", "TimeoutError")],
  ["a connection's", Object.assign(new Error("away"), { code: "ECONNRESET" })],
  ["what one caused", new Error("away", { cause: new Error("?", { cause: { code: "ENOTFOUND" } }) })],
])("unavailable: %s", (_, error) => {
  expect(isUnavailable(error)).toBe(true);
});

test("unavailable: what Node's own clients say of a server that is not there", async () => {
  const port = await freePorts(1);
  expect(isUnavailable(await fetch(`http://127.0.0.1:${port}`).catch((error) => error))).toBe(true);
  const broken = await new Promise((resolve) => connect(port, "127.0.0.1").once("error", resolve));
  expect(isUnavailable(broken)).toBe(true);
});

test.each<[string, unknown]>([
  ["of ours, whatever caused it", new AwsHmacError("ERR_INTERNAL", "?", { cause: { code: "ECONNRESET" } })],
  ["a foreign error that says nothing", new Error("something is wrong")],
  ["an abort", new DOMException("stop", "AbortError")],
  ["a file's", Object.assign(new Error("no such file"), { code: "ENOENT" })],
  ["no error", undefined],
  ["a string", "ECONNREFUSED"],
  ["a ring of causes", ring()],
])("a refusal: %s", (_, error) => {
  expect(isUnavailable(error)).toBe(false);
});

function ring(): Error {
  const error = new Error("?");
  error.cause = error;
  return error;
}

// What each code is where its error does not say `retryable`: a new one is a refusal until it is put here.
test("our codes that mean unavailable in themselves", () => {
  const unavailable = errorCodes.filter((code: ErrorCode) => isUnavailable(new CredentialsError(code, "?")));
  expect(unavailable).toEqual([
    "ERR_TPM_DEVICE_NOT_FOUND",
    "ERR_TPM_DEVICE_BUSY",
    "ERR_TPM_LOCKOUT",
    "ERR_TPM_STATE",
    "ERR_MODULE_FAILED",
    "ERR_TOKEN_NOT_FOUND",
    "ERR_PKCS11_DEVICE",
  ]);
});
