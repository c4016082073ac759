#pragma once

#include "tpm/authorization.h"
#include "tpm/objects.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// The two halves of a key that its parent protects.
struct Blobs {
  TPM2B_PUBLIC public_area;
  EsysPtr<TPM2B_PRIVATE> private_area;
};

/// A key's parent, in the TPM and allowed to load its keys, for a moment: with its session it takes two of
/// the TPM's few slots.
class LoadedParent {
 public:
  /// Makes the primary, or finds the persistent key. Passwords go the way that `protection` says of the
  /// key's own; `session` proves them, or a session of this parent's own. Throws Failure, ERR_TPM_PARENT if
  /// it is not there, ERR_TPM_AUTH for a wrong password.
  LoadedParent(ESYS_CONTEXT& esys, const Parent& parent, const Protection& protection,
               ESYS_TR session = ESYS_TR_NONE);

  /// The same with a salted, encrypting session of the caller's, which proves the passwords, and that of the
  /// hierarchy unless it may cross the bus in clear.
  LoadedParent(ESYS_CONTEXT& esys, const Parent& parent, ESYS_TR session, bool hierarchy_password_in_clear);

  ESYS_TR get() const noexcept { return object_.get(); }

  /// Throws Failure, ERR_TPM_PARENT if the key is not of this parent.
  Object Load(const TPM2B_PRIVATE& private_area, const TPM2B_PUBLIC& public_area) const;

  /// TPM2_Create of a key with these properties; the caller's session encrypts. Throws Failure.
  Blobs Create(const TPM2B_SENSITIVE_CREATE& secret, const TPM2B_PUBLIC& area) const;

  /// TPM2_Import of a key that was wrapped for this parent without an inner wrapper: its private half, which
  /// this parent loads. Throws Failure, ERR_TPM_PARENT where it was wrapped for another or altered,
  /// ERR_TPM_FILE_INVALID where its attributes forbid it.
  EsysPtr<TPM2B_PRIVATE> Import(const TPM2B_PUBLIC& area, const TPM2B_PRIVATE& duplicate,
                                const TPM2B_ENCRYPTED_SECRET& seed) const;

 private:
  void Find(ESYS_TR hierarchy_session);
  bool WantsPolicy() const;
  SessionHandle SatisfyEndorsementPolicy() const;
  template <typename EsysCall>
  TSS2_RC Use(EsysCall call) const;

  ESYS_CONTEXT& esys_;
  const Parent& parent_;
  SessionHandle own_session_;
  ESYS_TR session_;  // proves the passwords; ESYS_TR_PASSWORD where there are none, or where they go in clear
  bool encrypts_ = false;
  Object object_;
};

}  // namespace aws_hmac::tpm
