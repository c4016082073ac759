import { Crc32, Crc32c, Crc64Nvme } from "@aws-sdk/checksums/crc";
import { Sha1, Sha256 } from "@aws-sdk/checksums/sha";
import type { Checksum } from "@smithy/types";
import { SigningError } from "../core/errors.js";

/** The checksums that S3 takes as a trailer, each with the length of its digest in bytes. */
const algorithms = {
  crc32: { Digest: Crc32, length: 4 },
  crc32c: { Digest: Crc32c, length: 4 },
  crc64nvme: { Digest: Crc64Nvme, length: 8 },
  sha1: { Digest: Sha1, length: 20 },
  sha256: { Digest: Sha256, length: 32 },
} as const;

/**
 * A checksum over the whole body, sent behind it.
 *
 * @useDeclaredType
 */
export type ChunkTrailer = keyof typeof algorithms;

/** A trailer as it is announced: its header's name, the length of its value in characters, and its computation. */
export interface TrailerPlan {
  readonly name: string;
  readonly valueLength: number;
  /** A new computation, of no bytes yet. */
  start(): Checksum;
}

/** @throws SigningError `ERR_INVALID_ARGUMENT` */
export function trailerPlan(algorithm: ChunkTrailer): TrailerPlan {
  if (!Object.hasOwn(algorithms, algorithm)) {
    throw new SigningError(
      "ERR_INVALID_ARGUMENT",
      `trailer must be one of ${Object.keys(algorithms).join(", ")}`,
    );
  }
  const { Digest, length } = algorithms[algorithm];
  return {
    name: `x-amz-checksum-${algorithm}`,
    valueLength: Math.ceil(length / 3) * 4,
    start: () => new Digest(),
  };
}
