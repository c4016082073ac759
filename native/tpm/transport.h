#pragma once

#include <tss2/tss2_common.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace aws_hmac::tpm {

using Deadline = std::chrono::steady_clock::time_point;

/// Carries commands to a TPM and its responses back, one at a time. Both directions are bounded: ETIMEDOUT
/// (see FromErrno) once the deadline has passed, after which the way is good for nothing more.
class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// One whole command.
  virtual TSS2_RC Send(std::span<const uint8_t> command, Deadline deadline) = 0;
  /// One whole response; `size` becomes its length.
  virtual TSS2_RC Receive(std::span<uint8_t> response, size_t& size, Deadline deadline) = 0;
  /// Gives up what other clients may wait for; the next command takes it again.
  virtual void Rest() noexcept {}
  /// How often others may have been let in so far: they may have changed anything.
  virtual unsigned turns() const noexcept { return 0; }
};

}  // namespace aws_hmac::tpm
