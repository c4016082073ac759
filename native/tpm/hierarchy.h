#pragma once

#include <tss2/tss2_esys.h>

#include <cstdint>

#include "core/secret_bytes.h"

namespace aws_hmac::tpm {

/// A hierarchy whose password ESYS knows for as long as this lives.
class OpenHierarchy {
 public:
  /// `handle` is a permanent one, TPM_RH_OWNER, …_ENDORSEMENT, …_PLATFORM, …_LOCKOUT or …_NULL. Throws
  /// Failure, ERR_TPM_PARENT for any other.
  OpenHierarchy(ESYS_CONTEXT& esys, uint32_t handle, const SecretBytes& password);
  OpenHierarchy(const OpenHierarchy&) = delete;
  OpenHierarchy& operator=(const OpenHierarchy&) = delete;
  ~OpenHierarchy();

  ESYS_TR get() const noexcept { return hierarchy_; }

 private:
  ESYS_CONTEXT& esys_;
  ESYS_TR hierarchy_;
};

}  // namespace aws_hmac::tpm
