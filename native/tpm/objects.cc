#include "tpm/objects.h"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <string>

#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

bool IsPersistent(ESYS_CONTEXT& esys, ESYS_TR object) noexcept {
  TPM2_HANDLE handle = 0;
  return Esys_TR_GetTpmHandle(&esys, object, &handle) == TSS2_RC_SUCCESS &&
         (handle >> TPM2_HR_SHIFT == TPM2_HT_PERSISTENT || handle >> TPM2_HR_SHIFT == TPM2_HT_NV_INDEX);
}

// ESYS keeps the password that a session proved last beside the session's key, and frees it unwiped: let it
// prove another. The TPM refuses the command for its handle, before it looks at any password.
void OverwritePassword(ESYS_CONTEXT& esys, ESYS_TR session) noexcept {
  TPM2B_AUTH filler{kMaxPassword, {}};
  std::ranges::fill(filler.buffer, 0xff);  // ESYS strips zeros
  const TPM2B_MAX_BUFFER nothing{};
  TPM2B_DIGEST* none = nullptr;
  Esys_TR_SetAuth(&esys, ESYS_TR_RH_NULL, &filler);
  Esys_HMAC(&esys, ESYS_TR_RH_NULL, session, ESYS_TR_NONE, ESYS_TR_NONE, &nothing, TPM2_ALG_SHA256, &none);
  Esys_TR_SetAuth(&esys, ESYS_TR_RH_NULL, nullptr);  // the NULL hierarchy has none
}

/// Lets a session prove that it is ours in a command that needs no authorization.
class Auditing {
 public:
  Auditing(ESYS_CONTEXT& esys, ESYS_TR session) noexcept : esys_(esys), session_(session) {
    Set(TPMA_SESSION_AUDIT);
  }
  Auditing(const Auditing&) = delete;
  Auditing& operator=(const Auditing&) = delete;
  ~Auditing() { Set(0); }

 private:
  void Set(TPMA_SESSION attributes) const noexcept {
    if (session_ == ESYS_TR_NONE) return;
    Esys_TRSess_SetAttributes(&esys_, session_, attributes, TPMA_SESSION_AUDIT);
  }

  ESYS_CONTEXT& esys_;
  ESYS_TR session_;
};

/// What the TPM says of an object's handle now.
struct Found {
  TSS2_RC rc;
  bool is_same = false;  // it has the name that we know
};

Found LookFor(ESYS_CONTEXT& esys, ESYS_TR object, ESYS_TR session, BackOff::Until until) noexcept {
  TPM2B_NAME* known = nullptr;
  if (const TSS2_RC rc = Esys_TR_GetName(&esys, object, &known); rc != TSS2_RC_SUCCESS) return {rc};
  const EsysPtr<TPM2B_NAME> owned_known(known);
  TPM2B_NAME* name = nullptr;
  const TSS2_RC rc = Answer(
      [&] {
        return Esys_ReadPublic(&esys, object, session, ESYS_TR_NONE, ESYS_TR_NONE, nullptr, &name, nullptr);
      },
      until);
  const EsysPtr<TPM2B_NAME> owned_name(name);
  return {rc, rc == TSS2_RC_SUCCESS && AreEqual(*known, *name)};
}

bool SaysGone(const Found& found) noexcept {
  return IsStale(found.rc) || IsOfSession(found.rc) || (found.rc == TSS2_RC_SUCCESS && !found.is_same);
}

bool IsSessionGone(ESYS_CONTEXT& esys, ESYS_TR session) noexcept {
  const Auditing audited(esys, session);
  TPM2B_DIGEST* random = nullptr;
  const TSS2_RC rc =
      End([&] { return Esys_GetRandom(&esys, session, ESYS_TR_NONE, ESYS_TR_NONE, 1, &random); });
  const EsysPtr<TPM2B_DIGEST> owned(random);
  // It has another key or cipher, if any. A policy's cannot audit, and lasts for no more than a command.
  return IsStale(rc) || (IsOfSession(rc) && !Answered(rc, TPM2_RC_ATTRIBUTES));
}

}  // namespace

// Nobody can be told of a failure here, and nothing is lost by it: the TPM was reset, or the connection is
// gone and the resource manager flushes what was ours.
void SessionTraits::Release(ESYS_CONTEXT& esys, Value session) noexcept {
  OverwritePassword(esys, session);
  if (IsSessionGone(esys, session)) return;
  End([&] { return Esys_FlushContext(&esys, session); });
}

void ObjectTraits::Release(ESYS_CONTEXT& esys, Value object) noexcept {
  constexpr TPM2B_AUTH kNothing{};
  Esys_TR_SetAuth(&esys, object, &kNothing);  // ESYS frees its copy of the password without wiping it
  if (IsPersistent(esys, object)) {
    Esys_TR_Close(&esys, &object);
  } else if (!SaysGone(LookFor(esys, object, ESYS_TR_NONE, BackOff::Until::kTheEnd))) {
    // Without a resource manager a TPM that was reset gives out the same handles again: what is there may
    // be another program's, which must not be flushed.
    End([&] { return Esys_FlushContext(&esys, object); });
  }
}

Object FindPersistent(ESYS_CONTEXT& esys, TPM2_HANDLE handle) {
  ESYS_TR object = ESYS_TR_NONE;
  Command("TPM2_ReadPublic", [&] {
    return Esys_TR_FromTPMPublic(&esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object);
  });
  return Object(esys, object);
}

EsysPtr<TPM2B_PUBLIC> ReadPublic(ESYS_CONTEXT& esys, ESYS_TR object) {
  TPM2B_PUBLIC* area = nullptr;
  Command("TPM2_ReadPublic", [&] {
    return Esys_ReadPublic(&esys, object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &area, nullptr, nullptr);
  });
  return EsysPtr<TPM2B_PUBLIC>(area);
}

EsysPtr<TPM2B_NAME> ObjectName(ESYS_CONTEXT& esys, ESYS_TR object) {
  TPM2B_NAME* name = nullptr;
  Check(Esys_TR_GetName(&esys, object, &name), "Esys_TR_GetName");
  return EsysPtr<TPM2B_NAME>(name);
}

bool AreEqual(const TPM2B_NAME& name, const TPM2B_NAME& other) noexcept {
  return std::ranges::equal(std::span(name.name, name.size), std::span(other.name, other.size));
}

bool IsStillThere(ESYS_CONTEXT& esys, ESYS_TR object, ESYS_TR session) noexcept {
  const Auditing audited(esys, session);
  return LookFor(esys, object, session, BackOff::Until::kNobodyWaits).is_same;
}

bool IsGone(ESYS_CONTEXT& esys, ESYS_TR object, ESYS_TR session) noexcept {
  const Auditing audited(esys, session);
  return SaysGone(LookFor(esys, object, session, BackOff::Until::kNobodyWaits));
}

Object LoadContext(ESYS_CONTEXT& esys, const Bytes& bytes) {
  TPMS_CONTEXT context{};
  size_t used = 0;
  if (Tss2_MU_TPMS_CONTEXT_Unmarshal(bytes.data(), bytes.size(), &used, &context) != TSS2_RC_SUCCESS ||
      used != bytes.size()) {
    throw Failure(Api::kNone, "ERR_TPM_FILE_INVALID", "the context file holds no valid TPMS_CONTEXT");
  }
  ESYS_TR object = ESYS_TR_NONE;
  const TSS2_RC rc = Answer([&] { return Esys_ContextLoad(&esys, &context, &object); });
  if (Decode(rc).layer != 0 && !IsBroken(rc)) {
    throw ToFailure(rc, "TPM2_ContextLoad", "ERR_TPM_FILE_INVALID",
                    "the context file was not written by tpm2-tools, or was altered");
  }
  if (Answered(rc, TPM2_RC_INTEGRITY) || Answered(rc, TPM2_RC_HANDLE) || Answered(rc, TPM2_RC_HIERARCHY) ||
      Answered(rc, TPM2_RC_SIZE)) {
    throw ToFailure(rc, "TPM2_ContextLoad", "ERR_TPM_CONTEXT",
                    "the context file is of another TPM, or older than this TPM's last reset");
  }
  Check(rc, "TPM2_ContextLoad");
  return Object(esys, object);
}

void SetPassword(std::span<const uint8_t> password, TPM2B_AUTH& auth, size_t longest) {
  if (password.size() > longest) {
    throw Failure(Api::kNone, "ERR_INVALID_ARGUMENT",
                  "this password in a TPM has at most " + std::to_string(longest) + " bytes");
  }
  while (!password.empty() && password.back() == 0) password = password.first(password.size() - 1);
  auth.size = static_cast<UINT16>(password.size());
  std::ranges::copy(password, auth.buffer);
}

void UsePassword(ESYS_CONTEXT& esys, ESYS_TR object, std::span<const uint8_t> password, size_t longest) {
  Wiped<TPM2B_AUTH> auth;
  SetPassword(password, auth.value, longest);
  Check(Esys_TR_SetAuth(&esys, object, &auth.value), "Esys_TR_SetAuth");
}

}  // namespace aws_hmac::tpm
