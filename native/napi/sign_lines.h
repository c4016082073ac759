#pragma once

#include <napi.h>

namespace aws_hmac::napi {

/// SignLines for JavaScript, at once: (innerBlock, outerBlock, head, before, lines, after), all strings
/// Latin-1. lib/binding/addon.ts types it.
Napi::Value SignLines(const Napi::CallbackInfo& info);

}  // namespace aws_hmac::napi
