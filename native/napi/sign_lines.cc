#include "napi/sign_lines.h"

#include <string>

#include "core/sign_lines.h"
#include "napi/error.h"
#include "napi/options.h"

namespace aws_hmac::napi {
namespace {

std::span<const uint8_t, kBlockSize> BlockOf(Napi::Value value, const char* name) {
  const auto bytes = BytesOf(value, name);
  if (bytes.size() != kBlockSize)
    throw Napi::TypeError::New(value.Env(), std::string(name) + " must have 64 bytes");
  return bytes.first<kBlockSize>();
}

/// Without the detour through UTF-8 that Napi::String takes.
std::string Latin1Of(Napi::Value value, const char* name) {
  const Napi::Env env = value.Env();
  size_t length = 0;
  if (napi_get_value_string_latin1(env, value, nullptr, 0, &length) != napi_ok)
    throw Napi::TypeError::New(env, std::string(name) + " must be a string");
  std::string text(length, '\0');
  if (napi_get_value_string_latin1(env, value, text.data(), length + 1, &length) != napi_ok)
    throw Napi::Error::New(env);
  return text;
}

}  // namespace

Napi::Value SignLines(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const PaddedKey key{.inner = BlockOf(info[0], "innerBlock"), .outer = BlockOf(info[1], "outerBlock")};
  const std::string head = Latin1Of(info[2], "head");
  const std::string before = Latin1Of(info[3], "before");
  const std::string lines = Latin1Of(info[4], "lines");
  const std::string after = Latin1Of(info[5], "after");
  try {
    const std::string signatures = aws_hmac::SignLines(key, head, {.before = before, .after = after}, lines);
    napi_value result = nullptr;
    if (napi_create_string_latin1(env, signatures.data(), signatures.size(), &result) != napi_ok)
      throw Napi::Error::New(env);
    return {env, result};
  } catch (const Failure& failure) {
    throw ToError(env, failure);
  }
}

}  // namespace aws_hmac::napi
