#pragma once

#include <napi.h>

#include <optional>

#include "napi/options.h"
#include "pkcs11/pkcs11.h"

namespace aws_hmac::napi {

/// A NativeTokenQuery of lib/binding/addon.ts.
pkcs11::TokenQuery TokenOf(const Options& options);

/// A NativePkcs11Login of lib/binding/addon.ts; nothing where no login is wanted.
std::optional<pkcs11::Credential> LoginOf(const Options& options);

/// `parsePkcs11Uri(text)`: what the URI says, as the same members. Throws an Error.
Napi::Value ParsePkcs11Uri(const Napi::CallbackInfo& info);

}  // namespace aws_hmac::napi
