#pragma once

#include <openssl/bn.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <tss2/tss2_tpm2_types.h>

#include "core/openssl.h"

namespace aws_hmac::tpm {

using MacAlgorithm = OpensslPtr<EVP_MAC, EVP_MAC_free>;
using MacContext = OpensslPtr<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using Cipher = OpensslPtr<EVP_CIPHER, EVP_CIPHER_free>;
using CipherContext = OpensslPtr<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using AsymmetricKey = OpensslPtr<EVP_PKEY, EVP_PKEY_free>;
using AsymmetricContext = OpensslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using BigNumber = OpensslPtr<BIGNUM, BN_free>;
using ParameterBuilder = OpensslPtr<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Parameters = OpensslPtr<OSSL_PARAM, OSSL_PARAM_free>;

/// OpenSSL's name of a hash algorithm, such as "SHA256"; nullptr for one that is not known.
const char* DigestName(TPM2_ALG_ID algorithm);

/// The key of that kind, "RSA" or "EC", with these public parameters; nullptr if they are none.
AsymmetricKey PublicKey(const char* kind, OSSL_PARAM* parameters);

}  // namespace aws_hmac::tpm
