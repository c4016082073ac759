#include "tpm/parent.h"

#include <string>

#include "tpm/command.h"
#include "tpm/primary.h"

namespace aws_hmac::tpm {
namespace {

/// A hierarchy whose password ESYS knows for a moment.
class OpenHierarchy {
 public:
  OpenHierarchy(ESYS_CONTEXT& esys, ESYS_TR hierarchy, const SecretBytes& password)
      : esys_(esys), hierarchy_(hierarchy) {
    UsePassword(esys, hierarchy, password.span(), kMaxParentPassword);
  }
  OpenHierarchy(const OpenHierarchy&) = delete;
  OpenHierarchy& operator=(const OpenHierarchy&) = delete;
  ~OpenHierarchy() {
    constexpr TPM2B_AUTH kNothing{};
    Esys_TR_SetAuth(&esys_, hierarchy_, &kNothing);
  }

  ESYS_TR get() const noexcept { return hierarchy_; }

 private:
  ESYS_CONTEXT& esys_;
  ESYS_TR hierarchy_;
};

ESYS_TR HierarchyOf(TPM2_HANDLE handle) {
  switch (handle) {
    case TPM2_RH_OWNER:
      return ESYS_TR_RH_OWNER;
    case TPM2_RH_ENDORSEMENT:
      return ESYS_TR_RH_ENDORSEMENT;
    case TPM2_RH_PLATFORM:
      return ESYS_TR_RH_PLATFORM;
    case TPM2_RH_NULL:
      return ESYS_TR_RH_NULL;
    default:
      throw Failure(Api::kNone, "ERR_TPM_PARENT", "a key's parent is a hierarchy or a persistent handle");
  }
}

SessionHandle SessionFor(ESYS_CONTEXT& esys, const Parent& parent, const Protection& protection) {
  const bool has_password = !parent.password.empty() || !parent.hierarchy_password.empty();
  if (!has_password || protection.password_in_clear) return {};
  // The parent is not there yet to be the salt. The NULL hierarchy never has a password.
  const Object salt = protection.encrypt ? CreatePrimary(esys, ESYS_TR_RH_NULL) : Object();
  return StartHmacSession(esys, salt.get(), protection.encrypt);
}

Object FindParent(ESYS_CONTEXT& esys, TPM2_HANDLE handle) {
  try {
    return FindPersistent(esys, handle);
  } catch (const Failure& failure) {
    if (!Answered(static_cast<TSS2_RC>(failure.number), TPM2_RC_HANDLE)) throw;
    throw ToFailure(static_cast<TSS2_RC>(failure.number), "TPM2_ReadPublic", "ERR_TPM_PARENT",
                    "the TPM does not have the key's parent");
  }
}

}  // namespace

LoadedParent::LoadedParent(ESYS_CONTEXT& esys, const Parent& parent, const Protection& protection)
    : esys_(esys), parent_(parent), session_(SessionFor(esys, parent, protection)) {
  if (parent.handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT) {
    object_ = FindParent(esys, parent.handle);
  } else {
    const OpenHierarchy hierarchy(esys, HierarchyOf(parent.handle), parent.hierarchy_password);
    object_ = CreatePrimary(esys, hierarchy.get(), parent.primary, session());
  }
  UsePassword(esys, object_.get(), parent.password.span(), kMaxParentPassword);
}

Object LoadedParent::Load(const TPM2B_PRIVATE& private_area, const TPM2B_PUBLIC& public_area) const {
  if (!WantsPolicy()) return tpm::Load(esys_, get(), private_area, public_area, session());
  // A policy session is good for one command.
  const SessionHandle policy = SatisfyEndorsementPolicy();
  return tpm::Load(esys_, get(), private_area, public_area, policy.get());
}

bool LoadedParent::WantsPolicy() const {
  return WantsEndorsementPolicy(ReadPublic(esys_, get())->publicArea);
}

SessionHandle LoadedParent::SatisfyEndorsementPolicy() const {
  SessionHandle policy = StartPolicySession(esys_);
  const OpenHierarchy endorsement(esys_, ESYS_TR_RH_ENDORSEMENT, parent_.hierarchy_password);
  const TSS2_RC rc = Answer([&] {
    return Esys_PolicySecret(&esys_, endorsement.get(), policy.get(), session(), ESYS_TR_NONE, ESYS_TR_NONE,
                             nullptr, nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (Answered(rc, TPM2_RC_BAD_AUTH) || Answered(rc, TPM2_RC_AUTH_FAIL)) {
    throw ToFailure(rc, "TPM2_PolicySecret", "ERR_TPM_AUTH",
                    "the password of the TPM's endorsement hierarchy is wrong or was not given");
  }
  Check(rc, "TPM2_PolicySecret");
  return policy;
}

}  // namespace aws_hmac::tpm
