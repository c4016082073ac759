#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "tpm/policy.h"

namespace aws_hmac::tpm {

/// The PCRs of a step, as the TPM takes them.
TPML_PCR_SELECTION SelectionOf(const PolicyPcr& step);

}  // namespace aws_hmac::tpm
