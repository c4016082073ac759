#pragma once

#include <napi.h>

#include "napi/options.h"
#include "pkcs11/pkcs11.h"

namespace aws_hmac::napi {

/// A NativeTokenQuery of lib/binding/addon.ts.
pkcs11::TokenQuery TokenOf(const Options& options);

/// `parsePkcs11Uri(text)`: what the URI says, as the same members. Throws an Error.
Napi::Value ParsePkcs11Uri(const Napi::CallbackInfo& info);

}  // namespace aws_hmac::napi
