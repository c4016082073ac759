#include "tpm/key_area.h"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "tpm/response_code.h"
#include "tpm/sized.h"

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

Failure WrongPolicy(const std::string& why) { return Failure(Api::kNone, "ERR_TPM_POLICY", why); }

// A policy's digest is of the name algorithm (Part 1, 19.7); the sessions of ours are of SHA-256.
bool HasSha256Policy(const TPMT_PUBLIC& key) {
  return key.nameAlg == TPM2_ALG_SHA256 && key.authPolicy.size == TPM2_SHA256_DIGEST_SIZE;
}

std::string Hex(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace

TPM2B_PUBLIC HmacKeyTemplate(bool no_da, const Bytes& policy_digest) {
  TPM2B_PUBLIC area{};
  TPMT_PUBLIC& key = area.publicArea;
  key.type = TPM2_ALG_KEYEDHASH;
  key.nameAlg = TPM2_ALG_SHA256;
  key.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SIGN_ENCRYPT;
  key.authPolicy = Sized<TPM2B_DIGEST>(policy_digest);
  // With both, a password would be enough whatever the policy says.
  if (policy_digest.empty()) key.objectAttributes |= TPMA_OBJECT_USERWITHAUTH;
  if (no_da) key.objectAttributes |= TPMA_OBJECT_NODA;
  key.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_HMAC;
  key.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256;
  return area;
}

void RequireHmacKey(const TPMT_PUBLIC& key) {
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

bool HasUse(const TPMT_PUBLIC& key) {
  return (key.objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0 || HasSha256Policy(key);
}

void RequirePolicy(const TPMT_PUBLIC& key, const Policy* policy) {
  if (!HasUse(key))
    throw WrongPolicy("this TPM key can be used neither with a password nor with a SHA-256 policy");
  if (policy == nullptr) {
    if ((key.objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0) return;
    throw WrongPolicy("this TPM key is used with a policy, not with a password alone: give option policy");
  }
  if (!HasSha256Policy(key)) {
    throw WrongPolicy("this TPM key has no policy of SHA-256: leave option policy out");
  }
  const std::span wanted(key.authPolicy.buffer, key.authPolicy.size);
  if (policy->digest.empty() || std::ranges::equal(policy->digest, wanted)) return;
  throw WrongPolicy("option policy is not the policy of this TPM key: its digest is " + Hex(policy->digest) +
                    ", the key's " + Hex(wanted) +
                    "; PCRs without a digest in it count with the values that they have now");
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
