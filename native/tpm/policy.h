#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/secret_bytes.h"

/// Policies as lib/ resolves them: which commands satisfy them, with every parameter (TCG TPM 2.0 Part 3,
/// 23). `at` is the option's path, such as "policy[1].secret", for errors.
namespace aws_hmac::tpm {

/// TPM2_PolicyPCR.
struct PolicyPcr {
  std::string at;
  uint16_t bank;   // TPM_ALG_ID
  Bytes selected;  // bits of PCR 0, 1, …, the lowest first
  Bytes digest;    // over the values; empty for those of the moment
};

/// TPM2_PolicyAuthValue, or TPM2_PolicyPassword where the password `may_be_sent`: the digest is the same.
struct PolicyAuthValue {
  bool may_be_sent;
};

/// TPM2_PolicySecret.
struct PolicySecret {
  std::string at;
  uint32_t handle;       // a hierarchy, a persistent key or an NV index
  SecretBytes password;  // at most 64 bytes; may be empty
  Bytes policy_ref;
};

/// TPM2_PolicyAuthorize of what is satisfied so far.
struct PolicyAuthorize {
  std::string at;
  Bytes public_area;  // marshalled TPM2B_PUBLIC of the key that signed
  Bytes approved;     // the digest that was signed with `policy_ref`
  Bytes policy_ref;
  Bytes signed_digest;  // the hash of those two
  Bytes signature;      // marshalled TPMT_SIGNATURE
};

/// TPM2_PolicyCommandCode.
struct PolicyCommandCode {
  std::string at;
  uint32_t code;  // TPM_CC
};

/// TPM2_PolicyOR.
struct PolicyOr {
  std::string at;
  std::vector<Bytes> digests;
};

/// A step that an HMAC key cannot satisfy, or whose input is missing.
struct PolicyNever {
  std::string why;
};

using PolicyStep = std::variant<PolicyPcr, PolicyAuthValue, PolicySecret, PolicyAuthorize, PolicyCommandCode,
                                PolicyOr, PolicyNever>;

/// One way to satisfy a policy: one branch of each OR.
struct PolicyPath {
  std::string name;  // such as "policy[0].or[1]"
  std::vector<PolicyStep> steps;
};

struct Policy {
  std::vector<PolicyPath> paths;  // at least one; tried in this order
  Bytes digest;                   // what the paths lead to; empty where only the TPM knows it
  bool has_password = false;      // a password of the key was given, be it empty
};

}  // namespace aws_hmac::tpm
