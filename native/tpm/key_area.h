#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "core/bytes.h"
#include "tpm/policy.h"

namespace aws_hmac::tpm {

/// The public area that an imported HMAC-SHA256 key gets; `no_da`: wrong passwords do not count. With the
/// digest of a policy that alone authorises its use; without one its password does.
TPM2B_PUBLIC HmacKeyTemplate(bool no_da, const Bytes& policy_digest = {});

/// Throws Failure, ERR_KEY_UNSUITABLE, unless the key makes HMAC-SHA256 of any message.
void RequireHmacKey(const TPMT_PUBLIC& key);

/// Whether the key can be used: by its password, or by a policy that a session of ours can satisfy.
bool HasUse(const TPMT_PUBLIC& key);

/// Throws Failure, ERR_TPM_POLICY, unless the policy is the key's, or its password is enough where `policy`
/// is null.
void RequirePolicy(const TPMT_PUBLIC& key, const Policy* policy);

/// To and from the bytes of key files. Throws Failure, ERR_TPM_FILE_INVALID for bytes that are not such a
/// structure.
Bytes Marshal(const TPM2B_PUBLIC& area);
Bytes Marshal(const TPM2B_PRIVATE& area);
TPM2B_PUBLIC UnmarshalPublic(const Bytes& bytes);
TPM2B_PRIVATE UnmarshalPrivate(const Bytes& bytes);
TPM2B_ENCRYPTED_SECRET UnmarshalSeed(const Bytes& bytes);

}  // namespace aws_hmac::tpm
