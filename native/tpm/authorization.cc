#include "tpm/authorization.h"

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

}  // namespace

SessionHandle StartHmacSession(ESYS_CONTEXT& esys, ESYS_TR salt_key, bool encrypt) {
  return StartSession(esys, TPM2_SE_HMAC, salt_key, encrypt);
}

SessionHandle StartPolicySession(ESYS_CONTEXT& esys) {
  return StartSession(esys, TPM2_SE_POLICY, ESYS_TR_NONE, false);
}

Authorization::Authorization(ESYS_CONTEXT& esys, const Protection& protection, ESYS_TR salt_key)
    : in_clear_(InClear(protection)) {
  if (protection.encrypt || !in_clear_) session_ = StartHmacSession(esys, salt_key, protection.encrypt);
}

}  // namespace aws_hmac::tpm
