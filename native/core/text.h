#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

// Without streams and std::filesystem, whose locales would make a third of the prebuilt addon.
namespace aws_hmac {

/// As "0x1f".
inline std::string Hex(uint64_t number) {
  constexpr int kBase = 16;
  std::array<char, 2 * sizeof number> digits{};
  const auto [end, error] = std::to_chars(digits.begin(), digits.end(), number, kBase);
  return "0x" + std::string(digits.begin(), end);
}

/// Without links, `.` and `..`; as it is where there is no such file.
std::string RealPath(const std::string& path);

}  // namespace aws_hmac
