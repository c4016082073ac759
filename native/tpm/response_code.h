#pragma once

#include <tss2/tss2_common.h>
#include <tss2/tss2_tpm2_types.h>

#include <string>

#include "core/failure.h"

namespace aws_hmac::tpm {

/// A response code taken apart (TCG TPM 2.0 Part 2, 6.6.2; TSS 2.0 Overview, 3.3).
struct ResponseCode {
  enum class Subject { kNone, kParameter, kHandle, kSession };

  uint32_t layer;   // 0: the TPM itself, also behind a resource manager; 6 … 10: a part of tss2
  uint32_t error;   // comparable with TPM2_RC_…, or with TSS2_BASE_RC_… when layer is not 0
  Subject subject;  // what a format 1 code complains of
  uint32_t index;   // which one, from 1; 0 when the code does not say
};

ResponseCode Decode(TSS2_RC rc);

/// Such as TPM_RC_AUTH_FAIL, TSS2_TCTI_RC_IO_ERROR or ECONNRESET (see FromErrno); the number in hexadecimal
/// when it has no name.
std::string NameOf(TSS2_RC rc);

/// The failure that `rc` stands for; `command` is the TPM's name of it, such as TPM2_HMAC.
Failure ToFailure(TSS2_RC rc, const char* command);
/// The same with a code and words of the caller's, who knows more than the number says.
Failure ToFailure(TSS2_RC rc, const char* command, const char* code, const std::string& meaning);

/// Throws Failure unless `rc` is success.
void Check(TSS2_RC rc, const char* command);

/// Whether the TPM answered with this TPM2_RC_…, whatever handle or parameter it names.
bool Answered(TSS2_RC rc, TPM2_RC error);

/// The TPM could not start the command and may do so soon: RETRY, YIELDED, TESTING.
bool IsBusy(TSS2_RC rc);
/// A handle or session means nothing to the TPM any more: it was reset, or lost them.
bool IsStale(TSS2_RC rc);
/// The TPM complains of a session.
bool IsOfSession(TSS2_RC rc);
/// The password that was proved or sent is not the entity's.
bool IsWrongAuth(TSS2_RC rc);
/// The TPM did not answer in time.
bool IsTimeout(TSS2_RC rc);
/// The failure lies between us and the TPM, a time-out included; afterwards an ESYS context refuses every
/// call.
bool IsBroken(TSS2_RC rc);

}  // namespace aws_hmac::tpm
