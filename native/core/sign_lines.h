#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace aws_hmac {

/// HMAC-SHA256's block and digest, in bytes.
constexpr size_t kBlockSize = 64;
constexpr size_t kDigestSize = 32;

/// An HMAC-SHA256 key in its two padded blocks (RFC 2104): both are key material.
struct PaddedKey {
  std::span<const uint8_t, kBlockSize> inner;
  std::span<const uint8_t, kBlockSize> outer;
};

/// What messages that differ in one line have in common: each is `before` + line + `after`.
struct LineFrame {
  std::string_view before;
  std::string_view after;
};

/// For each of `lines` the HMAC-SHA256 of `head` + hex(SHA-256(message)): 64 hex digits each, one after the
/// other. Every line ends with \n, which is no part of it.
std::string SignLines(const PaddedKey& key, std::string_view head, const LineFrame& frame,
                      std::string_view lines);

}  // namespace aws_hmac
