#include "pkcs11/wrapping.h"

#include <array>
#include <utility>
#include <vector>

#include "pkcs11/key.h"
#include "pkcs11/oaep.h"
#include "pkcs11/return_value.h"
#include "pkcs11/session_object.h"

namespace aws_hmac::pkcs11 {
namespace {

struct Oaep {
  CK_MECHANISM_TYPE hash;
  CK_RSA_PKCS_MGF_TYPE mgf;
  const char* name;
};
// SoftHSM knows SHA-1 alone; OAEP does not need it to be free of collisions.
constexpr auto kOaep =
    std::to_array<Oaep>({{CKM_SHA256, CKG_MGF1_SHA256, "SHA256"}, {CKM_SHA_1, CKG_MGF1_SHA1, "SHA1"}});

// FIPS modules make RSA keys by X9.31 alone.
constexpr auto kGenerateRsa =
    std::to_array<CK_MECHANISM_TYPE>({CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_X9_31_KEY_PAIR_GEN});

bool DislikesMechanism(CK_RV rv) {
  return rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID || rv == CKR_ARGUMENTS_BAD;
}

CK_RV Unwrap(const Session& session, CK_MECHANISM& mechanism, CK_OBJECT_HANDLE key, Bytes& wrapped,
             std::vector<CK_ATTRIBUTE>& attributes, CK_OBJECT_HANDLE* object) {
  return session->C_UnwrapKey(session.handle(), &mechanism, key, wrapped.data(), wrapped.size(),
                              attributes.data(), attributes.size(), object);
}

struct KeyPair {
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
};

KeyPair GenerateRsa(const Session& session) {
  CK_ULONG bits = 3072;
  std::array<CK_BYTE, 3> exponent{1, 0, 1};
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  std::array<CK_ATTRIBUTE, 4> public_part{{{CKA_TOKEN, &no, sizeof no},
                                           {CKA_WRAP, &yes, sizeof yes},
                                           {CKA_MODULUS_BITS, &bits, sizeof bits},
                                           {CKA_PUBLIC_EXPONENT, exponent.data(), exponent.size()}}};
  std::array<CK_ATTRIBUTE, 5> private_part{{{CKA_TOKEN, &no, sizeof no},
                                            {CKA_PRIVATE, &yes, sizeof yes},
                                            {CKA_SENSITIVE, &yes, sizeof yes},
                                            {CKA_EXTRACTABLE, &no, sizeof no},
                                            {CKA_UNWRAP, &yes, sizeof yes}}};
  KeyPair pair;
  CK_RV rv = CKR_OK;
  for (const CK_MECHANISM_TYPE type : kGenerateRsa) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    rv = session->C_GenerateKeyPair(session.handle(), &mechanism, public_part.data(), public_part.size(),
                                    private_part.data(), private_part.size(), &pair.public_key,
                                    &pair.private_key);
    if (rv != CKR_MECHANISM_INVALID) break;
  }
  Check(rv, "C_GenerateKeyPair");
  return pair;
}

CK_OBJECT_HANDLE FindWrappingKey(const Session& session, CK_OBJECT_CLASS kind, CK_KEY_TYPE type,
                                 const Wrapping& wrapping) {
  std::vector<CK_ATTRIBUTE> attributes{{CKA_CLASS, &kind, sizeof kind}, {CKA_KEY_TYPE, &type, sizeof type}};
  const std::vector<CK_OBJECT_HANDLE> keys = FindObjects(session, attributes, wrapping.label, wrapping.id);
  if (keys.size() == 1) return keys.front();
  const std::string what = (type == CKK_RSA ? "RSA private key " : "AES key ") +
                           Wanted(wrapping.label, wrapping.id) + " to unwrap with on " +
                           session.token().Name();
  if (keys.empty()) throw Refusal("ERR_KEY_NOT_FOUND", "no " + what);
  throw Refusal("ERR_KEY_AMBIGUOUS", "more than one " + what + ": " + NamesOf(session, keys));
}

NewKey UnwrapOaep(const Session& session, const KeyPair& pair, std::span<const uint8_t> key, CK_KEY_TYPE type,
                  std::string& label, Bytes& id) {
  const Bytes modulus = Attribute(session, pair.public_key, CKA_MODULUS);
  const Bytes exponent = Attribute(session, pair.public_key, CKA_PUBLIC_EXPONENT);
  if (modulus.empty() || exponent.empty()) {
    throw Refusal("ERR_KEY_UNSUITABLE",
                  "the token does not tell the wrapping key's modulus and public exponent");
  }
  const MakeObject make = [&](std::vector<CK_ATTRIBUTE>& attributes, CK_OBJECT_HANDLE* object) {
    CK_RV rv = CKR_OK;
    for (const Oaep& oaep : kOaep) {
      CK_RSA_PKCS_OAEP_PARAMS parameters{oaep.hash, oaep.mgf, CKZ_DATA_SPECIFIED, nullptr, 0};
      CK_MECHANISM mechanism{CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters};
      Bytes wrapped = EncryptOaep(modulus, exponent, oaep.name, key);
      rv = Unwrap(session, mechanism, pair.private_key, wrapped, attributes, object);
      if (!DislikesMechanism(rv)) return rv;
    }
    return rv;
  };
  return MakeKey(make, "C_UnwrapKey", type, label, id);
}

NewKey UnwrapKwp(const Session& session, const Wrapping& wrapping, CK_KEY_TYPE type, std::string& label,
                 Bytes& id) {
  const CK_OBJECT_HANDLE key = FindWrappingKey(session, CKO_SECRET_KEY, CKK_AES, wrapping);
  Bytes wrapped = wrapping.wrapped;
  const MakeObject make = [&](std::vector<CK_ATTRIBUTE>& attributes, CK_OBJECT_HANDLE* object) {
    CK_RV rv = CKR_OK;
    // What the second one does to the bytes is left to the module by PKCS#11 before 3.0: SoftHSM means RFC
    // 5649.
    for (const CK_MECHANISM_TYPE mechanism_type : {kAesKeyWrapKwp, CK_MECHANISM_TYPE{CKM_AES_KEY_WRAP_PAD}}) {
      CK_MECHANISM mechanism{mechanism_type, nullptr, 0};
      rv = Unwrap(session, mechanism, key, wrapped, attributes, object);
      if (!DislikesMechanism(rv)) return rv;
    }
    return rv;
  };
  return MakeKey(make, "C_UnwrapKey", type, label, id);
}

}  // namespace

NewKey UnwrapKey(const Session& session, const Wrapping& wrapping, std::span<const uint8_t> key,
                 CK_KEY_TYPE type, std::string& label, Bytes& id) {
  if (!wrapping.wrapped.empty()) return UnwrapKwp(session, wrapping, type, label, id);
  if (wrapping.label || wrapping.id) {
    const CK_OBJECT_HANDLE rsa = FindWrappingKey(session, CKO_PRIVATE_KEY, CKK_RSA, wrapping);
    return UnwrapOaep(session, {.public_key = rsa, .private_key = rsa}, key, type, label, id);
  }
  const KeyPair pair = GenerateRsa(session);
  const SessionObject public_key(session, pair.public_key);
  const SessionObject private_key(session, pair.private_key);
  return UnwrapOaep(session, pair, key, type, label, id);
}

}  // namespace aws_hmac::pkcs11
