#pragma once

#include "tpm/objects.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// A primary of a hierarchy (ESYS_TR_RH_OWNER, …), made by its template: the same key each time, except in
/// the NULL hierarchy, where it lasts until the TPM is reset. Keep it for a moment only: a TPM has three
/// slots. `session` authorises with the hierarchy's password, which ESYS was told; ESYS_TR_PASSWORD sends it
/// in clear. Throws Failure, ERR_TPM_AUTH if that is not the hierarchy's password, ERR_TPM_PARENT if the
/// hierarchy is off.
Object CreatePrimary(ESYS_CONTEXT& esys, ESYS_TR hierarchy, Primary primary = Primary::kStorageEcc,
                     ESYS_TR session = ESYS_TR_PASSWORD);

/// Whether a key has the policy of the endorsement keys that TCG's low-range templates make, and no password:
/// PolicySecret with the endorsement hierarchy (EK Credential Profile 2.x, B.6.2, PolicyA with SHA-256).
bool WantsEndorsementPolicy(const TPMT_PUBLIC& key);

}  // namespace aws_hmac::tpm
