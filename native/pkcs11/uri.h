#pragma once

#include <optional>
#include <string>

#include "core/bytes.h"
#include "pkcs11/pkcs11.h"

namespace aws_hmac::pkcs11 {

/// What a `pkcs11:` URI says (RFC 7512). An empty text stands for an empty field or attribute.
struct Uri {
  TokenQuery token{};
  std::optional<std::string> label{};
  std::optional<Bytes> id{};
  std::optional<std::string> pin_source{};
};

/// As p11-kit understands it, which is lenient: lib/ judges the text first, and takes a PIN out. Throws
/// Failure ERR_PKCS11_URI.
Uri ParseUri(const std::string& text);

}  // namespace aws_hmac::pkcs11
