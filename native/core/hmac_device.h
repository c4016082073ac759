#pragma once

#include <cstdint>
#include <span>

#include "core/secret_bytes.h"

namespace aws_hmac {

/// An opened HMAC-SHA256 key in a device. Made, used and destroyed on its worker's thread alone.
class HmacDevice {
 public:
  HmacDevice() = default;
  HmacDevice(const HmacDevice&) = delete;
  HmacDevice& operator=(const HmacDevice&) = delete;
  /// Releases everything the device holds for us: sessions, transient objects, descriptors.
  virtual ~HmacDevice() = default;

  /// HMAC-SHA256 of a message of any length. Blocks; throws Failure.
  virtual Mac Sign(std::span<const uint8_t> message) = 0;

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
