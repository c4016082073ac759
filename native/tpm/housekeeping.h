#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// A persistent HMAC key.
struct ListedKey {
  uint32_t handle;
  Bytes name;           // name algorithm and digest of the public area (Part 1, 16)
  uint32_t attributes;  // TPMA_OBJECT
  Bytes policy;         // its digest; empty for none
  bool is_usable;       // OpenKey takes it, with its policy where userWithAuth is not set
};

/// The persistent keys that can make HMACs, by handle. Throws Failure.
std::vector<ListedKey> ListKeys(const std::string& tcti, std::chrono::milliseconds timeout = kDefaultTimeout);

/// A property of the TPM itself (Part 2, 6.13), e.g. TPM2_PT_LOCKOUT_COUNTER.
struct Property {
  uint32_t tag;
  uint32_t value;
};

/// All that the TPM tells. Throws Failure.
std::vector<Property> ReadProperties(const std::string& tcti,
                                     std::chrono::milliseconds timeout = kDefaultTimeout);

struct RemoveOptions {
  std::string tcti;
  uint32_t handle;  // of the owner's range
  OwnerAuth owner;
  bool force;                            // whatever it is
  std::optional<SaltKey> salt_key = {};  // by default a primary of the NULL hierarchy
  std::chrono::milliseconds timeout = kDefaultTimeout;
};

/// Evicts the object at exactly this handle. Throws Failure: ERR_KEY_NOT_FOUND, ERR_KEY_UNSUITABLE where it
/// is no HMAC key.
void RemoveKey(RemoveOptions options);

}  // namespace aws_hmac::tpm
