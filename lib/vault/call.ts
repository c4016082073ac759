import type { VaultData } from "./json.js";

/** One call of the HTTP API. */
export interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  /** Behind /v1/. */
  readonly path: string;
  /** JSON. */
  readonly body: Buffer | undefined;
  /** Members of the answer whose strings are given as Buffers. */
  readonly secrets: readonly string[];
  /** Whether doing it twice is the same as once. Otherwise it is repeated only where it was surely not done. */
  readonly repeatable: boolean;
}

/** How long a call may take. */
export interface Bound {
  readonly signal: AbortSignal;
  /** Milliseconds since 1970: what would wait longer is not waited for. */
  readonly end: number;
}

export interface Answer {
  readonly status: number;
  /** Undefined of an empty answer. */
  readonly json: VaultData | undefined;
  /** The server's own words about an error. */
  readonly said: string;
  /** Milliseconds that the server asks to wait. */
  readonly retryAfter: number | undefined;
}

export const operationOf = ({ method, path }: Pick<Call, "method" | "path">): string => `${method} ${path}`;
