#include "tpm/policy_session.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "tpm/authorization.h"
#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

constexpr const char* kUnsatisfied = "ERR_POLICY_UNSATISFIED";

Failure Unsatisfied(const std::string& why) {
  return Failure(Api::kTpm, kUnsatisfied, why).At("TPM2_PolicyRestart", 0, "");
}

bool IsPcrChanged(const Failure& failure) {
  return Answered(static_cast<TSS2_RC>(failure.number), TPM2_RC_PCR_CHANGED);
}

bool WantsPassword(const PolicyPath& path) {
  return std::ranges::any_of(
      path.steps, [](const PolicyStep& step) { return std::holds_alternative<PolicyAuthValue>(step); });
}

const char* CommandName(TPM2_CC command) { return command == TPM2_CC_HMAC ? "TPM2_HMAC" : "TPM2_HMAC_Start"; }

/// Why a step cannot be satisfied for a command, whatever the TPM says; empty where it may be.
std::string ObstacleIn(const PolicyStep& step, TPM2_CC command) {
  if (const auto* never = std::get_if<PolicyNever>(&step)) return never->why;
  const auto* only = std::get_if<PolicyCommandCode>(&step);
  if (only == nullptr || only->code == command) return "";
  return only->at + " allows another command than " + CommandName(command) +
         (command == TPM2_CC_HMAC ? "" : ", which a message of this length needs");
}

std::string ObstacleOf(const Policy& policy, const PolicyPath& path, TPM2_CC command) {
  for (const PolicyStep& step : path.steps) {
    if (std::string why = ObstacleIn(step, command); !why.empty()) return why;
  }
  // Where there is one way only, the password is the empty one.
  const bool is_missing = policy.paths.size() > 1 && !policy.has_password && WantsPassword(path);
  return is_missing ? "the key's password was not given (option auth.password, which may be empty)" : "";
}

Failure NoneLeft(const std::vector<std::pair<std::string, Failure>>& refusals) {
  const Failure& last = refusals.back().second;
  std::string words = "no branch of the key's policy can be satisfied now:";
  for (const auto& [name, failure] : refusals) words += " " + name + ": " + failure.what() + ";";
  words.back() = '.';
  return Failure(Api::kTpm, kUnsatisfied, words).At(last.operation, last.number, last.number_name);
}

}  // namespace

bool IsUnsatisfied(const Failure& failure) { return std::string_view(failure.code) == kUnsatisfied; }

PolicySession::PolicySession(ESYS_CONTEXT& esys, const Policy& policy, std::span<const uint8_t> key_password,
                             bool password_in_clear, ESYS_TR hmac_session, ESYS_TR salt_key)
    : esys_(esys),
      policy_(policy),
      key_password_(key_password),
      password_in_clear_(password_in_clear),
      hmac_session_(hmac_session),
      session_(StartPolicySession(esys, salt_key)) {}

bool PolicySession::Names(TPM2_CC command) const {
  return std::ranges::any_of(policy_.paths, [&](const PolicyPath& path) {
    return std::ranges::any_of(path.steps, [&](const PolicyStep& step) {
      const auto* only = std::get_if<PolicyCommandCode>(&step);
      return only != nullptr && only->code == command;
    });
  });
}

TSS2_RC PolicySession::Authorise(ESYS_TR key, TPM2_CC command, const Use& use) {
  std::vector<std::pair<std::string, Failure>> refusals;
  for (const PolicyPath& path : policy_.paths) {
    try {
      const std::string obstacle = ObstacleOf(policy_, path, command);
      if (!obstacle.empty()) throw Unsatisfied(obstacle);
      return Take(path, key, command, use);
    } catch (const Failure& failure) {
      if (!IsUnsatisfied(failure) || policy_.paths.size() == 1) throw;
      refusals.emplace_back(path.name, failure);
    }
  }
  throw NoneLeft(refusals);
}

TSS2_RC PolicySession::Take(const PolicyPath& path, ESYS_TR key, TPM2_CC command, const Use& use) {
  // ESYS remembers for good that a session once had TPM2_PolicyAuthValue: an empty password leaves no trace.
  UsePassword(esys_, key, WantsPassword(path) ? key_password_ : std::span<const uint8_t>());
  for (bool again = false;; again = true) {
    try {
      Restart();
      for (const PolicyStep& step : path.steps) {
        std::visit([this](const auto& known) { Satisfy(known); }, step);
      }
      const TSS2_RC rc = use(session_.get());
      if (rc == TSS2_RC_SUCCESS) return rc;
      const Failure failure = ToFailure(rc, CommandName(command));
      if (IsUnsatisfied(failure) || IsPcrChanged(failure)) throw Failure(failure);
      return rc;
    } catch (const Failure& failure) {
      if (again || !IsPcrChanged(failure)) throw;
    }
  }
}

void PolicySession::Restart() {
  if (!is_fresh_) {
    Command("TPM2_PolicyRestart", [&] {
      return Esys_PolicyRestart(&esys_, session_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE);
    });
  }
  is_fresh_ = false;
}

}  // namespace aws_hmac::tpm
