#pragma once

#include <tss2/tss2_common.h>

#include <chrono>

#include "tpm/response_code.h"

namespace aws_hmac::tpm {

/// The pauses between attempts of one command at a busy TPM: 10 ms, doubled each time, 2.5 s in all.
class BackOff {
 public:
  enum class Until { kNobodyWaits, kTheEnd };

  explicit BackOff(Until until) : until_(until) {}

  /// Waits when `rc` says that the TPM is busy and patience is left; false: take `rc` as the answer.
  bool ShallRetry(TSS2_RC rc);

 private:
  Until until_;
  std::chrono::milliseconds pause_{10};
};

/// The answer of one TPM command, an ESYS call in a lambda. ESYS resends to a busy TPM too, but without any
/// pause. Once nobody waits for it (see Worker::Pause) a busy TPM's answer is taken as it is.
template <typename EsysCall>
TSS2_RC Answer(EsysCall call, BackOff::Until until = BackOff::Until::kNobodyWaits) {
  BackOff back_off(until);
  TSS2_RC rc = call();
  while (back_off.ShallRetry(rc)) rc = call();
  return rc;
}

/// The same for what ends a thing of ours in the TPM, which nobody waits for.
template <typename EsysCall>
TSS2_RC End(EsysCall call) {
  return Answer(call, BackOff::Until::kTheEnd);
}

/// The same as Answer, throwing Failure unless it succeeds; `name` is the TPM's name of the command.
template <typename EsysCall>
void Command(const char* name, EsysCall call) {
  Check(Answer(call), name);
}

}  // namespace aws_hmac::tpm
