#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "tpm/policy.h"

namespace aws_hmac::tpm {

/// What the digest of a policy needs, and only a TPM knows.
struct PolicyQuery {
  std::string tcti;
  std::chrono::milliseconds timeout;
  std::vector<PolicyPcr> pcrs;    // their digest does not matter
  std::vector<uint32_t> objects;  // persistent keys and NV indices
};

struct PolicyValues {
  std::vector<Bytes> pcrs;   // of each selection the values, one after another by ascending index; those of a
                             // bank that the TPM does not have are left out
  std::vector<Bytes> names;  // of each object; empty where there is none
};

/// Throws Failure.
PolicyValues ReadPolicyValues(const PolicyQuery& query);

}  // namespace aws_hmac::tpm
