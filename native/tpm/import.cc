#include <algorithm>
#include <utility>

#include "tpm/capability.h"
#include "tpm/command.h"
#include "tpm/connection.h"
#include "tpm/key_area.h"
#include "tpm/mac.h"
#include "tpm/owner.h"
#include "tpm/primary.h"
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

struct Created {
  EsysPtr<TPM2B_PUBLIC> public_area;
  EsysPtr<TPM2B_PRIVATE> private_area;
};

Created Create(ESYS_CONTEXT& esys, ESYS_TR parent, const Authorization& authorization,
               const ImportOptions& options) {
  Wiped<TPM2B_SENSITIVE_CREATE> secret;
  TPMS_SENSITIVE_CREATE& sensitive = secret.value.sensitive;
  SetPassword(options.password.span(), sensitive.userAuth);
  sensitive.data.size = static_cast<UINT16>(options.key.size());
  std::ranges::copy(options.key.span(), sensitive.data.buffer);
  // Without a password there is nothing to guess; with one, guesses count unless the user says otherwise.
  const TPM2B_PUBLIC area = HmacKeyTemplate(options.no_da.value_or(sensitive.userAuth.size == 0));
  const TPM2B_DATA nothing{};
  const TPML_PCR_SELECTION no_pcr{};
  TPM2B_PUBLIC* public_area = nullptr;
  TPM2B_PRIVATE* private_area = nullptr;
  Command("TPM2_Create", [&] {
    return Esys_Create(&esys, parent, authorization.first(), authorization.second(), ESYS_TR_NONE,
                       &secret.value, &area, &nothing, &no_pcr, &private_area, &public_area, nullptr, nullptr,
                       nullptr);
  });
  return {EsysPtr<TPM2B_PUBLIC>(public_area), EsysPtr<TPM2B_PRIVATE>(private_area)};
}

void Verify(ESYS_CONTEXT& esys, ESYS_TR key, const Authorization& authorization, const Probe& probe) {
  const Mac mac = MacCommands(esys).Compute(key, authorization, probe.message);
  if (!std::ranges::equal(mac.bytes, probe.mac)) {
    throw Failure(Api::kTpm, "ERR_IMPORT_VERIFY",
                  "the TPM's HMAC with the new key is wrong: nothing was kept")
        .At("TPM2_HMAC", 0, "");
  }
}

void RequireFree(ESYS_CONTEXT& esys, TPM2_HANDLE handle) {
  if (HasHandle(esys, handle)) throw ToFailure(TPM2_RC_NV_DEFINED, "TPM2_GetCapability");
}

// The first handle from `from` on that the TPM does not list.
TPM2_HANDLE FirstFree(ESYS_CONTEXT& esys, TPM2_HANDLE from) {
  for (const TPM2_HANDLE taken : PersistentHandles(esys)) {
    if (taken == from) from++;
  }
  if (from >= TPM2_PLATFORM_PERSISTENT) {
    throw Failure(Api::kTpm, "ERR_TPM_MEMORY", "every persistent handle of the owner hierarchy is taken");
  }
  return from;
}

TPM2_HANDLE MakePersistent(ESYS_CONTEXT& esys, const Owner& owner, const Object& key, TPM2_HANDLE wanted) {
  if (wanted != kFirstFreeHandle) {
    if (!owner.MakePersistent(key, wanted)) throw ToFailure(TPM2_RC_NV_DEFINED, "TPM2_EvictControl");
    return wanted;
  }
  // Another program may take the handle in between: then the next one.
  TPM2_HANDLE handle = FirstFree(esys, TPM2_PERSISTENT_FIRST);
  while (!owner.MakePersistent(key, handle)) handle = FirstFree(esys, handle + 1);
  return handle;
}

}  // namespace

Imported ImportKey(ImportOptions options, const Probe& probe) {
  constexpr size_t kMaxKey = 64;  // SHA-256's block: the TPM refuses a longer HMAC key
  if (options.key.empty() || options.key.size() > kMaxKey) {
    throw Failure(Api::kNone, "ERR_INVALID_ARGUMENT", "an HMAC key in a TPM has 1..64 bytes");
  }
  const Connection connection(options.tcti, options.timeout);
  ESYS_CONTEXT& esys = connection.esys();
  const EsysCopyOfSecret wiped_last(esys);
  if (options.handle && *options.handle != kFirstFreeHandle) RequireFree(esys, *options.handle);

  // Salted before the owner's password is needed; the session proves that and encrypts what crosses the bus.
  const Authorization authorization(esys, Protection{}, CreatePrimary(esys, ESYS_TR_RH_NULL).get());
  const Owner owner(esys, options.owner, authorization.first());
  Object parent = owner.CreatePrimary();
  const Created created = Create(esys, parent.get(), authorization, options);
  const Object key = Load(esys, parent.get(), *created.private_area, *created.public_area);
  parent.Reset();

  UsePassword(esys, key.get(), options.password.span());
  Verify(esys, key.get(), authorization, probe);
  std::optional<uint32_t> handle;
  if (options.handle) handle = MakePersistent(esys, owner, key, *options.handle);
  return {Marshal(*created.public_area), Marshal(*created.private_area), TPM2_RH_OWNER, handle};
}

}  // namespace aws_hmac::tpm
