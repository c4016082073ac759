#include "core/openssl.h"

#include <openssl/crypto.h>

namespace aws_hmac {

OSSL_LIB_CTX* LibraryContext() {
  static OSSL_LIB_CTX* const context = OSSL_LIB_CTX_new();  // for good: a late thread may still use it
  return context;
}

}  // namespace aws_hmac
