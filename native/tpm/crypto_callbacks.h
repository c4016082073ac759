#pragma once

#include <tss2/tss2_esys.h>

#include <array>

struct ESYS_CRYPTO_CONTEXT_BLOB;  // a hash or HMAC that ESYS computes; ours to define

namespace aws_hmac::tpm {

/// ESYS_CRYPTO_CALLBACKS of libtss2 from 4.0 on (tss2_esys.h, where each member is described), declared here
/// so that one build works with every libtss2. What follows `aes_decrypt` differs between 4.0 and 4.1,
/// without another soname. All of it may be NULL, and is: SM4, an initialisation, user data.
struct CryptoCallbacks {
  using Context = ESYS_CRYPTO_CONTEXT_BLOB;
  using RsaEncrypt = TSS2_RC(TPM2B_PUBLIC* key, size_t in_size, BYTE* in, size_t max_out_size, BYTE* out,
                             size_t* out_size, const char* label, void* userdata);
  using HmacStart = TSS2_RC(Context** context, TPM2_ALG_ID algorithm, const uint8_t* key, size_t size,
                            void* userdata);
  using EcdhPoint = TSS2_RC(TPM2B_PUBLIC* key, size_t max_out_size, TPM2B_ECC_PARAMETER* z, TPMS_ECC_POINT* q,
                            BYTE* out, size_t* out_size, void* userdata);
  using Aes = TSS2_RC(uint8_t* key, TPM2_ALG_ID algorithm, TPMI_AES_KEY_BITS key_bits, TPM2_ALG_ID mode,
                      uint8_t* buffer, size_t size, uint8_t* iv, void* userdata);

  RsaEncrypt* rsa_pk_encrypt;
  TSS2_RC (*hash_start)(Context** context, TPM2_ALG_ID algorithm, void* userdata);
  TSS2_RC (*hash_update)(Context* context, const uint8_t* data, size_t size, void* userdata);
  TSS2_RC (*hash_finish)(Context** context, uint8_t* result, size_t* size, void* userdata);
  void (*hash_abort)(Context** context, void* userdata);
  HmacStart* hmac_start;
  TSS2_RC (*hmac_update)(Context* context, const uint8_t* data, size_t size, void* userdata);
  TSS2_RC (*hmac_finish)(Context** context, uint8_t* result, size_t* size, void* userdata);
  void (*hmac_abort)(Context** context, void* userdata);
  TSS2_RC (*get_random2b)(TPM2B_NONCE* nonce, size_t size, void* userdata);
  EcdhPoint* get_ecdh_point;
  Aes* aes_encrypt;
  Aes* aes_decrypt;
  std::array<void*, 4> unused;
};

/// On OpenSSL. Their errors are TSS2_ESYS_RC_… codes; none throws.
extern const CryptoCallbacks kCryptoCallbacks;

/// Lets ESYS compute with kCryptoCallbacks where libtss2 offers that, from 4.0 on; gives whether it does.
/// ESYS by itself makes an OpenSSL library context for each hash, some milliseconds a command. Throws
/// Failure.
bool UseCryptoCallbacks(ESYS_CONTEXT& esys);

}  // namespace aws_hmac::tpm
