#include "tpm/command.h"

#include <thread>

#include "core/worker.h"

namespace aws_hmac::tpm {

bool BackOff::ShallRetry(TSS2_RC rc) {
  constexpr std::chrono::milliseconds kLongest{1280};
  if (!IsBusy(rc) || pause_ > kLongest) return false;
  const auto pause = pause_;
  pause_ *= 2;
  if (until_ == Until::kNobodyWaits) return Worker::Pause(pause);
  std::this_thread::sleep_for(pause);
  return true;
}

}  // namespace aws_hmac::tpm
