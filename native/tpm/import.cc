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

/// ESYS keeps what TPM2_Create was given until its context goes, and frees it unwiped. A second call
/// overwrites that with zeros and fails at once; it spoils the context, so it comes last.
class EsysCopyOfSecret {
 public:
  explicit EsysCopyOfSecret(ESYS_CONTEXT& esys) : esys_(esys) {}
  EsysCopyOfSecret(const EsysCopyOfSecret&) = delete;
  EsysCopyOfSecret& operator=(const EsysCopyOfSecret&) = delete;
  ~EsysCopyOfSecret() {
    constexpr TPM2B_SENSITIVE_CREATE kNothing{};
    const TPM2B_PUBLIC area{};
    const TPM2B_DATA info{};
    const TPML_PCR_SELECTION no_pcr{};
    Esys_Create_Async(&esys_, ESYS_TR_NONE, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &kNothing, &area,
                      &info, &no_pcr);
  }

 private:
  ESYS_CONTEXT& esys_;
};

constexpr size_t kMaxKey = 64;  // SHA-256's block: the TPM refuses a longer HMAC key

/// Makes the new key's two halves.
struct Making {
  const LoadedParent& parent;
  const ImportOptions& options;

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
  return parent.Create(secret.value, HmacKeyTemplate(options.no_da.value_or(sensitive.userAuth.size == 0)));
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
  RequireHmacSha256(UnmarshalPublic(std::get<WrappedKey>(options.key).public_area).publicArea);
}

void Verify(ESYS_CONTEXT& esys, ESYS_TR key, const Authorization& authorization, const Probe& probe) {
  if (probe.message.empty()) return;
  const Mac mac = MacCommands(esys).Compute(key, authorization, probe.message);
  if (!std::ranges::equal(mac.bytes, probe.mac)) {
    throw Failure(Api::kTpm, "ERR_IMPORT_VERIFY",
                  "the TPM's HMAC with the new key is wrong: nothing was kept")
        .At("TPM2_HMAC", 0, "");
  }
}

}  // namespace

Imported ImportKey(ImportOptions options, const Probe& probe) {
  CheckKey(options);
  const Connection connection(options.tcti, options.timeout);
  ESYS_CONTEXT& esys = connection.esys();
  const EsysCopyOfSecret wiped_last(esys);
  if (options.handle) RequireFree(esys, *options.handle);

  // Salted before any password is needed; the session proves those and encrypts what crosses the bus.
  const Authorization authorization(esys, Protection{}, FindSalt(esys, options.salt_key).get());
  const bool in_clear = options.owner.password_in_clear && options.parent.handle == TPM2_RH_OWNER;
  std::optional<LoadedParent> parent(std::in_place, esys, options.parent, authorization.first(), in_clear);
  const Blobs made = std::visit(Making{*parent, options}, options.key);
  const Object key = parent->Load(*made.private_area, made.public_area);
  parent.reset();

  UsePassword(esys, key.get(), options.password.span());
  Verify(esys, key.get(), authorization, probe);
  Imported imported{Marshal(made.public_area), Marshal(*made.private_area), std::nullopt};
  if (options.handle) {
    imported.handle = Owner(esys, options.owner, authorization.first()).MakePersistent(key, *options.handle);
  }
  return imported;
}

}  // namespace aws_hmac::tpm
