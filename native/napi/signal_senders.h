#pragma once

#include <napi.h>

namespace aws_hmac::napi {

/// NoteSenders and TakeSenders for JavaScript, of a signal's number. lib/binding/addon.ts types them.
void NoteSenders(const Napi::CallbackInfo& info);
Napi::Value TakeSenders(const Napi::CallbackInfo& info);

}  // namespace aws_hmac::napi
