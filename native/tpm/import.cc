#include <algorithm>
#include <optional>
#include <utility>

#include "core/failure.h"
#include "tpm/connection.h"
#include "tpm/key_area.h"
#include "tpm/mac.h"
#include "tpm/owner.h"
#include "tpm/parent.h"
#include "tpm/salt.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {
namespace {

constexpr size_t kMaxKey = 64;  // SHA-256's block: the TPM refuses a longer HMAC key

/// Makes the new key's two halves.
struct Making {
  const LoadedParent& parent;
  const ImportOptions& options;
  const Policy* policy;  // of a created key; a wrapped one has its own

  Blobs operator()(const SecretBytes& key) const;
  Blobs operator()(const WrappedKey& key) const;
};

Blobs Making::operator()(const SecretBytes& key) const {
  Wiped<TPM2B_SENSITIVE_CREATE> secret;
  TPMS_SENSITIVE_CREATE& sensitive = secret.value.sensitive;
  SetPassword(options.password.span(), sensitive.userAuth);
  sensitive.data.size = static_cast<UINT16>(key.size());
  std::ranges::copy(key.span(), sensitive.data.buffer);
  // Without a password there is nothing to guess; with one, guesses count unless the user says otherwise.
  const bool no_da = options.no_da.value_or(sensitive.userAuth.size == 0);
  return parent.Create(secret.value, HmacKeyTemplate(no_da, policy == nullptr ? Bytes() : policy->digest));
}

Blobs Making::operator()(const WrappedKey& key) const {
  const TPM2B_PUBLIC area = UnmarshalPublic(key.public_area);
  return {area, parent.Import(area, UnmarshalPrivate(key.duplicate), UnmarshalSeed(key.seed))};
}

/// What can be said of the new key before the TPM is asked.
void CheckKey(const ImportOptions& options) {
  if (const auto* key = std::get_if<SecretBytes>(&options.key)) {
    if (!key->empty() && key->size() <= kMaxKey) return;
    throw Failure(Api::kNone, "ERR_INVALID_ARGUMENT", "an HMAC key in a TPM has 1..64 bytes");
  }
  const TPM2B_PUBLIC area = UnmarshalPublic(std::get<WrappedKey>(options.key).public_area);
  RequireHmacKey(area.publicArea);
  if (options.policy) RequirePolicy(area.publicArea, &*options.policy);
}

void Verify(ESYS_CONTEXT& esys, ESYS_TR key, Authorization& authorization, const Probe& probe) {
  if (probe.message.empty()) return;
  const Mac mac = MacCommands(esys).Compute(key, authorization, probe.message);
  if (!std::ranges::equal(mac.bytes, probe.mac)) {
    throw Failure(Api::kTpm, "ERR_IMPORT_VERIFY",
                  "the TPM's HMAC with the new key is wrong: nothing was kept")
        .At("TPM2_HMAC", 0, "");
  }
}

/// A new key's way into the TPM. One session proves the passwords and encrypts what crosses the bus.
class Importer {
 public:
  Importer(ESYS_CONTEXT& esys, const ImportOptions& options)
      : esys_(esys), options_(options), protection_{SecretBytes(options.password.span())} {
    const Object salt = FindSalt(esys, options.salt_key);  // before any password is needed
    authorization_.emplace(esys, protection_, salt.get(), policy());
  }

  Imported Import(const Probe& probe) {
    const auto [made, key] = Make(policy());
    try {
      Verify(esys_, key.get(), *authorization_, probe);
    } catch (const Failure& failure) {
      if (!IsUnsatisfied(failure) || std::holds_alternative<WrappedKey>(options_.key)) throw;
      VerifyTwin(probe);
    }
    Imported imported{Marshal(made.public_area), Marshal(*made.private_area), std::nullopt};
    if (options_.handle) {
      imported.handle =
          Owner(esys_, options_.owner, authorization_->session()).MakePersistent(key, *options_.handle);
    }
    return imported;
  }

 private:
  struct Made {
    Blobs blobs;
    Object key;
  };

  const Policy* policy() const { return options_.policy ? &*options_.policy : nullptr; }

  Made Make(const Policy* policy) {
    const bool in_clear = options_.owner.password_in_clear && options_.parent.handle == TPM2_RH_OWNER;
    const LoadedParent parent(esys_, options_.parent, authorization_->session(), in_clear);
    Blobs made = std::visit(Making{parent, options_, policy}, options_.key);
    Object key = parent.Load(*made.private_area, made.public_area);
    UsePassword(esys_, key.get(), options_.password.span());
    return {std::move(made), std::move(key)};
  }

  // The policy cannot be satisfied now: a key of the same secret that its password opens, and that nobody
  // keeps, shows that the TPM got the secret right.
  void VerifyTwin(const Probe& probe) {
    authorization_->ForgetPolicy();
    const Made twin = Make(nullptr);
    Verify(esys_, twin.key.get(), *authorization_, probe);
  }

  ESYS_CONTEXT& esys_;
  const ImportOptions& options_;
  const Protection protection_;
  std::optional<Authorization> authorization_;
};

}  // namespace

Imported ImportKey(ImportOptions options, const Probe& probe) {
  CheckKey(options);
  const Connection connection(options.tcti, options.timeout);
  ESYS_CONTEXT& esys = connection.esys();
  if (options.handle) RequireFree(esys, *options.handle);
  return Importer(esys, options).Import(probe);
}

}  // namespace aws_hmac::tpm
