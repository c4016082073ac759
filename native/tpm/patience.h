#pragma once

#include <tss2/tss2_tpm2_types.h>

#include <chrono>

namespace aws_hmac::tpm {

/// How long the TPM may take for a command whose use is bounded by `timeout`: that long, or 120 s where that
/// is longer for commands that make keys or test the TPM, which honest hardware may need.
std::chrono::milliseconds PatienceFor(TPM2_CC command, std::chrono::milliseconds timeout);

}  // namespace aws_hmac::tpm
