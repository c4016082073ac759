#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "core/bytes.h"

namespace aws_hmac::tpm {

/// The public area that an imported HMAC-SHA256 key gets; `no_da`: wrong passwords do not count.
TPM2B_PUBLIC HmacKeyTemplate(bool no_da);

/// Throws Failure, ERR_KEY_UNSUITABLE, unless the key makes HMAC-SHA256 of any message.
void RequireHmacSha256(const TPMT_PUBLIC& key);

/// Throws Failure unless the key makes HMAC-SHA256 and a password is enough to use it: ERR_KEY_UNSUITABLE,
/// ERR_TPM_POLICY.
void RequireHmacKey(const TPMT_PUBLIC& key);

/// To and from the bytes of key files. Throws Failure, ERR_PEM_INVALID for bytes that are not such a
/// structure.
Bytes Marshal(const TPM2B_PUBLIC& area);
Bytes Marshal(const TPM2B_PRIVATE& area);
TPM2B_PUBLIC UnmarshalPublic(const Bytes& bytes);
TPM2B_PRIVATE UnmarshalPrivate(const Bytes& bytes);
TPM2B_ENCRYPTED_SECRET UnmarshalSeed(const Bytes& bytes);

}  // namespace aws_hmac::tpm
