#include "napi/jobs.h"

#include <chrono>
#include <functional>
#include <utility>

#include "napi/pkcs11_token.h"
#include "napi/tpm_policy.h"
#include "pkcs11/pkcs11.h"
#include "tpm/housekeeping.h"
#include "tpm/policy_values.h"
#include "tpm/tpm.h"

namespace aws_hmac::napi {
namespace {

Napi::Value ToBuffer(Napi::Env env, std::span<const uint8_t> bytes) {
  return Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size());
}

/// Opens the connection's device: the options are moved to the device thread and used up there.
template <typename OpenOptions>
class OpenCall : public Call {
 public:
  using Open = std::unique_ptr<HmacDevice> (*)(OpenOptions);

  OpenCall(uint64_t id, Open open, OpenOptions options)
      : Call(id), open_(open), options_(std::move(options)) {}

  void Run(std::unique_ptr<HmacDevice>& device) override { device = open_(std::move(options_)); }
  Napi::Value Answer(Napi::Env env) override { return env.Undefined(); }

 private:
  Open open_;
  OpenOptions options_;
};

template <typename ImportOptions, typename Imported>
class ImportCall : public Call {
 public:
  using Import = Imported (*)(ImportOptions, const Probe&);
  using Describe = Napi::Value (*)(Napi::Env, const Imported&);

  ImportCall(uint64_t id, Import import, Describe describe, ImportOptions options, const Options& probe)
      : Call(id),
        import_(import),
        describe_(describe),
        options_(std::move(options)),
        probe_message_(probe.ByteArray("probeMessage")),
        probe_mac_(probe.ByteArray("probeMac")) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override {
    imported_ = import_(std::move(options_), Probe{probe_message_, probe_mac_});
  }
  Napi::Value Answer(Napi::Env env) override { return describe_(env, *imported_); }

 private:
  Import import_;
  Describe describe_;
  ImportOptions options_;
  Bytes probe_message_;
  Bytes probe_mac_;
  std::optional<Imported> imported_;
};

class ListTpmCall : public Call {
 public:
  ListTpmCall(uint64_t id, std::string tcti, std::chrono::milliseconds timeout)
      : Call(id), tcti_(std::move(tcti)), timeout_(timeout) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override { keys_ = tpm::ListKeys(tcti_, timeout_); }
  Napi::Value Answer(Napi::Env env) override {
    auto list = Napi::Array::New(env, keys_.size());
    for (uint32_t i = 0; i < keys_.size(); i++) list.Set(i, Describe(env, keys_[i]));
    return list;
  }

 private:
  static Napi::Object Describe(Napi::Env env, const tpm::ListedKey& key) {
    auto result = Napi::Object::New(env);
    result.Set("handle", Napi::Number::New(env, key.handle));
    result.Set("name", ToBuffer(env, key.name));
    result.Set("attributes", Napi::Number::New(env, key.attributes));
    result.Set("policy", ToBuffer(env, key.policy));
    result.Set("isUsable", Napi::Boolean::New(env, key.is_usable));
    return result;
  }

  std::string tcti_;
  std::chrono::milliseconds timeout_;
  std::vector<tpm::ListedKey> keys_;
};

class ReadTpmPropertiesCall : public Call {
 public:
  ReadTpmPropertiesCall(uint64_t id, std::string tcti, std::chrono::milliseconds timeout)
      : Call(id), tcti_(std::move(tcti)), timeout_(timeout) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override {
    properties_ = tpm::ReadProperties(tcti_, timeout_);
  }
  Napi::Value Answer(Napi::Env env) override {
    auto list = Napi::Array::New(env, properties_.size());
    for (uint32_t i = 0; i < properties_.size(); i++) {
      auto property = Napi::Object::New(env);
      property.Set("tag", Napi::Number::New(env, properties_[i].tag));
      property.Set("value", Napi::Number::New(env, properties_[i].value));
      list.Set(i, property);
    }
    return list;
  }

 private:
  std::string tcti_;
  std::chrono::milliseconds timeout_;
  std::vector<tpm::Property> properties_;
};

class ReadTpmCall : public Call {
 public:
  ReadTpmCall(uint64_t id, tpm::PolicyQuery query) : Call(id), query_(std::move(query)) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override { values_ = tpm::ReadPolicyValues(query_); }
  Napi::Value Answer(Napi::Env env) override {
    auto result = Napi::Object::New(env);
    result.Set("pcrs", ToBuffers(env, values_.pcrs));
    result.Set("names", ToBuffers(env, values_.names));
    return result;
  }

 private:
  static Napi::Array ToBuffers(Napi::Env env, const std::vector<Bytes>& list) {
    auto array = Napi::Array::New(env, list.size());
    for (uint32_t i = 0; i < list.size(); i++) array.Set(i, ToBuffer(env, list[i]));
    return array;
  }

  tpm::PolicyQuery query_;
  tpm::PolicyValues values_;
};

class RemoveTpmCall : public Call {
 public:
  RemoveTpmCall(uint64_t id, tpm::RemoveOptions options) : Call(id), options_(std::move(options)) {}

  void Run(std::unique_ptr<HmacDevice>& /*device*/) override { tpm::RemoveKey(std::move(options_)); }
  Napi::Value Answer(Napi::Env env) override { return env.Undefined(); }

 private:
  tpm::RemoveOptions options_;
};

class SignCall : public Call {
 public:
  SignCall(uint64_t id, std::span<const uint8_t> message)
      : Call(id), message_(message.begin(), message.end()) {}

  void Run(std::unique_ptr<HmacDevice>& device) override {
    if (!device) throw Failure(Api::kNone, "ERR_CLOSED", "no key is open on this connection");
    mac_ = device->Sign({reinterpret_cast<const uint8_t*>(message_.data()), message_.size()});
  }
  Napi::Value Answer(Napi::Env env) override { return ToBuffer(env, mac_.bytes); }

 private:
  std::string message_;  // unlike a vector it keeps a few bytes, such as SigV4's day, in itself
  Mac mac_;
};

std::chrono::milliseconds TimeoutOf(const Options& options) {
  return std::chrono::milliseconds(options.Uint32("timeout"));
}

tpm::Primary PrimaryOf(const Options& options) {
  const std::string name = options.String("primary");
  if (name == "ecc") return tpm::Primary::kStorageEcc;
  if (name == "rsa") return tpm::Primary::kStorageRsa;
  if (name == "ek-ecc") return tpm::Primary::kEkEcc;
  if (name == "ek-rsa") return tpm::Primary::kEkRsa;
  options.Refuse("primary", "the name of a template");
}

tpm::Parent ParentOf(const Options& options) {
  return {.handle = options.Uint32("parent"),
          .primary = PrimaryOf(options),
          .password = options.Secret("parentPassword"),
          .hierarchy_password = options.Secret("hierarchyPassword")};
}

std::optional<tpm::SaltKey> SaltKeyOf(const Options& options) {
  if (!options.Has("saltKey")) return std::nullopt;
  const Options key = options.Nested("saltKey");
  return tpm::SaltKey{.handle = key.Uint32("parent"),
                      .primary = PrimaryOf(key),
                      .hierarchy_password = key.Secret("hierarchyPassword"),
                      .name = key.ByteArray("name"),
                      .public_key = key.ByteArray("publicKey")};
}

std::variant<SecretBytes, tpm::WrappedKey> NewKeyOf(const Options& options) {
  if (options.Has("key")) return options.Secret("key");
  return tpm::WrappedKey{.public_area = options.ByteArray("publicArea"),
                         .duplicate = options.ByteArray("duplicate"),
                         .seed = options.ByteArray("seed")};
}

tpm::OwnerAuth OwnerOf(const Options& options) {
  return {.password = options.Secret("ownerPassword"),
          .password_in_clear = options.Boolean("ownerPasswordInClear")};
}

}  // namespace

std::unique_ptr<Call> OpenTpm(uint64_t id, const Options& options) {
  tpm::OpenOptions open;
  open.tcti = options.String("tcti");
  open.timeout = TimeoutOf(options);
  open.policy = PolicyOf(options);
  open.protection = {.password = options.Secret("password"),
                     .password_in_clear = options.Boolean("passwordInClear"),
                     .encrypt = options.Boolean("encrypt"),
                     .salt_key = SaltKeyOf(options)};
  if (options.Has("handle")) {
    open.key = tpm::PersistentKey{options.Uint32("handle")};
  } else if (options.Has("context")) {
    open.key = tpm::SavedKey{options.ByteArray("context")};
  } else {
    open.key = tpm::LoadedKey{.parent = ParentOf(options),
                              .public_area = options.ByteArray("publicArea"),
                              .private_area = options.ByteArray("privateArea")};
  }
  return std::make_unique<OpenCall<tpm::OpenOptions>>(id, tpm::OpenKey, std::move(open));
}

std::unique_ptr<Call> ImportTpm(uint64_t id, const Options& options) {
  tpm::ImportOptions import{.tcti = options.String("tcti"),
                            .key = NewKeyOf(options),
                            .password = options.Secret("password"),
                            .handle = std::nullopt,
                            .owner = OwnerOf(options),
                            .parent = ParentOf(options)};
  import.salt_key = SaltKeyOf(options);
  import.timeout = TimeoutOf(options);
  import.policy = PolicyOf(options);
  if (options.Has("noDA")) import.no_da = options.Boolean("noDA");
  if (options.Has("handle")) import.handle = options.Uint32("handle");
  const auto describe = [](Napi::Env env, const tpm::Imported& imported) -> Napi::Value {
    auto result = Napi::Object::New(env);
    result.Set("publicArea", ToBuffer(env, imported.public_area));
    result.Set("privateArea", ToBuffer(env, imported.private_area));
    if (imported.handle) result.Set("handle", Napi::Number::New(env, *imported.handle));
    return result;
  };
  return std::make_unique<ImportCall<tpm::ImportOptions, tpm::Imported>>(id, tpm::ImportKey, describe,
                                                                         std::move(import), options);
}

std::unique_ptr<Call> ListTpm(uint64_t id, const Options& options) {
  return std::make_unique<ListTpmCall>(id, options.String("tcti"), TimeoutOf(options));
}

std::unique_ptr<Call> ReadTpmProperties(uint64_t id, const Options& options) {
  return std::make_unique<ReadTpmPropertiesCall>(id, options.String("tcti"), TimeoutOf(options));
}

std::unique_ptr<Call> ReadTpm(uint64_t id, const Options& options) {
  tpm::PolicyQuery query{
      .tcti = options.String("tcti"), .timeout = TimeoutOf(options), .pcrs = {}, .objects = {}};
  for (const Options& pcrs : options.List("pcrs")) query.pcrs.push_back(PcrsOf(pcrs));
  for (const Options& object : options.List("objects")) {
    query.objects.push_back({.handle = object.Uint32("parent"),
                             .primary = PrimaryOf(object),
                             .hierarchy_password = object.Secret("hierarchyPassword")});
  }
  return std::make_unique<ReadTpmCall>(id, std::move(query));
}

std::unique_ptr<Call> RemoveTpm(uint64_t id, const Options& options) {
  return std::make_unique<RemoveTpmCall>(id, tpm::RemoveOptions{.tcti = options.String("tcti"),
                                                                .handle = options.Uint32("handle"),
                                                                .owner = OwnerOf(options),
                                                                .force = options.Boolean("force"),
                                                                .salt_key = SaltKeyOf(options),
                                                                .timeout = TimeoutOf(options)});
}

std::unique_ptr<Call> OpenPkcs11(uint64_t id, const Options& options) {
  pkcs11::OpenOptions open{.token = TokenOf(options),
                           .label = options.OptionalString("label"),
                           .id = options.OptionalByteArray("id"),
                           .login = LoginOf(options),
                           .threads = options.Uint32("threads"),
                           .session_copy = options.Boolean("sessionCopy")};
  return std::make_unique<OpenCall<pkcs11::OpenOptions>>(id, pkcs11::OpenKey, std::move(open));
}

std::unique_ptr<Call> Sign(uint64_t id, std::span<const uint8_t> message) {
  return std::make_unique<SignCall>(id, message);
}

}  // namespace aws_hmac::napi
