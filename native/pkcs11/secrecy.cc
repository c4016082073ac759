#include "pkcs11/secrecy.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

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

// Of an RSA key whose primes nobody kept: what is wrapped for it stays wrapped.
constexpr auto kModulus = std::to_array<CK_BYTE>(
    {0xc5, 0xb9, 0x43, 0x82, 0xbb, 0x11, 0xf3, 0x83, 0xeb, 0x0f, 0x47, 0x77, 0x8c, 0x97, 0xf0, 0x2e,
     0x01, 0x04, 0x7e, 0xb5, 0xa4, 0xf6, 0xf1, 0xba, 0xd6, 0x09, 0x75, 0xa5, 0x3e, 0xc2, 0xf9, 0x0d,
     0xac, 0x00, 0x99, 0xc9, 0x5e, 0x16, 0x57, 0x05, 0x19, 0x5d, 0xb3, 0x13, 0x5b, 0x1f, 0x02, 0xb3,
     0xe2, 0x3e, 0x7a, 0xd6, 0x9b, 0xa6, 0xa8, 0xe3, 0xf8, 0x49, 0x79, 0x41, 0xcb, 0xae, 0x75, 0x61,
     0xcb, 0xba, 0x38, 0x15, 0x77, 0x86, 0x8b, 0xfa, 0x0f, 0x54, 0x67, 0xfc, 0xd9, 0x7c, 0x9a, 0xd7,
     0x31, 0x79, 0x73, 0xb2, 0xc3, 0x97, 0x97, 0xc9, 0x4b, 0x8d, 0xbc, 0x61, 0xde, 0x1f, 0x7a, 0xcc,
     0x0a, 0x1f, 0x31, 0x78, 0xb9, 0xc6, 0x9e, 0x36, 0xb4, 0x11, 0x53, 0x5a, 0xde, 0x00, 0x32, 0x04,
     0xbe, 0xac, 0x0e, 0x74, 0x2c, 0xad, 0x48, 0xf0, 0x49, 0xf3, 0x76, 0x7e, 0xf8, 0xf9, 0xab, 0x78,
     0xbe, 0x53, 0xc4, 0x48, 0x11, 0xad, 0x82, 0xc6, 0x86, 0x6e, 0xb9, 0x1a, 0x4b, 0x68, 0x62, 0xc0,
     0x67, 0x66, 0x38, 0xf5, 0xec, 0x27, 0xe7, 0xa5, 0x8d, 0xbd, 0x83, 0x7b, 0x42, 0x6b, 0x41, 0x98,
     0x5b, 0xc6, 0x89, 0x0c, 0x71, 0xab, 0x5c, 0x48, 0x26, 0x0c, 0x08, 0xf1, 0x7b, 0x98, 0xe6, 0x2c,
     0x9b, 0x02, 0x08, 0x60, 0xcf, 0x66, 0x17, 0xdd, 0xd3, 0x0c, 0xf1, 0x16, 0xbc, 0x26, 0x15, 0x9d,
     0x5e, 0x7c, 0x89, 0x70, 0x56, 0x78, 0x47, 0xdd, 0x23, 0x2d, 0xf9, 0xed, 0x87, 0x12, 0x89, 0x3e,
     0x02, 0x46, 0x69, 0xa5, 0x1e, 0x6b, 0xaa, 0x98, 0xd7, 0x57, 0x54, 0x7b, 0xfa, 0xc7, 0xfc, 0x7f,
     0x00, 0x81, 0xd6, 0x63, 0x63, 0xeb, 0x86, 0x7e, 0x98, 0xa9, 0xd3, 0x25, 0xd5, 0x54, 0x96, 0x6d,
     0xe5, 0x39, 0x2d, 0x43, 0x74, 0xeb, 0x31, 0x2c, 0x5d, 0xfd, 0x86, 0xbb, 0xa0, 0x00, 0x9d, 0x33});

// A readable key of this session, which can wrap.
CK_OBJECT_HANDLE MakeAesKey(const Session& session) {
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

// Whoever may log in can bring such a key along.
CK_OBJECT_HANDLE MakeRsaKey(const Session& session) {
  CK_OBJECT_CLASS public_key = CKO_PUBLIC_KEY;
  CK_KEY_TYPE rsa = CKK_RSA;
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  std::array<CK_BYTE, kModulus.size()> modulus = kModulus;
  std::array<CK_BYTE, 3> exponent{1, 0, 1};
  std::array<CK_ATTRIBUTE, 6> attributes{{{CKA_CLASS, &public_key, sizeof public_key},
                                          {CKA_KEY_TYPE, &rsa, sizeof rsa},
                                          {CKA_TOKEN, &no, sizeof no},
                                          {CKA_WRAP, &yes, sizeof yes},
                                          {CKA_MODULUS, modulus.data(), modulus.size()},
                                          {CKA_PUBLIC_EXPONENT, exponent.data(), exponent.size()}}};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  const CK_RV rv = session->C_CreateObject(session.handle(), attributes.data(), attributes.size(), &key);
  return rv == CKR_OK ? key : CK_INVALID_HANDLE;
}

// By any of the mechanisms; nothing where there is no key to wrap with.
std::optional<bool> WrapsBy(const Session& session, CK_OBJECT_HANDLE key, std::span<CK_MECHANISM> mechanisms,
                            CK_OBJECT_HANDLE object) {
  const SessionObject wrapping(session, key);
  if (key == CK_INVALID_HANDLE) return std::nullopt;
  SecretBytes wrapped(kValueBuffer);
  return std::ranges::any_of(mechanisms, [&](CK_MECHANISM& mechanism) {
    CK_ULONG size = wrapped.size();
    return session->C_WrapKey(session.handle(), &mechanism, key, object, wrapped.data(), &size) == CKR_OK;
  });
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
  std::array<uint8_t, kAesBlock> iv{};
  std::array<CK_MECHANISM, 6> by_aes{{{kAesKeyWrapKwp, nullptr, 0},
                                      {CKM_AES_KEY_WRAP_PAD, nullptr, 0},
                                      {CKM_AES_KEY_WRAP, nullptr, 0},
                                      {CKM_AES_CBC_PAD, iv.data(), iv.size()},
                                      {CKM_AES_CBC, iv.data(), iv.size()},
                                      {CKM_AES_ECB, nullptr, 0}}};
  CK_RSA_PKCS_OAEP_PARAMS oaep{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, nullptr, 0};
  std::array<CK_MECHANISM, 2> by_rsa{{{CKM_RSA_PKCS, nullptr, 0}, {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}}};
  const std::optional<bool> aes = WrapsBy(session, MakeAesKey(session), by_aes, object);
  if (aes == true) return aes;
  const std::optional<bool> rsa = WrapsBy(session, MakeRsaKey(session), by_rsa, object);
  return rsa ? rsa : aes;
}

}  // namespace aws_hmac::pkcs11
