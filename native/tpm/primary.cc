#include "tpm/primary.h"

#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

TPM2B_PUBLIC H2Template() {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.type = TPM2_ALG_ECC;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                         TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                         TPMA_OBJECT_DECRYPT;
  TPMS_ECC_PARMS& parameters = key.parameters.eccDetail;
  parameters.symmetric.algorithm = TPM2_ALG_AES;
  parameters.symmetric.keyBits.aes = 128;
  parameters.symmetric.mode.aes = TPM2_ALG_CFB;
  parameters.scheme.scheme = TPM2_ALG_NULL;
  parameters.curveID = TPM2_ECC_NIST_P256;
  parameters.kdf.scheme = TPM2_ALG_NULL;
  return area;
}

}  // namespace

Object CreatePrimary(ESYS_CONTEXT& esys, ESYS_TR hierarchy) {
  const TPM2B_PUBLIC area = H2Template();
  const TPM2B_SENSITIVE_CREATE no_password{};
  const TPM2B_DATA nothing{};
  const TPML_PCR_SELECTION no_pcr{};
  ESYS_TR primary = ESYS_TR_NONE;
  const TSS2_RC rc = Answer([&] {
    return Esys_CreatePrimary(&esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_password,
                              &area, &nothing, &no_pcr, &primary, nullptr, nullptr, nullptr, nullptr);
  });
  if (Answered(rc, TPM2_RC_BAD_AUTH) || Answered(rc, TPM2_RC_AUTH_FAIL)) {
    throw ToFailure(rc, "TPM2_CreatePrimary", "ERR_TPM_AUTH",
                    "the TPM's owner hierarchy has a password, which is not supported: use a persistent key");
  }
  Check(rc, "TPM2_CreatePrimary");
  return Object(esys, primary);
}

Object OpenParent(ESYS_CONTEXT& esys, TPM2_HANDLE parent) {
  if (parent == TPM2_RH_OWNER) return CreatePrimary(esys, ESYS_TR_RH_OWNER);
  if (parent >> TPM2_HR_SHIFT != TPM2_HT_PERSISTENT) {
    throw Failure(Api::kNone, "ERR_TPM_PARENT",
                  "a key's parent is the owner hierarchy or a persistent handle");
  }
  try {
    return FindPersistent(esys, parent);
  } catch (const Failure& failure) {
    if (!Answered(static_cast<TSS2_RC>(failure.number), TPM2_RC_HANDLE)) throw;
    throw ToFailure(static_cast<TSS2_RC>(failure.number), "TPM2_ReadPublic", "ERR_TPM_PARENT",
                    "the TPM does not have the key's parent");
  }
}

}  // namespace aws_hmac::tpm
