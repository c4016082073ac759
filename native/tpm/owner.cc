#include "tpm/owner.h"

#include "tpm/command.h"
#include "tpm/primary.h"

namespace aws_hmac::tpm {
namespace {

bool IsWrongPassword(TSS2_RC rc) { return Answered(rc, TPM2_RC_BAD_AUTH) || Answered(rc, TPM2_RC_AUTH_FAIL); }

Failure WrongPassword(TSS2_RC rc, const char* command) {
  return ToFailure(rc, command, "ERR_TPM_AUTH",
                   "the owner hierarchy's password is missing or wrong (option ownerAuth)");
}

void CheckOwner(TSS2_RC rc, const char* command) {
  if (IsWrongPassword(rc)) throw WrongPassword(rc, command);
  Check(rc, command);
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

Object Owner::CreatePrimary() const {
  try {
    return tpm::CreatePrimary(esys_, ESYS_TR_RH_OWNER, Primary::kStorageEcc, authorization_);
  } catch (const Failure& failure) {
    const auto rc = static_cast<TSS2_RC>(failure.number);
    if (failure.api != Api::kTpm || !IsWrongPassword(rc)) throw;
    throw WrongPassword(rc, "TPM2_CreatePrimary");
  }
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

bool Owner::MakePersistent(const Object& key, TPM2_HANDLE handle) const {
  const TSS2_RC rc = EvictControl(key, handle);
  if (Answered(rc, TPM2_RC_NV_DEFINED)) return false;
  CheckOwner(rc, "TPM2_EvictControl");
  return true;
}

void Owner::Evict(const Object& persistent, TPM2_HANDLE handle) const {
  CheckOwner(EvictControl(persistent, handle), "TPM2_EvictControl");
}

}  // namespace aws_hmac::tpm
