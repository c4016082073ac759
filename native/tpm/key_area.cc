#include "tpm/key_area.h"

#include <tss2/tss2_mu.h>

#include <string>

#include "tpm/response_code.h"

namespace aws_hmac::tpm {
namespace {

template <typename Area, auto kMarshal>
Bytes MarshalWith(const Area& area, const char* call) {
  Bytes bytes(sizeof area);
  size_t size = 0;
  Check(kMarshal(&area, bytes.data(), bytes.size(), &size), call);
  bytes.resize(size);
  return bytes;
}

template <typename Area, auto kUnmarshal>
Area UnmarshalWith(const Bytes& bytes, const char* structure) {
  Area area{};
  size_t used = 0;
  if (kUnmarshal(bytes.data(), bytes.size(), &used, &area) != TSS2_RC_SUCCESS || used != bytes.size()) {
    throw Failure(Api::kNone, "ERR_TPM_FILE_INVALID",
                  std::string("the key file holds no valid ") + structure);
  }
  return area;
}

Failure Unsuitable(const char* why) {
  return Failure(Api::kNone, "ERR_KEY_UNSUITABLE", std::string("this TPM key is ") + why);
}

}  // namespace

TPM2B_PUBLIC HmacKeyTemplate(bool no_da) {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.type = TPM2_ALG_KEYEDHASH;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes =
      TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT;
  if (no_da) key.objectAttributes |= TPMA_OBJECT_NODA;
  key.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
  key.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256;
  return area;
}

void RequireHmacSha256(const TPMT_PUBLIC& key) {
  if (key.type != TPM2_ALG_KEYEDHASH) throw Unsuitable("no HMAC key (its type is not keyedHash)");
  const TPMT_KEYEDHASH_SCHEME& scheme = key.parameters.keyedHashDetail.scheme;
  if ((key.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) == 0 || scheme.scheme != TPM2_ALG_HMAC) {
    throw Unsuitable("no HMAC key (it seals data, or is not for signing)");
  }
  if (scheme.details.hmac.hashAlg != TPM2_ALG_SHA256) throw Unsuitable("an HMAC key, but not with SHA-256");
  if ((key.objectAttributes & TPMA_OBJECT_RESTRICTED) != 0) {
    throw Unsuitable("restricted, so it does not sign messages from outside");
  }
}

void RequireHmacKey(const TPMT_PUBLIC& key) {
  RequireHmacSha256(key);
  if ((key.objectAttributes & TPMA_OBJECT_USERWITHAUTH) == 0) {
    throw Failure(Api::kNone, "ERR_TPM_POLICY",
                  "this TPM key is used with a policy alone, not with a password");
  }
}

Bytes Marshal(const TPM2B_PUBLIC& area) {
  return MarshalWith<TPM2B_PUBLIC, Tss2_MU_TPM2B_PUBLIC_Marshal>(area, "Tss2_MU_TPM2B_PUBLIC_Marshal");
}

Bytes Marshal(const TPM2B_PRIVATE& area) {
  return MarshalWith<TPM2B_PRIVATE, Tss2_MU_TPM2B_PRIVATE_Marshal>(area, "Tss2_MU_TPM2B_PRIVATE_Marshal");
}

TPM2B_PUBLIC UnmarshalPublic(const Bytes& bytes) {
  return UnmarshalWith<TPM2B_PUBLIC, Tss2_MU_TPM2B_PUBLIC_Unmarshal>(bytes, "TPM2B_PUBLIC");
}

TPM2B_PRIVATE UnmarshalPrivate(const Bytes& bytes) {
  return UnmarshalWith<TPM2B_PRIVATE, Tss2_MU_TPM2B_PRIVATE_Unmarshal>(bytes, "TPM2B_PRIVATE");
}

TPM2B_ENCRYPTED_SECRET UnmarshalSeed(const Bytes& bytes) {
  return UnmarshalWith<TPM2B_ENCRYPTED_SECRET, Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal>(
      bytes, "TPM2B_ENCRYPTED_SECRET");
}

}  // namespace aws_hmac::tpm
