#include "tpm/openssl.h"

namespace aws_hmac::tpm {

const char* DigestName(TPM2_ALG_ID algorithm) {
  switch (algorithm) {
    case TPM2_ALG_SHA1:
      return "SHA1";
    case TPM2_ALG_SHA256:
      return "SHA256";
    case TPM2_ALG_SHA384:
      return "SHA384";
    case TPM2_ALG_SHA512:
      return "SHA512";
    case TPM2_ALG_SM3_256:
      return "SM3";
    default:
      return nullptr;
  }
}

AsymmetricKey PublicKey(const char* kind, OSSL_PARAM* parameters) {
  const AsymmetricContext context(EVP_PKEY_CTX_new_from_name(LibraryContext(), kind, nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
    return nullptr;
  }
  return AsymmetricKey(key);
}

}  // namespace aws_hmac::tpm
