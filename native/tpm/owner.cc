#include "tpm/owner.h"

#include "tpm/capability.h"
#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

constexpr auto kCommand = "TPM2_EvictControl";

void CheckEvictControl(TSS2_RC rc) {
  if (IsWrongAuth(rc)) {
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
    : esys_(esys), session_(session), in_clear_(auth.password_in_clear) {
  UsePassword(esys, ESYS_TR_RH_OWNER, auth.password.span(), kMaxParentPassword);
}

Owner::~Owner() {
  constexpr TPM2B_AUTH kNothing{};
  Esys_TR_SetAuth(&esys_, ESYS_TR_RH_OWNER, &kNothing);  // ESYS frees its copy of the password unwiped
}

TSS2_RC Owner::EvictControl(const Object& object, TPM2_HANDLE handle) const {
  ESYS_TR persistent = ESYS_TR_NONE;
  // A second session must have a purpose: there is nothing to encrypt.
  const TPMA_SESSION purpose = in_clear_ ? TPMA_SESSION_AUDIT : 0;
  Check(Esys_TRSess_SetAttributes(&esys_, session_, purpose, TPMA_SESSION_AUDIT),
        "Esys_TRSess_SetAttributes");
  const TSS2_RC rc = Answer([&] {
    return Esys_EvictControl(&esys_, ESYS_TR_RH_OWNER, object.get(), in_clear_ ? ESYS_TR_PASSWORD : session_,
                             in_clear_ ? session_ : ESYS_TR_NONE, ESYS_TR_NONE, handle, &persistent);
  });
  if (rc == TSS2_RC_SUCCESS && persistent != ESYS_TR_NONE) Object(esys_, persistent);
  return rc;
}

bool Owner::TryMakePersistent(const Object& key, TPM2_HANDLE handle) const {
  const TSS2_RC rc = EvictControl(key, handle);
  if (Answered(rc, TPM2_RC_NV_DEFINED)) return false;
  if (Answered(rc, TPM2_RC_HIERARCHY) || Answered(rc, TPM2_RC_ATTRIBUTES)) {
    throw ToFailure(rc, kCommand, "ERR_TPM_PARENT",
                    "the owner cannot make a key under this parent persistent: ask for output \"pem\"");
  }
  CheckEvictControl(rc);
  return true;
}

TPM2_HANDLE Owner::MakePersistent(const Object& key, TPM2_HANDLE wanted) const {
  if (wanted != kFirstFreeHandle) {
    if (!TryMakePersistent(key, wanted)) throw ToFailure(TPM2_RC_NV_DEFINED, kCommand);
    return wanted;
  }
  // Another program may take the handle in between: then the next one.
  TPM2_HANDLE handle = FirstFree(esys_, TPM2_PERSISTENT_FIRST);
  while (!TryMakePersistent(key, handle)) handle = FirstFree(esys_, handle + 1);
  return handle;
}

bool Owner::WasReplaced(const Object& persistent) const {
  const auto before = ObjectName(esys_, persistent.get());
  TPM2B_NAME* now = nullptr;
  Command("TPM2_ReadPublic", [&] {
    return Esys_ReadPublic(&esys_, persistent.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &now,
                           nullptr);
  });
  const EsysPtr<TPM2B_NAME> owned_now(now);
  return !AreEqual(*before, *now);
}

void Owner::Evict(const Object& persistent, TPM2_HANDLE handle) const {
  const TSS2_RC rc = EvictControl(persistent, handle);
  if (IsWrongAuth(rc) && WasReplaced(persistent)) {
    throw ToFailure(rc, kCommand, "ERR_KEY_NOT_FOUND",
                    "another program has put another object at this handle meanwhile: it was not removed");
  }
  CheckEvictControl(rc);
}

void RequireFree(ESYS_CONTEXT& esys, TPM2_HANDLE wanted) {
  if (wanted != kFirstFreeHandle && HasHandle(esys, wanted)) {
    throw ToFailure(TPM2_RC_NV_DEFINED, "TPM2_GetCapability");
  }
}

}  // namespace aws_hmac::tpm
