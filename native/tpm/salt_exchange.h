#pragma once

#include <tss2/tss2_esys.h>

namespace aws_hmac::tpm {

/// ESYS_CRYPTO_PK_RSA_ENCRYPT_FNP: encrypts `in` for an RSA key with RSAES-OAEP, the hash being the key's
/// name algorithm and the label counting its final 0 (TCG Part 1, B.4). The key's own scheme is to be OAEP,
/// as ESYS sets it. Writes as many bytes as the modulus has.
TSS2_RC EncryptByRsa(TPM2B_PUBLIC* key, size_t in_size, BYTE* in, size_t max_out_size, BYTE* out,
                     size_t* out_size, const char* label, void* userdata) noexcept;

/// ESYS_CRYPTO_GET_ECDH_POINT_FNP: makes an ephemeral key on the curve of `key` (NIST P-192 … P-521). `q` is
/// its public point, in `out` marshalled as a TPMS_ECC_POINT; `z` the x coordinate of its product with `key`
/// (TCG Part 1, C.6.1). All coordinates are padded to the length of the curve's field.
TSS2_RC AgreeByEcdh(TPM2B_PUBLIC* key, size_t max_out_size, TPM2B_ECC_PARAMETER* z, TPMS_ECC_POINT* q,
                    BYTE* out, size_t* out_size, void* userdata) noexcept;

}  // namespace aws_hmac::tpm
