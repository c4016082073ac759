import { SigningError } from "../core/errors.js";

/** @throws SigningError `ERR_INVALID_ARGUMENT` */
export function checkAccessKeyId(accessKeyId: unknown): void {
  if (typeof accessKeyId !== "string" || !/^[!-~]+$/.test(accessKeyId) || /[/,]/.test(accessKeyId)) {
    throw new SigningError(
      "ERR_INVALID_ARGUMENT",
      'accessKeyId must be printable ASCII without white space, "/" and ","',
    );
  }
}

/** @throws SigningError `ERR_SIGN_INPUT` for a string that has no UTF-8 form: half of a surrogate pair */
export function checkWellFormed(what: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw new SigningError("ERR_SIGN_INPUT", `${what} has a lone surrogate`);
}

/** @throws SigningError `ERR_REGION_MISSING`, `ERR_SIGV4A_UNSUPPORTED` */
export function checkRegion(region: unknown): string {
  if (region === "*") {
    throw new SigningError(
      "ERR_SIGV4A_UNSUPPORTED",
      'region "*" needs SigV4a, which derives from another key',
    );
  }
  if (typeof region !== "string" || region === "") {
    throw new SigningError(
      "ERR_REGION_MISSING",
      "region must be a string such as eu-central-1, or a function giving one",
    );
  }
  return region;
}
