#include "tpm/parent.h"

#include <string>

#include "tpm/command.h"
#include "tpm/hierarchy.h"
#include "tpm/primary.h"
#include "tpm/salt.h"

namespace aws_hmac::tpm {
namespace {

bool HasPassword(const Parent& parent) {
  return !parent.password.empty() || !parent.hierarchy_password.empty();
}

SessionHandle StartSession(ESYS_CONTEXT& esys, const Protection& protection) {
  // The parent is not there yet to be the salt.
  const Object salt = protection.encrypt ? FindSalt(esys, std::nullopt) : Object();
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

// What TPM2_Load, TPM2_Create and TPM2_Import answer of a parent.
void CheckUse(TSS2_RC rc, const char* command) {
  if (IsWrongAuth(rc)) {
    throw ToFailure(
        rc, command, "ERR_TPM_AUTH",
        "the password of the key's parent is wrong or was not given (option parentAuth.password)");
  }
  if (Answered(rc, TPM2_RC_AUTH_UNAVAILABLE) || Answered(rc, TPM2_RC_AUTH_TYPE)) {
    throw ToFailure(rc, command, "ERR_TPM_PARENT", "the key's parent wants a policy that is not supported");
  }
  if (Answered(rc, TPM2_RC_TYPE)) {
    throw ToFailure(rc, command, "ERR_TPM_PARENT", "the key's parent is not a storage key");
  }
  Check(rc, command);
}

// A TPM finds faults of a wrapped key while it reads the parameters: 2 is the public area, 3 the wrapper, 4
// the seed. Some call a seed that they cannot decrypt a failure, which is not the failure mode if the TPM
// goes on working.
void CheckImport(ESYS_CONTEXT& esys, ESYS_TR parent, TSS2_RC rc) {
  constexpr auto kCommand = "TPM2_Import";
  const ResponseCode code = Decode(rc);
  const bool is_of_parameter = code.layer == 0 && code.subject == ResponseCode::Subject::kParameter;
  if (is_of_parameter && code.index == 2) {
    throw ToFailure(
        rc, kCommand, "ERR_TPM_FILE_INVALID",
        "the wrapped key is none that the TPM imports: its public area is not valid or not allowed");
  }
  const bool is_undecryptable = Answered(rc, TPM2_RC_FAILURE) && ReadPublic(esys, parent) != nullptr;
  if (is_of_parameter || is_undecryptable) {
    throw ToFailure(rc, kCommand, "ERR_TPM_PARENT",
                    "the key was wrapped for another TPM or for another parent than this, or it was altered");
  }
  CheckUse(rc, kCommand);
}

/// ESYS keeps what TPM2_Create was given until its context goes, and frees it unwiped: a second call
/// overwrites that with zeros, and goes no further for want of a parent. Not so once the connection broke
/// within the command: from then on ESYS takes nothing more.
class EsysCopyOfSecret {
 public:
  explicit EsysCopyOfSecret(ESYS_CONTEXT& esys) : esys_(esys) {}
  EsysCopyOfSecret(const EsysCopyOfSecret&) = delete;
  EsysCopyOfSecret& operator=(const EsysCopyOfSecret&) = delete;
  ~EsysCopyOfSecret() {
    constexpr ESYS_TR kUnknown = 0xffffffff;
    constexpr TPM2B_SENSITIVE_CREATE kNothing{};
    const TPM2B_PUBLIC area{};
    const TPM2B_DATA info{};
    const TPML_PCR_SELECTION no_pcr{};
    Esys_Create_Async(&esys_, kUnknown, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &kNothing, &area, &info,
                      &no_pcr);
  }

 private:
  ESYS_CONTEXT& esys_;
};

}  // namespace

LoadedParent::LoadedParent(ESYS_CONTEXT& esys, const Parent& parent, const Protection& protection,
                           ESYS_TR session)
    : esys_(esys), parent_(parent), session_(ESYS_TR_PASSWORD) {
  if (HasPassword(parent) && !protection.password_in_clear) {
    if (session == ESYS_TR_NONE) own_session_ = StartSession(esys, protection);
    session_ = own_session_ ? own_session_.get() : session;
  }
  Find(session_);
}

LoadedParent::LoadedParent(ESYS_CONTEXT& esys, const Parent& parent, ESYS_TR session,
                           bool hierarchy_password_in_clear)
    : esys_(esys), parent_(parent), session_(session), encrypts_(true) {
  Find(hierarchy_password_in_clear ? ESYS_TR_PASSWORD : session);
}

void LoadedParent::Find(ESYS_TR hierarchy_session) {
  if (parent_.handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT) {
    object_ = FindParent(esys_, parent_.handle);
  } else {
    const OpenHierarchy hierarchy(esys_, parent_.handle, parent_.hierarchy_password);
    object_ = CreatePrimary(esys_, hierarchy.get(), parent_.primary, hierarchy_session);
  }
  UsePassword(esys_, object_.get(), parent_.password.span(), kMaxParentPassword);
}

Object LoadedParent::Load(const TPM2B_PRIVATE& private_area, const TPM2B_PUBLIC& public_area) const {
  ESYS_TR object = ESYS_TR_NONE;
  const TSS2_RC rc = Use([&](ESYS_TR first, ESYS_TR second) {
    return Esys_Load(&esys_, get(), first, second, ESYS_TR_NONE, &private_area, &public_area, &object);
  });
  CheckUse(rc, "TPM2_Load");
  return Object(esys_, object);
}

Blobs LoadedParent::Create(const TPM2B_SENSITIVE_CREATE& secret, const TPM2B_PUBLIC& area) const {
  const TPM2B_DATA nothing{};
  const TPML_PCR_SELECTION no_pcr{};
  TPM2B_PUBLIC* public_area = nullptr;
  TPM2B_PRIVATE* private_area = nullptr;
  const EsysCopyOfSecret wiped_in_the_end(esys_);
  const TSS2_RC rc = Use([&](ESYS_TR first, ESYS_TR second) {
    return Esys_Create(&esys_, get(), first, second, ESYS_TR_NONE, &secret, &area, &nothing, &no_pcr,
                       &private_area, &public_area, nullptr, nullptr, nullptr);
  });
  CheckUse(rc, "TPM2_Create");
  const EsysPtr<TPM2B_PUBLIC> owned(public_area);
  return {*owned, EsysPtr<TPM2B_PRIVATE>(private_area)};
}

EsysPtr<TPM2B_PRIVATE> LoadedParent::Import(const TPM2B_PUBLIC& area, const TPM2B_PRIVATE& duplicate,
                                            const TPM2B_ENCRYPTED_SECRET& seed) const {
  const TPM2B_DATA no_key{};
  const TPMT_SYM_DEF_OBJECT no_inner_wrapper{.algorithm = TPM2_ALG_NULL, .keyBits = {}, .mode = {}};
  TPM2B_PRIVATE* private_area = nullptr;
  const TSS2_RC rc = Use([&](ESYS_TR first, ESYS_TR second) {
    return Esys_Import(&esys_, get(), first, second, ESYS_TR_NONE, &no_key, &area, &duplicate, &seed,
                       &no_inner_wrapper, &private_area);
  });
  CheckImport(esys_, get(), rc);
  return EsysPtr<TPM2B_PRIVATE>(private_area);
}

// A policy session is good for one command, and encrypts nothing: the caller's session does, where there is
// one.
template <typename EsysCall>
TSS2_RC LoadedParent::Use(EsysCall call) const {
  const SessionHandle policy = WantsPolicy() ? SatisfyEndorsementPolicy() : SessionHandle();
  const ESYS_TR first = policy ? policy.get() : session_;
  const ESYS_TR second = policy && encrypts_ ? session_ : ESYS_TR_NONE;
  return Answer([&] { return call(first, second); });
}

bool LoadedParent::WantsPolicy() const {
  return WantsEndorsementPolicy(ReadPublic(esys_, get())->publicArea);
}

SessionHandle LoadedParent::SatisfyEndorsementPolicy() const {
  SessionHandle policy = StartPolicySession(esys_);
  const OpenHierarchy endorsement(esys_, TPM2_RH_ENDORSEMENT, parent_.hierarchy_password);
  const TSS2_RC rc = Answer([&] {
    return Esys_PolicySecret(&esys_, endorsement.get(), policy.get(), session_, ESYS_TR_NONE, ESYS_TR_NONE,
                             nullptr, nullptr, nullptr, 0, nullptr, nullptr);
  });
  if (IsWrongAuth(rc)) {
    throw ToFailure(rc, "TPM2_PolicySecret", "ERR_TPM_AUTH",
                    "the password of the TPM's endorsement hierarchy is wrong or was not given "
                    "(option parentAuth.hierarchyPassword)");
  }
  Check(rc, "TPM2_PolicySecret");
  return policy;
}

}  // namespace aws_hmac::tpm
