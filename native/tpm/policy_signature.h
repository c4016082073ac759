#pragma once

#include <tss2/tss2_esys.h>

#include "tpm/policy.h"

namespace aws_hmac::tpm {

/// What TPM2_PolicyAuthorize wants to see of a signature.
struct ApprovedPolicy {
  TPM2B_NAME key;           // that signed
  TPMT_TK_VERIFIED ticket;  // of the owner hierarchy
};

/// Has the TPM verify a signature, with a transient object for a moment. Throws Failure.
ApprovedPolicy VerifyApproval(ESYS_CONTEXT& esys, const PolicyAuthorize& step);

}  // namespace aws_hmac::tpm
