#pragma once

#include "tpm/objects.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// The owner hierarchy: makes primaries and decides what is persistent. ESYS knows its password for as long
/// as this lives.
class Owner {
 public:
  /// `session` is an HMAC session: it proves the password unless that may cross the bus in clear. Throws
  /// Failure.
  Owner(ESYS_CONTEXT& esys, const OwnerAuth& auth, ESYS_TR session);
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner();

  /// The H-2 primary. Throws Failure.
  Object CreatePrimary() const;
  /// False, and nothing changed, where the handle is taken. Throws Failure.
  bool MakePersistent(const Object& key, TPM2_HANDLE handle) const;
  /// Removes a persistent object, which must still be the one that was looked at. Throws Failure.
  void Evict(const Object& persistent, TPM2_HANDLE handle) const;

 private:
  TSS2_RC EvictControl(const Object& object, TPM2_HANDLE handle) const;

  ESYS_CONTEXT& esys_;
  ESYS_TR authorization_;
};

}  // namespace aws_hmac::tpm
