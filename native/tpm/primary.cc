#include "tpm/primary.h"

#include <algorithm>
#include <array>

#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

constexpr auto kEndorsementPolicy = std::to_array<uint8_t>(
    {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
     0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa});

constexpr TPMA_OBJECT kStorage = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                 TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                                 TPMA_OBJECT_DECRYPT;

bool IsRsa(Primary primary) { return primary == Primary::kStorageRsa || primary == Primary::kEkRsa; }
bool IsEk(Primary primary) { return primary == Primary::kEkEcc || primary == Primary::kEkRsa; }

void SetCipher(TPMT_SYM_DEF_OBJECT& cipher) {
  cipher.algorithm = TPM2_ALG_AES;
  cipher.keyBits.aes = 128;
  cipher.mode.aes = TPM2_ALG_CFB;
}

void SetRsa(TPMT_PUBLIC& key) {
  key.type = TPM2_ALG_RSA;
  TPMS_RSA_PARMS& parameters = key.parameters.rsaDetail;
  SetCipher(parameters.symmetric);
  parameters.scheme.scheme = TPM2_ALG_NULL;
  parameters.keyBits = 2048;
}

void SetEcc(TPMT_PUBLIC& key) {
  key.type = TPM2_ALG_ECC;
  TPMS_ECC_PARMS& parameters = key.parameters.eccDetail;
  SetCipher(parameters.symmetric);
  parameters.scheme.scheme = TPM2_ALG_NULL;
  parameters.curveID = TPM2_ECC_NIST_P256;
  parameters.kdf.scheme = TPM2_ALG_NULL;
}

TPM2B_PUBLIC TemplateOf(Primary primary) {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.nameAlg = TPM2_ALG_SHA256;
  IsRsa(primary) ? SetRsa(key) : SetEcc(key);
  if (!IsEk(primary)) {
    key.objectAttributes = kStorage | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;
    return area;
  }
  key.objectAttributes = kStorage | TPMA_OBJECT_ADMINWITHPOLICY;
  key.authPolicy.size = kEndorsementPolicy.size();
  std::ranges::copy(kEndorsementPolicy, key.authPolicy.buffer);
  // The low-range templates have a `unique` of zeros, as long as the key, not an empty one.
  if (IsRsa(primary)) {
    key.unique.rsa.size = 256;
  } else {
    key.unique.ecc.x.size = key.unique.ecc.y.size = 32;
  }
  return area;
}

const char* HierarchyName(ESYS_TR hierarchy) {
  switch (hierarchy) {
    case ESYS_TR_RH_ENDORSEMENT:
      return "endorsement";
    case ESYS_TR_RH_PLATFORM:
      return "platform";
    case ESYS_TR_RH_NULL:
      return "null";
    default:
      return "owner";
  }
}

}  // namespace

Object CreatePrimary(ESYS_CONTEXT& esys, ESYS_TR hierarchy, Primary primary, ESYS_TR session) {
  const TPM2B_PUBLIC area = TemplateOf(primary);
  const TPM2B_SENSITIVE_CREATE no_password{};
  const TPM2B_DATA nothing{};
  const TPML_PCR_SELECTION no_pcr{};
  ESYS_TR object = ESYS_TR_NONE;
  const TSS2_RC rc = Answer([&] {
    return Esys_CreatePrimary(&esys, hierarchy, session, ESYS_TR_NONE, ESYS_TR_NONE, &no_password, &area,
                              &nothing, &no_pcr, &object, nullptr, nullptr, nullptr, nullptr);
  });
  if (IsWrongAuth(rc)) {
    throw ToFailure(
        rc, "TPM2_CreatePrimary", "ERR_TPM_AUTH",
        std::string("the password of the TPM's ") + HierarchyName(hierarchy) +
            " hierarchy is wrong or was not given (option parentAuth.hierarchyPassword, or that of saltKey "
            "or duplicationSelect" +
            (hierarchy == ESYS_TR_RH_OWNER ? ", or ownerAuth of an import)" : ")"));
  }
  if (Answered(rc, TPM2_RC_HIERARCHY)) {
    throw ToFailure(rc, "TPM2_CreatePrimary", "ERR_TPM_PARENT",
                    std::string("the TPM's ") + HierarchyName(hierarchy) + " hierarchy is disabled");
  }
  Check(rc, "TPM2_CreatePrimary");
  return Object(esys, object);
}

bool WantsEndorsementPolicy(const TPMT_PUBLIC& key) {
  return (key.objectAttributes & TPMA_OBJECT_USERWITHAUTH) == 0 &&
         std::ranges::equal(std::span(key.authPolicy.buffer, key.authPolicy.size), kEndorsementPolicy);
}

}  // namespace aws_hmac::tpm
