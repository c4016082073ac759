#include "napi/options.h"

#include <cmath>
#include <limits>

namespace aws_hmac::napi {
namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

[[noreturn]] void Refuse(Napi::Env env, const char* name, const char* wanted) {
  throw Napi::TypeError::New(env, std::string(name) + " must be " + wanted);
}

}  // namespace

std::span<const uint8_t> BytesOf(Napi::Value value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    Refuse(value.Env(), name, "a Uint8Array");
  }
  const auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

uint64_t IntegerOf(Napi::Value value, const char* name) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (number >= 0 && number <= kMaxSafeInteger && std::trunc(number) == number) {
      return static_cast<uint64_t>(number);
    }
  }
  Refuse(value.Env(), name, "an unsigned integer");
}

Options::Options(Napi::Value object) {
  if (!object.IsObject()) throw Napi::TypeError::New(object.Env(), "options must be an object");
  object_ = object.As<Napi::Object>();
}

Napi::Value Options::Get(const char* name) const { return object_.Get(name); }

void Options::Refuse(const char* name, const char* wanted) const {
  napi::Refuse(object_.Env(), name, wanted);
}

bool Options::Has(const char* name) const { return !Get(name).IsUndefined(); }

std::string Options::String(const char* name) const {
  const auto value = Get(name);
  if (!value.IsString()) Refuse(name, "a string");
  return value.As<Napi::String>();
}

bool Options::Boolean(const char* name) const {
  const auto value = Get(name);
  if (!value.IsBoolean()) Refuse(name, "a boolean");
  return value.As<Napi::Boolean>();
}

uint32_t Options::Uint32(const char* name) const {
  const uint64_t number = IntegerOf(Get(name), name);
  if (number > std::numeric_limits<uint32_t>::max()) Refuse(name, "an unsigned 32-bit integer");
  return static_cast<uint32_t>(number);
}

std::span<const uint8_t> Options::View(const char* name) const { return BytesOf(Get(name), name); }

Bytes Options::ByteArray(const char* name) const {
  const auto view = View(name);
  return {view.begin(), view.end()};
}

SecretBytes Options::Secret(const char* name) const { return SecretBytes(View(name)); }

Options Options::Nested(const char* name) const { return Options(Get(name)); }

Napi::Array Options::ArrayOf(const char* name) const {
  const auto value = Get(name);
  if (!value.IsArray()) Refuse(name, "an array");
  return value.As<Napi::Array>();
}

std::vector<Options> Options::List(const char* name) const {
  const auto array = ArrayOf(name);
  std::vector<Options> list;
  for (uint32_t i = 0; i < array.Length(); i++) list.emplace_back(array.Get(i));
  return list;
}

std::vector<Bytes> Options::ByteArrays(const char* name) const {
  const auto array = ArrayOf(name);
  std::vector<Bytes> list;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const auto view = BytesOf(array.Get(i), name);
    list.emplace_back(view.begin(), view.end());
  }
  return list;
}

std::optional<std::string> Options::OptionalString(const char* name) const {
  return Has(name) ? std::optional(String(name)) : std::nullopt;
}

std::optional<Bytes> Options::OptionalByteArray(const char* name) const {
  return Has(name) ? std::optional(ByteArray(name)) : std::nullopt;
}

std::optional<uint64_t> Options::OptionalInteger(const char* name) const {
  return Has(name) ? std::optional(IntegerOf(Get(name), name)) : std::nullopt;
}

}  // namespace aws_hmac::napi
