#include "pkcs11/oaep.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>

#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

template <auto Free>
struct Release {
  template <typename Object>
  void operator()(Object* object) const noexcept {
    Free(object);
  }
};
using Context = std::unique_ptr<EVP_PKEY_CTX, Release<EVP_PKEY_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Release<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Release<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Release<OSSL_PARAM_free>>;

// A library context of ours with the default provider: the process's own may ask a device. For good: a late
// thread may still use it.
OSSL_LIB_CTX* Library() {
  static OSSL_LIB_CTX* const context = OSSL_LIB_CTX_new();
  return context;
}

Number ToNumber(std::span<const uint8_t> bytes) {
  return Number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
}

Key PublicKey(std::span<const uint8_t> modulus, std::span<const uint8_t> exponent) {
  const Number n = ToNumber(modulus);
  const Number e = ToNumber(exponent);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const Context context(EVP_PKEY_CTX_new_from_name(Library(), "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return Key(key);
}

}  // namespace

Bytes EncryptOaep(std::span<const uint8_t> modulus, std::span<const uint8_t> exponent, const char* hash,
                  std::span<const uint8_t> message) {
  const Key key = PublicKey(modulus, exponent);
  const Context context(key ? EVP_PKEY_CTX_new_from_pkey(Library(), key.get(), nullptr) : nullptr);
  Bytes encrypted(modulus.size());
  size_t size = encrypted.size();
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md_name(context.get(), hash, nullptr) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md_name(context.get(), hash, nullptr) != 1 ||
      EVP_PKEY_encrypt(context.get(), encrypted.data(), &size, message.data(), message.size()) != 1) {
    throw Refusal("ERR_KEY_UNSUITABLE", "the RSA wrapping key of " + std::to_string(modulus.size() * 8) +
                                            " bits cannot encrypt a secret of " +
                                            std::to_string(message.size()) + " bytes");
  }
  encrypted.resize(size);
  return encrypted;
}

}  // namespace aws_hmac::pkcs11
