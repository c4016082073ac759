#pragma once

#include <p11-kit/pkcs11.h>

#include <functional>

#include "core/bytes.h"

namespace aws_hmac::pkcs11 {

/// Calls `send`, which is to send the PIN of `digest` to `token`, and gives its answer; but a PIN that the
/// token has refused in this process is never sent again, as that could lock the token: throws Failure
/// ERR_PIN_INCORRECT. Any thread; one at a time for each token.
CK_RV SendPin(const CK_TOKEN_INFO& token, const Bytes& digest, const std::function<CK_RV()>& send);

}  // namespace aws_hmac::pkcs11
