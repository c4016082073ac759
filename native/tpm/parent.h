#pragma once

#include "tpm/authorization.h"
#include "tpm/objects.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// A key's parent, in the TPM and allowed to load its keys, for a moment: with its session it takes two of
/// the TPM's few slots.
class LoadedParent {
 public:
  /// Makes the primary, or finds the persistent key. Passwords go the way that `protection` says of the
  /// key's own. Throws Failure, ERR_TPM_PARENT if it is not there, ERR_TPM_AUTH for a wrong password.
  LoadedParent(ESYS_CONTEXT& esys, const Parent& parent, const Protection& protection);

  ESYS_TR get() const noexcept { return object_.get(); }

  /// Throws Failure, ERR_TPM_PARENT if the key is not of this parent.
  Object Load(const TPM2B_PRIVATE& private_area, const TPM2B_PUBLIC& public_area) const;

 private:
  ESYS_TR session() const noexcept { return session_ ? session_.get() : ESYS_TR_PASSWORD; }
  bool WantsPolicy() const;
  SessionHandle SatisfyEndorsementPolicy() const;

  ESYS_CONTEXT& esys_;
  const Parent& parent_;
  SessionHandle session_;  // proves the passwords; none where there are none, or where they go in clear
  Object object_;
};

}  // namespace aws_hmac::tpm
