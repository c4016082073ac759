import { AwsHmacError, SigningError } from "../core/errors.js";
import { invalid } from "../core/validate.js";
import { expiresIn, signingDate } from "./checks.js";
import { type PresignTerms, presignTerms } from "./fast-presigner.js";
import { inOrder } from "./in-order.js";
import type { PresignUrlItem, PresignUrlOptions, PresignUrlsOptions } from "./signer-options.js";
import type { Items } from "./source.js";

/**
 * A URL, with options of its own or without.
 *
 * @inline
 */
export type UrlItem = string | URL | PresignUrlItem;

/** The ways of a signer to presign URLs. */
export interface UrlPresigner {
  /** Those of `items` from index `from` on that go together at best speed; maybe none. */
  many(items: readonly unknown[], from: number, terms: PresignTerms): string[];
  /** Undefined where it takes waiting. */
  now(url: string | URL, terms: PresignTerms | undefined): string | undefined;
  later(url: string | URL, options: PresignUrlOptions): Promise<string>;
}

/**
 * The presigned URLs of `items`, in order.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_EXPIRES_IN`, `ERR_SIGN_INPUT` for options that no item could be signed with
 */
export function presignUrls(
  presigner: UrlPresigner,
  items: Items<UrlItem>,
  { signal, onError, ...options }: PresignUrlsOptions,
): AsyncGenerator<string, void, undefined> {
  checkItems(items);
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalid("signal must be an AbortSignal");
  if (onError !== undefined && typeof onError !== "function") throw invalid("onError must be a function");
  if (options.expiresIn !== undefined) expiresIn(options.expiresIn);
  if (options.signingDate !== undefined) signingDate(options.signingDate);
  const terms = presignTerms(options);
  return inOrder<UrlItem>(
    items,
    {
      now: (read, from) => {
        const presigned = terms ? presigner.many(read, from, terms) : [];
        if (presigned.length > 0) return presigned;
        const item = read[from] as UrlItem;
        const own = ownOptions(item, options);
        const text = presigner.now(urlOf(item), own === options ? terms : presignTerms(own));
        return text === undefined ? [] : [text];
      },
      later: (item) => presigner.later(urlOf(item), ownOptions(item, options)),
      failed: (reason, item, index) => {
        const error = itemError(reason, index);
        if (!onError || !(error instanceof SigningError) || error === reason) throw error;
        return onError(error, item, index) ?? undefined;
      },
    },
    signal,
  );
}

function checkItems(items: unknown): void {
  const isIterable =
    typeof items === "object" &&
    items !== null &&
    (Symbol.asyncIterator in items || Symbol.iterator in items);
  if (!isIterable)
    throw invalid("urls must be an iterable or an async iterable of URLs, such as an array or a stream");
}

function isOptions(item: UrlItem): item is PresignUrlItem {
  return typeof item === "object" && item !== null && !(item instanceof URL);
}

function urlOf(item: UrlItem): string | URL {
  return isOptions(item) ? item.url : item;
}

function ownOptions(item: UrlItem, options: PresignUrlOptions): PresignUrlOptions {
  if (!isOptions(item)) return options;
  const { url: _, ...own } = item;
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...options, ...Object.fromEntries(given) };
}

/** The error of an item that cannot be signed, with its index; what is no fault of the item as it is. */
function itemError(reason: unknown, index: number): unknown {
  const isFault =
    reason instanceof AwsHmacError && (reason.code === "ERR_SIGN_INPUT" || reason.code === "ERR_EXPIRES_IN");
  return isFault
    ? new SigningError(reason.code, `item ${index}: ${reason.message}`, { cause: reason })
    : reason;
}
