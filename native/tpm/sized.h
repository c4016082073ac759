#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/failure.h"

namespace aws_hmac::tpm {

/// Bytes as a TPM2B_DIGEST or TPM2B_NONCE. Throws Failure, ERR_INTERNAL if there are too many.
template <typename Structure>
Structure Sized(std::span<const uint8_t> bytes) {
  Structure structure{};
  if (bytes.size() > sizeof structure.buffer) {
    throw Failure(Api::kNone, "ERR_INTERNAL", "a digest is longer than any of a TPM");
  }
  structure.size = static_cast<uint16_t>(bytes.size());
  std::ranges::copy(bytes, structure.buffer);
  return structure;
}

}  // namespace aws_hmac::tpm
