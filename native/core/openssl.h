#pragma once

#include <openssl/evp.h>

#include <memory>

/// OpenSSL 3's objects, owned. Inside Node all of its functions are Node's own.
namespace aws_hmac {

template <auto Free>
struct OpensslFree {
  template <typename Object>
  void operator()(Object* object) const noexcept {
    Free(object);
  }
};
template <typename Object, auto Free>
using OpensslPtr = std::unique_ptr<Object, OpensslFree<Free>>;

using Digest = OpensslPtr<EVP_MD, EVP_MD_free>;
using DigestContext = OpensslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;

/// A library context of ours with OpenSSL's default provider, whatever the process has configured for itself:
/// that could be a provider that asks the TPM.
OSSL_LIB_CTX* LibraryContext();

}  // namespace aws_hmac
