#include "napi/pkcs11_token.h"

#include <optional>
#include <string>

#include "napi/error.h"
#include "pkcs11/uri.h"

namespace aws_hmac::napi {
namespace {

using Text = std::optional<std::string> pkcs11::TokenQuery::*;

constexpr struct {
  const char* name;
  Text member;
} kTexts[] = {
    {"module", &pkcs11::TokenQuery::module},
    {"tokenLabel", &pkcs11::TokenQuery::label},
    {"serial", &pkcs11::TokenQuery::serial},
    {"manufacturer", &pkcs11::TokenQuery::manufacturer},
    {"model", &pkcs11::TokenQuery::model},
    {"slotManufacturer", &pkcs11::TokenQuery::slot_manufacturer},
    {"slotDescription", &pkcs11::TokenQuery::slot_description},
    {"libraryManufacturer", &pkcs11::TokenQuery::library_manufacturer},
    {"libraryDescription", &pkcs11::TokenQuery::library_description},
    {"moduleName", &pkcs11::TokenQuery::module_name},
    {"initArgs", &pkcs11::TokenQuery::init_args},
};

constexpr unsigned kByte = 256;

}  // namespace

pkcs11::TokenQuery TokenOf(const Options& options) {
  pkcs11::TokenQuery query;
  for (const auto& [name, member] : kTexts) query.*member = options.OptionalString(name);
  query.slot = options.OptionalInteger("slot");
  if (options.Has("libraryVersion")) {
    const uint32_t version = options.Uint32("libraryVersion");
    query.library_version = pkcs11::Version{.major = static_cast<uint8_t>(version / kByte),
                                            .minor = static_cast<uint8_t>(version % kByte)};
  }
  return query;
}

std::optional<pkcs11::Credential> LoginOf(const Options& options) {
  const bool at_pad = options.Boolean("pinPad");
  if (!at_pad && !options.Has("pin")) return std::nullopt;
  pkcs11::Credential credential;
  if (!at_pad) {
    credential.pin = options.Secret("pin");
    credential.digest = options.ByteArray("pinDigest");
  }
  credential.allow_final_try = options.Boolean("allowFinalTry");
  return credential;
}

Napi::Value ParsePkcs11Uri(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) throw Napi::TypeError::New(env, "the URI must be a string");
  try {
    const pkcs11::Uri uri = pkcs11::ParseUri(info[0].As<Napi::String>());
    auto result = Napi::Object::New(env);
    for (const auto& [name, member] : kTexts) {
      if (const auto& text = uri.token.*member) result.Set(name, *text);
    }
    if (uri.token.slot) {
      result.Set("slot", Napi::Number::New(env, static_cast<double>(*uri.token.slot)));
    }
    if (const auto version = uri.token.library_version) {
      result.Set("libraryVersion", Napi::Number::New(env, version->major * kByte + version->minor));
    }
    if (uri.label) result.Set("label", *uri.label);
    if (uri.id) result.Set("id", Napi::Buffer<uint8_t>::Copy(env, uri.id->data(), uri.id->size()));
    if (uri.pin_source) result.Set("pinSource", *uri.pin_source);
    return result;
  } catch (const Failure& failure) {
    throw ToError(env, failure);
  }
}

}  // namespace aws_hmac::napi
