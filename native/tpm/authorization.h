#pragma once

#include "tpm/objects.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// A session that proves passwords (Part 1, 19.6), good for any number of commands. `salt_key` is a loaded
/// storage key, used here only, or ESYS_TR_NONE; with `encrypt`, parameters are encrypted.
SessionHandle StartHmacSession(ESYS_CONTEXT& esys, ESYS_TR salt_key, bool encrypt);

/// A session that a policy is to be satisfied in.
SessionHandle StartPolicySession(ESYS_CONTEXT& esys);

/// Who authorises the commands on a key and who encrypts their parameters: one HMAC session, used again and
/// again, a password in clear, or both (Part 1, 19 and 21).
class Authorization {
 public:
  /// `salt_key` is a loaded storage key, used here only; ESYS_TR_NONE for a session that encrypts nothing.
  Authorization(ESYS_CONTEXT& esys, const Protection& protection, ESYS_TR salt_key);

  /// The first session of a command: authorises.
  ESYS_TR first() const noexcept { return in_clear_ ? ESYS_TR_PASSWORD : session_.get(); }
  /// The second: encrypts, when the first cannot.
  ESYS_TR second() const noexcept { return in_clear_ ? session_.get() : ESYS_TR_NONE; }
  /// The HMAC session, whoever authorises; ESYS_TR_NONE where there is none.
  ESYS_TR session() const noexcept { return session_.get(); }

 private:
  bool in_clear_;
  SessionHandle session_;
};

}  // namespace aws_hmac::tpm
