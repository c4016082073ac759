#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace aws_hmac::tpm {

/// What every command and every response begins with: tag, size of the whole, command or response code (TCG
/// TPM 2.0 Part 1, 18).
inline constexpr size_t kHeaderSize = 10;

inline uint32_t ReadUint32(std::span<const uint8_t> bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 |
         uint32_t{bytes[at + 3]};
}

inline void WriteUint32(std::span<uint8_t> bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < sizeof value; i++) bytes[at + i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

/// Of a command or response with a header.
inline uint32_t SizeOf(std::span<const uint8_t> frame) { return ReadUint32(frame, 2); }
inline uint32_t CodeOf(std::span<const uint8_t> frame) { return ReadUint32(frame, 6); }

}  // namespace aws_hmac::tpm
