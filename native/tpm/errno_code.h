#pragma once

#include <tss2/tss2_common.h>

#include <string>

namespace aws_hmac::tpm {

/// A system error between us and the TPM as a response code: in the range that a TCTI has for codes of its
/// own (TSS 2.0 Overview, 3.3), which SYS and ESYS pass on unchanged.
TSS2_RC FromErrno(int number);

/// What FromErrno was given; 0 where `rc` is none of its codes.
int ErrnoOf(TSS2_RC rc);

/// Such as ETIMEDOUT.
std::string ErrnoName(int number);

/// What a system error means to a user of this package.
struct ErrnoMeaning {
  const char* code;
  std::string words;
  bool retryable;
};
ErrnoMeaning MeaningOf(int number);

}  // namespace aws_hmac::tpm
