#pragma once

#include <optional>

#include "napi/options.h"
#include "tpm/policy.h"

namespace aws_hmac::napi {

/// The member `policy`, if there is one. lib/binding/addon.ts types it.
std::optional<tpm::Policy> PolicyOf(const Options& options);

/// `at`, `bank`, `selected` and `digest` of PCRs.
tpm::PolicyPcr PcrsOf(const Options& options);

}  // namespace aws_hmac::napi
