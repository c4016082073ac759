#pragma once

#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>

#include <cstddef>
#include <string_view>

namespace aws_hmac::pkcs11 {

/// A text of fixed width, padded with spaces, not terminated (PKCS#11 3.0, 3.2), without its padding.
template <size_t width>
std::string_view Text(const CK_UTF8CHAR (&field)[width]) {
  return {reinterpret_cast<const char*>(field), p11_kit_space_strlen(field, width)};
}

}  // namespace aws_hmac::pkcs11
