#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/secret_bytes.h"

namespace aws_hmac {

/// An opened HMAC-SHA256 key in a device. Used by one thread of its worker at a time, and destroyed there.
class HmacDevice {
 public:
  HmacDevice() = default;
  HmacDevice(const HmacDevice&) = delete;
  HmacDevice& operator=(const HmacDevice&) = delete;
  /// Releases everything the device holds for us: sessions, transient objects, descriptors.
  virtual ~HmacDevice() = default;

  /// HMAC-SHA256 of a message of any length. Blocks; throws Failure.
  virtual Mac Sign(std::span<const uint8_t> message) = 0;

  /// One more way to the key, for another thread of the worker, until there are as many as there shall be:
  /// then nothing. A device that takes one command at a time, such as a TPM, has none. Does not block.
  virtual std::unique_ptr<HmacDevice> Another() { return nullptr; }

  /// Nothing has been asked for a while: gives up what others may wait for, until the next Sign. True to be
  /// told again after another while.
  virtual bool Rest() noexcept { return false; }
};

/// What an import checks before it keeps a key: the device must answer `mac` to `message`.
struct Probe {
  std::span<const uint8_t> message;
  std::span<const uint8_t> mac;  // 32 bytes, computed in software from the secret
};

}  // namespace aws_hmac
