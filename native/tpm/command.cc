#include "tpm/command.h"

#include <thread>

namespace aws_hmac::tpm {

bool BackOff::ShallRetry(TSS2_RC rc) {
  constexpr std::chrono::milliseconds kLongest{1280};
  if (!IsBusy(rc) || pause_ > kLongest) return false;
  std::this_thread::sleep_for(pause_);
  pause_ *= 2;
  return true;
}

}  // namespace aws_hmac::tpm
