#pragma once

#include <optional>
#include <span>

#include "core/secret_bytes.h"
#include "tpm/authorization.h"

namespace aws_hmac::tpm {

/// Computes HMACs with one loaded key.
class MacCommands {
 public:
  /// Asks the TPM what it can do. Throws Failure.
  explicit MacCommands(ESYS_CONTEXT& esys);

  /// HMAC-SHA256 of a message of any length. Throws Failure.
  Mac Compute(ESYS_TR key, Authorization& authorization, std::span<const uint8_t> message);

 private:
  std::optional<Mac> Single(ESYS_TR key, Authorization& authorization, std::span<const uint8_t> message);
  Mac Sequence(ESYS_TR key, Authorization& authorization, std::span<const uint8_t> message);

  ESYS_CONTEXT& esys_;
  size_t chunk_;   // bytes that one command takes
  bool has_hmac_;  // some TPMs have sequences only
};

}  // namespace aws_hmac::tpm
