#pragma once

#include "tpm/objects.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// The owner hierarchy: decides what is persistent. ESYS knows its password for as long
/// as this lives.
class Owner {
 public:
  /// `session` is an HMAC session: it proves the password unless that may cross the bus in clear, and always
  /// the names of the objects that are meant. Throws Failure.
  Owner(ESYS_CONTEXT& esys, const OwnerAuth& auth, ESYS_TR session);
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner();

  /// Keeps a key at this handle, or at the first free one for kFirstFreeHandle; gives the handle. Throws
  /// Failure: ERR_TPM_HANDLE_IN_USE, and nothing changed, where it is taken.
  TPM2_HANDLE MakePersistent(const Object& key, TPM2_HANDLE wanted) const;
  /// Removes a persistent object, which must still be the one that was looked at. Throws Failure,
  /// ERR_KEY_NOT_FOUND where another is there now.
  void Evict(const Object& persistent, TPM2_HANDLE handle) const;

 private:
  bool WasReplaced(const Object& persistent) const;
  bool TryMakePersistent(const Object& key, TPM2_HANDLE handle) const;
  TSS2_RC EvictControl(const Object& object, TPM2_HANDLE handle) const;

  ESYS_CONTEXT& esys_;
  ESYS_TR session_;
  bool in_clear_;
};

/// Throws Failure, ERR_TPM_HANDLE_IN_USE, where something is at the handle; of kFirstFreeHandle nothing is
/// known.
void RequireFree(ESYS_CONTEXT& esys, TPM2_HANDLE wanted);

}  // namespace aws_hmac::tpm
