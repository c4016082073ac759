// The steps of a PolicySession, a TPM2_Policy… command each.
#include "core/text.h"
#include "tpm/command.h"
#include "tpm/hierarchy.h"
#include "tpm/pcr_selection.h"
#include "tpm/policy_session.h"
#include "tpm/sized.h"

namespace aws_hmac::tpm {
namespace {

constexpr const char* kUnsatisfied = "ERR_POLICY_UNSATISFIED";

// The TPM compares, and finds another value than this policy wants.
void CheckValue(TSS2_RC rc, const char* command, const std::string& why) {
  if (Answered(rc, TPM2_RC_VALUE) && Decode(rc).subject == ResponseCode::Subject::kParameter) {
    throw ToFailure(rc, command, kUnsatisfied, why);
  }
  Check(rc, command);
}

Object FindSecretObject(ESYS_CONTEXT& esys, const PolicySecret& step) {
  try {
    return FindPersistent(esys, step.handle);
  } catch (const Failure& failure) {
    if (!Answered(static_cast<TSS2_RC>(failure.number), TPM2_RC_HANDLE)) throw;
    // Without the number, which elsewhere says that the TPM lost what is ours.
    throw Failure(Api::kTpm, kUnsatisfied, step.at + ".object: the TPM has nothing at " + Hex(step.handle))
        .At(failure.operation, 0, "");
  }
}

}  // namespace

void PolicySession::Satisfy(const PolicyPcr& step) {
  const TPML_PCR_SELECTION selection = SelectionOf(step);
  const auto digest = Sized<TPM2B_DIGEST>(step.digest);
  const TSS2_RC rc = Answer([&] {
    return Esys_PolicyPCR(&esys_, session_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digest,
                          &selection);
  });
  if (Answered(rc, TPM2_RC_HASH)) {
    throw ToFailure(rc, "TPM2_PolicyPCR", kUnsatisfied, step.at + ".bank is one that the TPM does not have");
  }
  CheckValue(rc, "TPM2_PolicyPCR", step.at + ": the PCRs have other values now");
}

void PolicySession::Satisfy(const PolicyAuthValue& step) {
  if (step.may_be_sent && password_in_clear_) {
    Command("TPM2_PolicyPassword", [&] {
      return Esys_PolicyPassword(&esys_, session_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
    });
  } else {
    Command("TPM2_PolicyAuthValue", [&] {
      return Esys_PolicyAuthValue(&esys_, session_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
    });
  }
}

void PolicySession::Satisfy(const PolicySecret& step) {
  if (step.handle >> TPM2_HR_SHIFT == TPM2_HT_PERMANENT) {
    const OpenHierarchy hierarchy(esys_, step.handle, step.password);
    ProveSecret(step, hierarchy.get());
  } else {
    const Object object = FindSecretObject(esys_, step);
    UsePassword(esys_, object.get(), step.password.span(), kMaxParentPassword);
    ProveSecret(step, object.get());
  }
}

void PolicySession::ProveSecret(const PolicySecret& step, ESYS_TR object) {
  constexpr auto kCommand = "TPM2_PolicySecret";
  const auto policy_ref = Sized<TPM2B_NONCE>(step.policy_ref);
  const TSS2_RC rc = Answer([&] {
    return Esys_PolicySecret(&esys_, object, session_.get(), hmac_session_, ESYS_TR_NONE, ESYS_TR_NONE,
                             nullptr, nullptr, &policy_ref, 0, nullptr, nullptr);
  });
  if (IsWrongAuth(rc)) {
    throw ToFailure(rc, kCommand, "ERR_TPM_AUTH",
                    "the password of " + Hex(step.handle) + " is wrong or was not given (option " + step.at +
                        ".password)");
  }
  if (Answered(rc, TPM2_RC_AUTH_UNAVAILABLE) || Answered(rc, TPM2_RC_AUTH_TYPE)) {
    throw ToFailure(rc, kCommand, kUnsatisfied, step.at + ".object has no password to be used with");
  }
  Check(rc, kCommand);
}

void PolicySession::Satisfy(const PolicyAuthorize& step) {
  auto found = approved_.find(&step);
  if (found == approved_.end()) found = approved_.emplace(&step, VerifyApproval(esys_, step)).first;
  const auto approved = Sized<TPM2B_DIGEST>(step.approved);
  const auto policy_ref = Sized<TPM2B_NONCE>(step.policy_ref);
  const TSS2_RC rc = Answer([&] {
    return Esys_PolicyAuthorize(&esys_, session_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &approved,
                                &policy_ref, &found->second.key, &found->second.ticket);
  });
  if (rc != TSS2_RC_SUCCESS) approved_.erase(found);
  CheckValue(rc, "TPM2_PolicyAuthorize", step.at + ": what was satisfied is not the policy that was signed");
}

void PolicySession::Satisfy(const PolicyCommandCode& step) {
  Command("TPM2_PolicyCommandCode", [&] {
    return Esys_PolicyCommandCode(&esys_, session_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  step.code);
  });
}

void PolicySession::Satisfy(const PolicyOr& step) {
  TPML_DIGEST digests{};
  for (const Bytes& digest : step.digests) {
    if (digests.count < std::size(digests.digests)) {
      digests.digests[digests.count++] = Sized<TPM2B_DIGEST>(digest);
    }
  }
  const TSS2_RC rc = Answer([&] {
    return Esys_PolicyOR(&esys_, session_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &digests);
  });
  CheckValue(rc, "TPM2_PolicyOR", step.at + ": what was satisfied is none of its branches");
}

void PolicySession::Satisfy(const PolicyNever& step) {
  throw Failure(Api::kTpm, kUnsatisfied, step.why).At("TPM2_PolicyRestart", 0, "");
}

}  // namespace aws_hmac::tpm
