#include <algorithm>
#include <utility>

#include "tpm/capability.h"
#include "tpm/command.h"
#include "tpm/connection.h"
#include "tpm/key_area.h"
#include "tpm/mac.h"
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
  const TPM2B_PUBLIC area = HmacKeyTemplate(sensitive.userAuth.size > 0);
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

void MakePersistent(ESYS_CONTEXT& esys, ESYS_TR key, TPM2_HANDLE handle) {
  ESYS_TR persistent = ESYS_TR_NONE;
  Command("TPM2_EvictControl", [&] {
    return Esys_EvictControl(&esys, ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                             handle, &persistent);
  });
  Object(esys, persistent);
}

}  // namespace

Imported ImportKey(ImportOptions options, const Probe& probe) {
  constexpr size_t kMaxKey = 64;  // SHA-256's block: the TPM refuses a longer HMAC key
  if (options.key.empty() || options.key.size() > kMaxKey) {
    throw Failure(Api::kNone, "ERR_INVALID_ARGUMENT", "an HMAC key in a TPM has 1..64 bytes");
  }
  const Connection connection(options.tcti);
  ESYS_CONTEXT& esys = connection.esys();
  const EsysCopyOfSecret wiped_last(esys);
  if (options.handle) RequireFree(esys, *options.handle);

  Object parent = CreatePrimary(esys, ESYS_TR_RH_OWNER);
  const Protection protection;  // the parent has no password; the session encrypts what crosses the bus
  const Authorization authorization(esys, protection, parent.get());
  const Created created = Create(esys, parent.get(), authorization, options);
  const Object key = Load(esys, parent.get(), *created.private_area, *created.public_area);
  parent.Reset();

  UsePassword(esys, key.get(), options.password.span());
  Verify(esys, key.get(), authorization, probe);
  if (options.handle) MakePersistent(esys, key.get(), *options.handle);
  return {Marshal(*created.public_area), Marshal(*created.private_area), TPM2_RH_OWNER};
}

}  // namespace aws_hmac::tpm
