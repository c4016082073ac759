#pragma once

#include <tss2/tss2_common.h>

#include <chrono>

#include "tpm/response_code.h"

namespace aws_hmac::tpm {

/// The pauses between attempts of one command at a busy TPM: 10 ms, doubled each time, 2.5 s in all.
class BackOff {
 public:
  /// Waits when `rc` says that the TPM is busy and patience is left; false: take `rc` as the answer.
  bool ShallRetry(TSS2_RC rc);

 private:
  std::chrono::milliseconds pause_{10};
};

/// The answer of one TPM command, an ESYS call in a lambda. ESYS resends to a busy TPM too, but without any
/// pause.
template <typename EsysCall>
TSS2_RC Answer(EsysCall call) {
  BackOff back_off;
  TSS2_RC rc = call();
  while (back_off.ShallRetry(rc)) rc = call();
  return rc;
}

/// The same, throwing Failure unless it succeeds; `name` is the TPM's name of the command.
template <typename EsysCall>
void Command(const char* name, EsysCall call) {
  Check(Answer(call), name);
}

}  // namespace aws_hmac::tpm
