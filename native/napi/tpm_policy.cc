#include "napi/tpm_policy.h"

#include <limits>
#include <utility>

namespace aws_hmac::napi {
namespace {

tpm::PolicyStep StepOf(const Options& step) {
  const std::string kind = step.String("kind");
  if (kind == "pcr") return PcrsOf(step);
  if (kind == "authValue") return tpm::PolicyAuthValue{.may_be_sent = step.Boolean("mayBeSent")};
  if (kind == "secret") {
    return tpm::PolicySecret{.at = step.String("at"),
                             .handle = step.Uint32("handle"),
                             .password = step.Secret("password"),
                             .policy_ref = step.ByteArray("policyRef")};
  }
  if (kind == "authorize") {
    return tpm::PolicyAuthorize{.at = step.String("at"),
                                .public_area = step.ByteArray("publicArea"),
                                .approved = step.ByteArray("approved"),
                                .policy_ref = step.ByteArray("policyRef"),
                                .signed_digest = step.ByteArray("signedDigest"),
                                .signature = step.ByteArray("signature")};
  }
  if (kind == "commandCode") {
    return tpm::PolicyCommandCode{.at = step.String("at"), .code = step.Uint32("code")};
  }
  if (kind == "or") return tpm::PolicyOr{.at = step.String("at"), .digests = step.ByteArrays("digests")};
  if (kind == "never") return tpm::PolicyNever{.why = step.String("why")};
  step.Refuse("kind", "a step that is known");
}

tpm::PolicyPath PathOf(const Options& path) {
  tpm::PolicyPath result{.name = path.String("name"), .steps = {}};
  for (const Options& step : path.List("steps")) result.steps.push_back(StepOf(step));
  return result;
}

}  // namespace

tpm::PolicyPcr PcrsOf(const Options& options) {
  const uint32_t bank = options.Uint32("bank");
  if (bank > std::numeric_limits<uint16_t>::max()) options.Refuse("bank", "a TPM_ALG_ID");
  return {.at = options.String("at"),
          .bank = static_cast<uint16_t>(bank),
          .selected = options.ByteArray("selected"),
          .digest = options.ByteArray("digest")};
}

std::optional<tpm::Policy> PolicyOf(const Options& options) {
  if (!options.Has("policy")) return std::nullopt;
  const Options policy = options.Nested("policy");
  tpm::Policy result{
      .paths = {}, .digest = policy.ByteArray("digest"), .has_password = policy.Boolean("hasPassword")};
  for (const Options& path : policy.List("paths")) result.paths.push_back(PathOf(path));
  if (result.paths.empty()) policy.Refuse("paths", "a list of at least one path");
  return result;
}

}  // namespace aws_hmac::napi
