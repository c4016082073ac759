#pragma once

#include <tss2/tss2_esys.h>

#include <functional>
#include <map>

#include "core/failure.h"
#include "tpm/objects.h"
#include "tpm/policy.h"
#include "tpm/policy_signature.h"

namespace aws_hmac::tpm {

/// Whether a failure says that a policy cannot be satisfied now, by no path.
bool IsUnsatisfied(const Failure& failure);

/// A policy, and the one session in which it is satisfied again for each command.
class PolicySession {
 public:
  /// A command that the policy session authorises; gives the TPM's answer.
  using Use = std::function<TSS2_RC(ESYS_TR policy_session)>;

  /// `hmac_session` proves the passwords of TPM2_PolicySecret. `salt_key` is a loaded storage key, used here
  /// only, or ESYS_TR_NONE. What is referred to must outlive this.
  PolicySession(ESYS_CONTEXT& esys, const Policy& policy, std::span<const uint8_t> key_password,
                bool password_in_clear, ESYS_TR hmac_session, ESYS_TR salt_key);

  /// Satisfies the policy by the first path that works, directly before the command; gives the command's
  /// answer. Throws Failure: ERR_POLICY_UNSATISFIED that names each path and why, ERR_TPM_AUTH for a wrong
  /// password, which is not sent again on another path.
  TSS2_RC Authorise(ESYS_TR key, TPM2_CC command, const Use& use);

  /// Whether some path is for this command alone.
  bool Names(TPM2_CC command) const;

 private:
  TSS2_RC Take(const PolicyPath& path, ESYS_TR key, TPM2_CC command, const Use& use);
  void Restart();

  void Satisfy(const PolicyPcr& step);
  void Satisfy(const PolicyAuthValue& step);
  void Satisfy(const PolicySecret& step);
  void Satisfy(const PolicyAuthorize& step);
  void Satisfy(const PolicyCommandCode& step);
  void Satisfy(const PolicyOr& step);
  void Satisfy(const PolicyNever& step);
  void ProveSecret(const PolicySecret& step, ESYS_TR object);

  ESYS_CONTEXT& esys_;
  const Policy& policy_;
  std::span<const uint8_t> key_password_;
  bool password_in_clear_;
  ESYS_TR hmac_session_;
  SessionHandle session_;
  bool is_fresh_ = true;
  std::map<const PolicyAuthorize*, ApprovedPolicy> approved_;  // so that a signature is verified once
};

}  // namespace aws_hmac::tpm
