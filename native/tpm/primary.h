#pragma once

#include "tpm/objects.h"

namespace aws_hmac::tpm {

/// The H-2 primary of a hierarchy (ESYS_TR_RH_OWNER, ESYS_TR_RH_NULL): ECC P-256 with an empty `unique`, the
/// parent that TSS2 PEM files mean (draft-bottomley-tpm2-keys, 3.1.8). The same key each time it is made,
/// except in the NULL hierarchy, where it lasts until the TPM is reset. Keep it for a moment only: a TPM has
/// three slots.
Object CreatePrimary(ESYS_CONTEXT& esys, ESYS_TR hierarchy);

/// A parent as key files name it: 0x40000001 or 0x81……. Throws Failure, ERR_TPM_PARENT if it is neither.
Object OpenParent(ESYS_CONTEXT& esys, TPM2_HANDLE parent);

}  // namespace aws_hmac::tpm
