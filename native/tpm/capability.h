#pragma once

#include <tss2/tss2_esys.h>

#include <vector>

namespace aws_hmac::tpm {

/// The most bytes that one buffer parameter may have (TPM2_PT_INPUT_BUFFER). Throws Failure.
uint32_t InputBufferSize(ESYS_CONTEXT& esys);

/// Whether the TPM implements a command. Throws Failure.
bool HasCommand(ESYS_CONTEXT& esys, TPM2_CC command);

/// Whether something is at this handle. Throws Failure.
bool HasHandle(ESYS_CONTEXT& esys, TPM2_HANDLE handle);

/// Every persistent handle, rising. Throws Failure.
std::vector<TPM2_HANDLE> PersistentHandles(ESYS_CONTEXT& esys);

/// Every property, fixed and variable (Part 2, 6.13). Throws Failure.
std::vector<TPMS_TAGGED_PROPERTY> Properties(ESYS_CONTEXT& esys);

}  // namespace aws_hmac::tpm
