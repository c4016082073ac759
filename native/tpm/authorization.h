#pragma once

#include <functional>
#include <optional>

#include "tpm/objects.h"
#include "tpm/policy_session.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// A session that proves passwords (Part 1, 19.6), good for any number of commands. `salt_key` is a loaded
/// storage key, used here only, or ESYS_TR_NONE; with `encrypt`, parameters are encrypted.
SessionHandle StartHmacSession(ESYS_CONTEXT& esys, ESYS_TR salt_key, bool encrypt);

/// A session that a policy is to be satisfied in; it encrypts nothing. `salt_key` as above.
SessionHandle StartPolicySession(ESYS_CONTEXT& esys, ESYS_TR salt_key = ESYS_TR_NONE);

/// Who authorises the commands on a key and who encrypts their parameters: one HMAC session, used again and
/// again, a password in clear, or both (Part 1, 19 and 21). Where a policy authorises, the HMAC session only
/// encrypts: a policy session that did both would want the key's password for that (Part 1, 21.2).
class Authorization {
 public:
  /// A command with these sessions, the first of which authorises; gives the TPM's answer.
  using Use = std::function<TSS2_RC(ESYS_TR first, ESYS_TR second)>;

  /// `salt_key` is a loaded storage key, used here only; ESYS_TR_NONE for a session that encrypts nothing.
  /// `protection` and `policy` must outlive this; without a policy passwords authorise.
  Authorization(ESYS_CONTEXT& esys, const Protection& protection, ESYS_TR salt_key,
                const Policy* policy = nullptr);

  /// A command on the key itself. Throws Failure as PolicySession::Authorise does.
  TSS2_RC UseKey(ESYS_TR key, TPM2_CC command, const Use& use);
  /// From now on the password authorises.
  void ForgetPolicy() noexcept { policy_.reset(); }
  /// Whether a policy has a path for this command alone.
  bool Names(TPM2_CC command) const { return policy_ && policy_->Names(command); }

  /// The first session of a command on something else: authorises.
  ESYS_TR first() const noexcept { return in_clear_ ? ESYS_TR_PASSWORD : session_.get(); }
  /// The second: encrypts, when the first cannot.
  ESYS_TR second() const noexcept { return in_clear_ && encrypt_ ? session_.get() : ESYS_TR_NONE; }
  /// The HMAC session, whoever authorises; ESYS_TR_NONE where there is none.
  ESYS_TR session() const noexcept { return session_.get(); }

 private:
  bool in_clear_;
  bool encrypt_;
  SessionHandle session_;
  std::optional<PolicySession> policy_;
};

}  // namespace aws_hmac::tpm
