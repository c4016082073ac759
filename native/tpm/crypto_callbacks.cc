#include "tpm/crypto_callbacks.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>

#include "tpm/openssl.h"
#include "tpm/response_code.h"
#include "tpm/salt_exchange.h"

/// One of the two; OpenSSL wipes what it frees.
struct ESYS_CRYPTO_CONTEXT_BLOB {
  aws_hmac::DigestContext hash;
  aws_hmac::tpm::MacContext hmac;
  size_t size = 0;  // of the result
};

// libtss2 before 4.0 has neither.
struct ESYS_CRYPTO_CALLBACKS;
extern "C" [[gnu::weak]] TSS2_RC Esys_SetCryptoCallbacks(ESYS_CONTEXT* context,
                                                         ESYS_CRYPTO_CALLBACKS* callbacks);

namespace aws_hmac::tpm {
namespace {

using Context = ESYS_CRYPTO_CONTEXT_BLOB;

template <typename Theirs>
constexpr bool Fits() {
  if constexpr (requires { sizeof(Theirs); }) {
    return offsetof(Theirs, rsa_pk_encrypt) == offsetof(CryptoCallbacks, rsa_pk_encrypt) &&
           offsetof(Theirs, aes_decrypt) == offsetof(CryptoCallbacks, aes_decrypt) &&
           sizeof(Theirs) <= sizeof(CryptoCallbacks);
  }
  return true;
}
static_assert(Fits<ESYS_CRYPTO_CALLBACKS>(), "libtss2's header has another struct of callbacks");

TSS2_RC From(bool succeeded) { return succeeded ? TSS2_RC_SUCCESS : TSS2_RC{TSS2_ESYS_RC_GENERAL_FAILURE}; }

bool StartHash(Context& context, const char* name) {
  const Digest digest(EVP_MD_fetch(LibraryContext(), name, nullptr));
  context.hash.reset(EVP_MD_CTX_new());
  if (!digest || !context.hash || EVP_DigestInit_ex2(context.hash.get(), digest.get(), nullptr) != 1) {
    return false;
  }
  context.size = static_cast<size_t>(EVP_MD_get_size(digest.get()));
  return true;
}

bool StartHmac(Context& context, const char* digest, const uint8_t* key, size_t size) {
  const MacAlgorithm hmac(EVP_MAC_fetch(LibraryContext(), "HMAC", nullptr));
  context.hmac.reset(hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr);
  const std::array parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(digest), 0),
      OSSL_PARAM_construct_end()};
  if (!context.hmac || EVP_MAC_init(context.hmac.get(), key, size, parameters.data()) != 1) return false;
  context.size = EVP_MAC_CTX_get_mac_size(context.hmac.get());
  return true;
}

template <typename StartCall>
TSS2_RC Start(Context** context, TPM2_ALG_ID algorithm, StartCall start) {
  const char* const digest = DigestName(algorithm);
  if (digest == nullptr) return TSS2_ESYS_RC_NOT_IMPLEMENTED;
  std::unique_ptr<Context> started(new (std::nothrow) Context);
  if (!started) return TSS2_ESYS_RC_MEMORY;
  if (!start(*started, digest)) return TSS2_ESYS_RC_GENERAL_FAILURE;
  *context = started.release();
  return TSS2_RC_SUCCESS;
}

TSS2_RC HashStart(Context** context, TPM2_ALG_ID algorithm, void* /*userdata*/) noexcept {
  if (context == nullptr) return TSS2_ESYS_RC_BAD_REFERENCE;
  return Start(context, algorithm, StartHash);
}

TSS2_RC HmacStart(Context** context, TPM2_ALG_ID algorithm, const uint8_t* key, size_t size,
                  void* /*userdata*/) noexcept {
  if (context == nullptr || key == nullptr) return TSS2_ESYS_RC_BAD_REFERENCE;
  return Start(context, algorithm,
               [&](Context& started, const char* digest) { return StartHmac(started, digest, key, size); });
}

TSS2_RC Update(Context* context, const uint8_t* data, size_t size, void* /*userdata*/) noexcept {
  if (context == nullptr || data == nullptr) return TSS2_ESYS_RC_BAD_REFERENCE;
  return From((context->hash ? EVP_DigestUpdate(context->hash.get(), data, size)
                             : EVP_MAC_update(context->hmac.get(), data, size)) == 1);
}

// ESYS aborts a hash as an HMAC and the reverse, here and there.
void Abort(Context** context, void* /*userdata*/) noexcept {
  if (context == nullptr) return;
  const std::unique_ptr<Context> ended(std::exchange(*context, nullptr));
}

// After an error ESYS aborts.
TSS2_RC Finish(Context** context, uint8_t* result, size_t* size, void* userdata) noexcept {
  if (context == nullptr || *context == nullptr || result == nullptr || size == nullptr) {
    return TSS2_ESYS_RC_BAD_REFERENCE;
  }
  const Context& ending = **context;
  if (*size < ending.size) return TSS2_ESYS_RC_BAD_SIZE;
  *size = ending.size;
  const TSS2_RC rc = From((ending.hash ? EVP_DigestFinal_ex(ending.hash.get(), result, nullptr)
                                       : EVP_MAC_final(ending.hmac.get(), result, size, *size)) == 1);
  if (rc == TSS2_RC_SUCCESS) Abort(context, userdata);
  return rc;
}

/// `size` 0: as many bytes as there is room for.
TSS2_RC Random(TPM2B_NONCE* nonce, size_t size, void* /*userdata*/) noexcept {
  if (nonce == nullptr) return TSS2_ESYS_RC_BAD_REFERENCE;
  if (size == 0) size = sizeof nonce->buffer;
  if (size > sizeof nonce->buffer) return TSS2_ESYS_RC_BAD_SIZE;
  constexpr unsigned kDefaultStrength = 0;
  nonce->size = static_cast<UINT16>(size);
  return From(RAND_bytes_ex(LibraryContext(), nonce->buffer, size, kDefaultStrength) == 1);
}

const char* CfbName(TPMI_AES_KEY_BITS key_bits) {
  switch (key_bits) {
    case 128:
      return "AES-128-CFB";
    case 192:
      return "AES-192-CFB";
    case 256:
      return "AES-256-CFB";
    default:
      return nullptr;
  }
}

/// AES-CFB of `buffer` in place; `iv` has 16 bytes.
template <int kEncrypt>
TSS2_RC AesCfb(uint8_t* key, TPM2_ALG_ID algorithm, TPMI_AES_KEY_BITS key_bits, TPM2_ALG_ID mode,
               uint8_t* buffer, size_t size, uint8_t* iv, void* /*userdata*/) noexcept {
  if (key == nullptr || buffer == nullptr || iv == nullptr) return TSS2_ESYS_RC_BAD_REFERENCE;
  const char* const name = CfbName(key_bits);
  if (algorithm != TPM2_ALG_AES || mode != TPM2_ALG_CFB || name == nullptr || size > UINT16_MAX) {
    return TSS2_ESYS_RC_BAD_VALUE;
  }
  const Cipher cipher(EVP_CIPHER_fetch(LibraryContext(), name, nullptr));
  const CipherContext context(EVP_CIPHER_CTX_new());
  int written = 0;
  return From(cipher && context &&
              EVP_CipherInit_ex2(context.get(), cipher.get(), key, iv, kEncrypt, nullptr) == 1 &&
              EVP_CipherUpdate(context.get(), buffer, &written, buffer, static_cast<int>(size)) == 1);
}

}  // namespace

const CryptoCallbacks kCryptoCallbacks{
    .rsa_pk_encrypt = EncryptByRsa,
    .hash_start = HashStart,
    .hash_update = Update,
    .hash_finish = Finish,
    .hash_abort = Abort,
    .hmac_start = HmacStart,
    .hmac_update = Update,
    .hmac_finish = Finish,
    .hmac_abort = Abort,
    .get_random2b = Random,
    .get_ecdh_point = AgreeByEcdh,
    .aes_encrypt = AesCfb<1>,
    .aes_decrypt = AesCfb<0>,
    .unused = {},
};

bool UseCryptoCallbacks(ESYS_CONTEXT& esys) {
  if (Esys_SetCryptoCallbacks == nullptr) return false;
  CryptoCallbacks callbacks = kCryptoCallbacks;  // ESYS makes a copy of its own
  Check(Esys_SetCryptoCallbacks(&esys, reinterpret_cast<ESYS_CRYPTO_CALLBACKS*>(&callbacks)),
        "Esys_SetCryptoCallbacks");
  return true;
}

}  // namespace aws_hmac::tpm
