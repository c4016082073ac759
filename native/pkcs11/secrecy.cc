#include "pkcs11/secrecy.h"

#include <algorithm>
#include <array>

#include "core/secret_bytes.h"
#include "pkcs11/return_value.h"
#include "pkcs11/session_object.h"
#include "pkcs11/wrapping.h"

namespace aws_hmac::pkcs11 {
namespace {

constexpr size_t kValueBuffer = 4096;
constexpr size_t kAesBlock = 16;

// Whether `buffer` holds a part of the key, of eight bytes or more. NSS refuses, and leaves ciphertext there
// all the same.
bool Holds(std::span<const uint8_t> buffer, std::span<const uint8_t> key) {
  const size_t size = std::min<size_t>(key.size(), 8);
  for (size_t first = 0; first + size <= key.size(); first++) {
    const auto part = key.subspan(first, size);
    // Not std::ranges::search, which Debian 12's clang-tidy cannot parse.
    if (std::search(buffer.begin(), buffer.end(), part.begin(), part.end()) != buffer.end()) return true;
  }
  return false;
}

// A readable key of this session, which can wrap.
CK_OBJECT_HANDLE MakeWrappingKey(const Session& session) {
  CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
  CK_KEY_TYPE aes = CKK_AES;
  CK_ULONG size = 32;
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  std::array<CK_ATTRIBUTE, 7> attributes{{{CKA_CLASS, &secret_key, sizeof secret_key},
                                          {CKA_KEY_TYPE, &aes, sizeof aes},
                                          {CKA_VALUE_LEN, &size, sizeof size},
                                          {CKA_TOKEN, &no, sizeof no},
                                          {CKA_WRAP, &yes, sizeof yes},
                                          {CKA_SENSITIVE, &no, sizeof no},
                                          {CKA_EXTRACTABLE, &yes, sizeof yes}}};
  CK_MECHANISM generate{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  // Where keys must be sensitive, the last two are the module's own choice: bytes that come out are enough.
  for (const size_t count : {attributes.size(), attributes.size() - 2}) {
    if (session->C_GenerateKey(session.handle(), &generate, attributes.data(), count, &key) == CKR_OK)
      return key;
  }
  return CK_INVALID_HANDLE;
}

}  // namespace

// Asked without a buffer and with one: a module may guard only one of the two.
bool ValueComesOut(const Session& session, CK_OBJECT_HANDLE object, std::span<const uint8_t> key) {
  SecretBytes buffer(kValueBuffer);
  for (uint8_t* const data : {static_cast<uint8_t*>(nullptr), buffer.data()}) {
    const CK_ULONG given = data == nullptr ? 0 : buffer.size();
    CK_ATTRIBUTE value{CKA_VALUE, data, given};
    const CK_RV rv = session->C_GetAttributeValue(session.handle(), object, &value, 1);
    if (rv == CKR_OK) return true;
    if (value.ulValueLen != given && value.ulValueLen != CK_UNAVAILABLE_INFORMATION) return true;
  }
  return Holds(buffer.span(), key);
}

std::optional<bool> WrapsOut(const Session& session, CK_OBJECT_HANDLE object) {
  const SessionObject wrapping(session, MakeWrappingKey(session));
  if (wrapping.handle() == CK_INVALID_HANDLE) return std::nullopt;
  std::array<uint8_t, kAesBlock> iv{};
  std::array<CK_MECHANISM, 6> mechanisms{{{kAesKeyWrapKwp, nullptr, 0},
                                          {CKM_AES_KEY_WRAP_PAD, nullptr, 0},
                                          {CKM_AES_KEY_WRAP, nullptr, 0},
                                          {CKM_AES_CBC_PAD, iv.data(), iv.size()},
                                          {CKM_AES_CBC, iv.data(), iv.size()},
                                          {CKM_AES_ECB, nullptr, 0}}};
  SecretBytes wrapped(kValueBuffer);
  return std::ranges::any_of(mechanisms, [&](CK_MECHANISM& mechanism) {
    CK_ULONG size = wrapped.size();
    return session->C_WrapKey(session.handle(), &mechanism, wrapping.handle(), object, wrapped.data(),
                              &size) == CKR_OK;
  });
}

}  // namespace aws_hmac::pkcs11
