#include "pkcs11/template.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

// All false. A generic secret encrypts and wraps nothing whatever they say; CKA_DERIVE is looked at
// afterwards.
constexpr auto kOptional = std::to_array<CK_ATTRIBUTE_TYPE>(
    {CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE});
constexpr unsigned kSubsets = 1U << kOptional.size();

// Whether to leave out what the bits say. Modules judge a template before they do anything, so that refusals
// cost little; but one that refuses keys altogether need not be asked 64 times.
bool IsTried(unsigned subset) { return std::popcount(subset) <= 2 || subset == kSubsets - 1; }

// Bit sets of what to leave out, the smallest first.
std::array<unsigned, kSubsets> FewestFirst() {
  std::array<unsigned, kSubsets> subsets{};
  std::iota(subsets.begin(), subsets.end(), 0U);
  std::ranges::stable_sort(subsets, {}, [](unsigned subset) { return std::popcount(subset); });
  return subsets;
}

}  // namespace

bool DislikesTemplate(CK_RV rv) {
  return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
         rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT;
}

NewKey MakeKey(const MakeObject& make, const char* call, CK_KEY_TYPE type, std::string& label, Bytes& id) {
  CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  std::vector<CK_ATTRIBUTE> protecting{
      {CKA_CLASS, &secret_key, sizeof secret_key},
      {CKA_KEY_TYPE, &type, sizeof type},
      {CKA_LABEL, label.data(), label.size()},
      {CKA_TOKEN, &yes, sizeof yes},
      {CKA_PRIVATE, &yes, sizeof yes},
      {CKA_SENSITIVE, &yes, sizeof yes},
      {CKA_EXTRACTABLE, &no, sizeof no},
      {CKA_SIGN, &yes, sizeof yes},
  };
  if (!id.empty()) protecting.push_back({CKA_ID, id.data(), id.size()});
  CK_RV rv = CKR_OK;
  for (const unsigned without : FewestFirst()) {
    if (!IsTried(without)) continue;
    NewKey key{};
    std::vector<CK_ATTRIBUTE> attributes = protecting;
    for (size_t i = 0; i < kOptional.size(); i++) {
      if ((without >> i & 1U) != 0) {
        key.left_out.push_back(kOptional[i]);
      } else {
        attributes.push_back({kOptional[i], &no, sizeof no});
      }
    }
    rv = make(attributes, &key.object);
    if (rv == CKR_OK) return key;
    if (!DislikesTemplate(rv)) break;
  }
  throw CallFailed(rv, call);
}

}  // namespace aws_hmac::pkcs11
