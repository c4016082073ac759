#pragma once

#include <string>

#include "tpm/descriptor.h"
#include "tpm/transport.h"

namespace aws_hmac::tpm {

/// A TPM's device file. libtss2's own answers one and the same number for a missing, a forbidden and a busy
/// device, writes its commands into whatever file it is given, and lets programs that ours starts inherit the
/// device.
class DeviceTransport : public Transport {
 public:
  /// Throws Failure unless `path` is a character device that can be opened now.
  explicit DeviceTransport(std::string path);
  DeviceTransport(const DeviceTransport&) = delete;
  DeviceTransport& operator=(const DeviceTransport&) = delete;
  ~DeviceTransport() override;

  TSS2_RC Send(std::span<const uint8_t> command, Deadline deadline) override;
  TSS2_RC Receive(std::span<uint8_t> response, size_t& size, Deadline deadline) override;
  void Rest() noexcept override;
  unsigned turns() const noexcept override { return turns_; }

 private:
  TSS2_RC Reopen(Deadline deadline);

  const std::string path_;
  const bool shared_;
  Descriptor device_;
  bool awaits_response_ = false;
  unsigned turns_ = 0;
};

}  // namespace aws_hmac::tpm
