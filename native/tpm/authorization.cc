#include "tpm/authorization.h"

#include <algorithm>

#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

SessionHandle StartSession(ESYS_CONTEXT& esys, TPM2_SE kind, ESYS_TR salt_key, bool encrypt) {
  TPMT_SYM_DEF cipher{};
  cipher.algorithm = TPM2_ALG_AES;
  cipher.keyBits.aes = 128;
  cipher.mode.aes = TPM2_ALG_CFB;
  ESYS_TR session = ESYS_TR_NONE;
  Command("TPM2_StartAuthSession", [&] {
    return Esys_StartAuthSession(&esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 nullptr, kind, &cipher, TPM2_ALG_SHA256, &session);
  });
  SessionHandle owned(esys, session);
  // ESYS drops decrypt or encrypt by itself where a command has nothing to encrypt in that direction.
  const TPMA_SESSION crypt = encrypt ? TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT : 0;
  Check(Esys_TRSess_SetAttributes(&esys, session, TPMA_SESSION_CONTINUESESSION | crypt, 0xff),
        "Esys_TRSess_SetAttributes");
  return owned;
}

// An empty password has nothing to hide.
bool InClear(const Protection& protection) {
  return protection.password_in_clear || (protection.password.empty() && !protection.encrypt);
}

bool ProvesSecrets(const Policy& policy) {
  return std::ranges::any_of(policy.paths, [](const PolicyPath& path) {
    return std::ranges::any_of(
        path.steps, [](const PolicyStep& step) { return std::holds_alternative<PolicySecret>(step); });
  });
}

}  // namespace

SessionHandle StartHmacSession(ESYS_CONTEXT& esys, ESYS_TR salt_key, bool encrypt) {
  return StartSession(esys, TPM2_SE_HMAC, salt_key, encrypt);
}

SessionHandle StartPolicySession(ESYS_CONTEXT& esys, ESYS_TR salt_key) {
  return StartSession(esys, TPM2_SE_POLICY, salt_key, false);
}

Authorization::Authorization(ESYS_CONTEXT& esys, const Protection& protection, ESYS_TR salt_key,
                             const Policy* policy)
    : in_clear_(InClear(protection)), encrypt_(protection.encrypt) {
  if (encrypt_ || !in_clear_ || (policy != nullptr && ProvesSecrets(*policy))) {
    session_ = StartHmacSession(esys, salt_key, encrypt_);
  }
  if (policy == nullptr) return;
  // A password that is sent needs no salt to hide its proof.
  policy_.emplace(esys, *policy, protection.password.span(), protection.password_in_clear, session_.get(),
                  protection.password_in_clear ? ESYS_TR_NONE : salt_key);
}

TSS2_RC Authorization::UseKey(ESYS_TR key, TPM2_CC command, const Use& use) {
  if (!policy_) return Answer([&] { return use(first(), second()); });
  const ESYS_TR encrypts = encrypt_ ? session_.get() : ESYS_TR_NONE;
  return policy_->Authorise(key, command,
                            [&](ESYS_TR policy) { return Answer([&] { return use(policy, encrypts); }); });
}

}  // namespace aws_hmac::tpm
