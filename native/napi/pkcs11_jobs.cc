// What is done to a PKCS#11 token besides signing: imports, listing, removal.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "napi/jobs.h"
#include "napi/pkcs11_token.h"
#include "pkcs11/pkcs11.h"

namespace aws_hmac::napi {
namespace {

Napi::Value ToBuffer(Napi::Env env, std::span<const uint8_t> bytes) {
  return Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size());
}

Napi::Array ToArray(Napi::Env env, const std::vector<std::string>& texts) {
  auto array = Napi::Array::New(env, texts.size());
  for (uint32_t i = 0; i < texts.size(); i++) array.Set(i, texts[i]);
  return array;
}

class ImportCall : public Call {
 public:
  ImportCall(uint64_t id, pkcs11::ImportOptions options, const Options& probe)
      : Call(id),
        options_(std::move(options)),
        probe_message_(probe.ByteArray("probeMessage")),
        probe_mac_(probe.ByteArray("probeMac")) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override {
    imported_ = pkcs11::ImportKey(std::move(options_), Probe{probe_message_, probe_mac_});
  }
  Napi::Value Answer(Napi::Env env) override {
    auto result = Napi::Object::New(env);
    result.Set("extractable", Napi::Boolean::New(env, imported_->extractable));
    if (imported_->wrappable) result.Set("wrappable", Napi::Boolean::New(env, *imported_->wrappable));
    result.Set("leftOut", ToArray(env, imported_->left_out));
    return result;
  }

 private:
  pkcs11::ImportOptions options_;
  Bytes probe_message_;
  Bytes probe_mac_;
  std::optional<pkcs11::Imported> imported_;
};

class ListCall : public Call {
 public:
  ListCall(uint64_t id, pkcs11::ListOptions options) : Call(id), options_(std::move(options)) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override { listing_ = pkcs11::ListKeys(options_); }
  Napi::Value Answer(Napi::Env env) override {
    auto tokens = Napi::Array::New(env, listing_.tokens.size());
    for (uint32_t i = 0; i < listing_.tokens.size(); i++) tokens.Set(i, Describe(env, listing_.tokens[i]));
    auto result = Napi::Object::New(env);
    result.Set("tokens", tokens);
    result.Set("broken", listing_.broken);
    return result;
  }

 private:
  static Napi::Object Describe(Napi::Env env, const pkcs11::ListedToken& token) {
    auto result = Napi::Object::New(env);
    result.Set("module", token.module);
    result.Set("tokenLabel", token.label);
    result.Set("serial", token.serial);
    result.Set("manufacturer", token.manufacturer);
    result.Set("model", token.model);
    result.Set("slot", Napi::Number::New(env, static_cast<double>(token.slot)));
    result.Set("flags", Napi::Number::New(env, static_cast<double>(token.flags)));
    result.Set("loggedIn", Napi::Boolean::New(env, token.logged_in));
    auto keys = Napi::Array::New(env, token.keys.size());
    for (uint32_t i = 0; i < token.keys.size(); i++) keys.Set(i, Describe(env, token.keys[i]));
    result.Set("keys", keys);
    return result;
  }

  static Napi::Object Describe(Napi::Env env, const pkcs11::ListedKey& key) {
    auto result = Napi::Object::New(env);
    result.Set("label", ToBuffer(env, key.label));
    result.Set("id", ToBuffer(env, key.id));
    result.Set("keyType", key.type);
    result.Set("attributes", ToArray(env, key.attributes));
    result.Set("isUsable", Napi::Boolean::New(env, key.is_usable));
    return result;
  }

  pkcs11::ListOptions options_;
  pkcs11::Listing listing_;
};

class RemoveCall : public Call {
 public:
  RemoveCall(uint64_t id, pkcs11::RemoveOptions options) : Call(id), options_(std::move(options)) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override { pkcs11::RemoveKey(options_); }
  Napi::Value Answer(Napi::Env env) override { return env.Undefined(); }

 private:
  pkcs11::RemoveOptions options_;
};

std::optional<pkcs11::Wrapping> WrappingOf(const Options& options) {
  if (!options.Has("wrapping")) return std::nullopt;
  const Options wrapping = options.Nested("wrapping");
  return pkcs11::Wrapping{.label = wrapping.OptionalString("label"),
                          .id = wrapping.OptionalByteArray("id"),
                          .wrapped = wrapping.OptionalByteArray("wrapped").value_or(Bytes{})};
}

}  // namespace

std::unique_ptr<Call> ImportPkcs11(uint64_t id, const Options& options) {
  auto login = LoginOf(options);
  if (!login) options.Refuse("pin", "a Uint8Array");
  pkcs11::ImportOptions import{.token = TokenOf(options),
                               .label = options.String("label"),
                               .id = options.ByteArray("id"),
                               .has_own_id = options.Boolean("hasOwnId"),
                               .spare_id = options.ByteArray("spareId"),
                               .login = std::move(*login),
                               .key = options.Secret("key"),
                               .wrapping = WrappingOf(options),
                               .replace = options.Boolean("replace"),
                               .allow_wrapping = options.Boolean("allowWrapping")};
  return std::make_unique<ImportCall>(id, std::move(import), options);
}

std::unique_ptr<Call> ListPkcs11(uint64_t id, const Options& options) {
  return std::make_unique<ListCall>(
      id, pkcs11::ListOptions{.token = TokenOf(options), .login = LoginOf(options)});
}

std::unique_ptr<Call> RemovePkcs11(uint64_t id, const Options& options) {
  return std::make_unique<RemoveCall>(id, pkcs11::RemoveOptions{.token = TokenOf(options),
                                                                .label = options.OptionalString("label"),
                                                                .id = options.OptionalByteArray("id"),
                                                                .login = LoginOf(options),
                                                                .force = options.Boolean("force")});
}

}  // namespace aws_hmac::napi
