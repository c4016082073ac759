#include "tpm/owner.h"

#include "tpm/capability.h"
#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

void CheckEvictControl(TSS2_RC rc) {
  constexpr auto kCommand = "TPM2_EvictControl";
  if (Answered(rc, TPM2_RC_BAD_AUTH) || Answered(rc, TPM2_RC_AUTH_FAIL)) {
    throw ToFailure(rc, kCommand, "ERR_TPM_AUTH",
                    "the owner hierarchy's password is missing or wrong (option ownerAuth)");
  }
  Check(rc, kCommand);
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

}  // namespace

Owner::Owner(ESYS_CONTEXT& esys, const OwnerAuth& auth, ESYS_TR session)
    : esys_(esys), authorization_(auth.password_in_clear ? ESYS_TR_PASSWORD : session) {
  UsePassword(esys, ESYS_TR_RH_OWNER, auth.password.span(), kMaxParentPassword);
}

Owner::~Owner() {
  constexpr TPM2B_AUTH kNothing{};
  Esys_TR_SetAuth(&esys_, ESYS_TR_RH_OWNER, &kNothing);  // ESYS frees its copy of the password unwiped
}

TSS2_RC Owner::EvictControl(const Object& object, TPM2_HANDLE handle) const {
  ESYS_TR persistent = ESYS_TR_NONE;
  const TSS2_RC rc = Answer([&] {
    return Esys_EvictControl(&esys_, ESYS_TR_RH_OWNER, object.get(), authorization_, ESYS_TR_NONE,
                             ESYS_TR_NONE, handle, &persistent);
  });
  if (rc == TSS2_RC_SUCCESS && persistent != ESYS_TR_NONE) Object(esys_, persistent);
  return rc;
}

bool Owner::TryMakePersistent(const Object& key, TPM2_HANDLE handle) const {
  const TSS2_RC rc = EvictControl(key, handle);
  if (Answered(rc, TPM2_RC_NV_DEFINED)) return false;
  if (Answered(rc, TPM2_RC_HIERARCHY) || Answered(rc, TPM2_RC_ATTRIBUTES)) {
    throw ToFailure(rc, "TPM2_EvictControl", "ERR_TPM_PARENT",
                    "the owner cannot make a key under this parent persistent: ask for output \"pem\"");
  }
  CheckEvictControl(rc);
  return true;
}

TPM2_HANDLE Owner::MakePersistent(const Object& key, TPM2_HANDLE wanted) const {
  if (wanted != kFirstFreeHandle) {
    if (!TryMakePersistent(key, wanted)) throw ToFailure(TPM2_RC_NV_DEFINED, "TPM2_EvictControl");
    return wanted;
  }
  // Another program may take the handle in between: then the next one.
  TPM2_HANDLE handle = FirstFree(esys_, TPM2_PERSISTENT_FIRST);
  while (!TryMakePersistent(key, handle)) handle = FirstFree(esys_, handle + 1);
  return handle;
}

void Owner::Evict(const Object& persistent, TPM2_HANDLE handle) const {
  CheckEvictControl(EvictControl(persistent, handle));
}

void RequireFree(ESYS_CONTEXT& esys, TPM2_HANDLE wanted) {
  if (wanted != kFirstFreeHandle && HasHandle(esys, wanted)) {
    throw ToFailure(TPM2_RC_NV_DEFINED, "TPM2_GetCapability");
  }
}

}  // namespace aws_hmac::tpm
