#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace aws_hmac {

/// Overwrites memory in a way that the compiler does not remove.
void Wipe(void* data, size_t size) noexcept;

/// Secret bytes: move-only, unprintable, wiped when dropped; their pages are kept out of core files and,
/// where the system's limit allows, out of swap.
class SecretBytes {
 public:
  SecretBytes() noexcept = default;
  explicit SecretBytes(size_t size);
  explicit SecretBytes(std::span<const uint8_t> copied);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  uint8_t* data() noexcept { return data_; }
  const uint8_t* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::span<const uint8_t> span() const noexcept { return {data_, size_}; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

/// An HMAC-SHA256: 32 bytes, a key of the SigV4 chain more often than not, so wiped when dropped.
struct Mac {
  std::array<uint8_t, 32> bytes{};

  Mac() noexcept = default;
  Mac(const Mac&) = delete;
  Mac& operator=(const Mac&) = delete;
  Mac(Mac&& other) noexcept : bytes(other.bytes) { Wipe(other.bytes.data(), other.bytes.size()); }
  Mac& operator=(Mac&& other) noexcept {
    bytes = other.bytes;
    if (this != &other) Wipe(other.bytes.data(), other.bytes.size());
    return *this;
  }
  ~Mac() { Wipe(bytes.data(), bytes.size()); }
};

}  // namespace aws_hmac
