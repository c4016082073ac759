#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "tpm/policy.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// What a name is asked of: a persistent key, an NV index, or a primary, which is made for that.
struct NamedObject {
  uint32_t handle;                         // 0x4000000…: the hierarchy of a primary
  Primary primary = Primary::kStorageEcc;  // of a hierarchy only
  SecretBytes hierarchy_password{};        // the same; at most 64 bytes; may be empty
};

/// What the digest of a policy needs, and only a TPM knows.
struct PolicyQuery {
  std::string tcti;
  std::chrono::milliseconds timeout;
  std::vector<PolicyPcr> pcrs;  // their digest does not matter
  std::vector<NamedObject> objects;
};

struct PolicyValues {
  std::vector<Bytes> pcrs;   // of each selection the values, one after another by ascending index; those of a
                             // bank that the TPM does not have are left out
  std::vector<Bytes> names;  // of each object; empty where there is none
};

/// Throws Failure.
PolicyValues ReadPolicyValues(const PolicyQuery& query);

}  // namespace aws_hmac::tpm
