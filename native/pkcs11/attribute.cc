#include "pkcs11/attribute.h"

#include <algorithm>
#include <array>

#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

struct Named {
  CK_ATTRIBUTE_TYPE type;
  const char* name;
};

#define ROW(type) type, #type
constexpr auto kFlags = std::to_array<Named>({{ROW(CKA_TOKEN)},
                                              {ROW(CKA_PRIVATE)},
                                              {ROW(CKA_MODIFIABLE)},
                                              {ROW(CKA_SENSITIVE)},
                                              {ROW(CKA_ALWAYS_SENSITIVE)},
                                              {ROW(CKA_EXTRACTABLE)},
                                              {ROW(CKA_NEVER_EXTRACTABLE)},
                                              {ROW(CKA_LOCAL)},
                                              {ROW(CKA_SIGN)},
                                              {ROW(CKA_VERIFY)},
                                              {ROW(CKA_ENCRYPT)},
                                              {ROW(CKA_DECRYPT)},
                                              {ROW(CKA_WRAP)},
                                              {ROW(CKA_UNWRAP)},
                                              {ROW(CKA_DERIVE)}});
#undef ROW

// An attribute that the token does not tell is one thing; that somebody logged out just now is another, for
// which SoftHSM has several words.
void CheckObject(CK_RV rv) {
  if (Describe(rv).stale) throw CallFailed(rv, "C_GetAttributeValue");
}

}  // namespace

std::optional<bool> Flag(const Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_BBOOL value = CK_FALSE;
  CK_ATTRIBUTE attribute{type, &value, sizeof value};
  const CK_RV rv = session->C_GetAttributeValue(session.handle(), object, &attribute, 1);
  CheckObject(rv);
  return rv == CKR_OK && attribute.ulValueLen == sizeof value ? std::optional(value != CK_FALSE)
                                                              : std::nullopt;
}

std::optional<CK_ULONG> Number(const Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_ULONG value = 0;
  CK_ATTRIBUTE attribute{type, &value, sizeof value};
  const CK_RV rv = session->C_GetAttributeValue(session.handle(), object, &attribute, 1);
  CheckObject(rv);
  return rv == CKR_OK ? std::optional(value) : std::nullopt;
}

Bytes Attribute(const Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  CK_ATTRIBUTE attribute{type, nullptr, 0};
  CK_RV rv = session->C_GetAttributeValue(session.handle(), object, &attribute, 1);
  if (rv != CKR_OK || attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION) return {};
  Bytes value(attribute.ulValueLen);
  attribute.pValue = value.data();
  rv = session->C_GetAttributeValue(session.handle(), object, &attribute, 1);
  return rv == CKR_OK ? value : Bytes{};
}

std::string NameOfAttribute(CK_ATTRIBUTE_TYPE type) {
  const auto found = std::ranges::find(kFlags, type, &Named::type);
  return found == kFlags.end() ? std::to_string(type) : found->name;
}

std::vector<std::string> NamesOfFlags(const Session& session, CK_OBJECT_HANDLE object) {
  std::vector<std::string> names;
  for (const auto& [type, name] : kFlags) {
    if (Flag(session, object, type) == true) names.emplace_back(name);
  }
  return names;
}

std::string Hex(const Bytes& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const uint8_t byte : bytes) hex.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return hex;
}

}  // namespace aws_hmac::pkcs11
