#pragma once

#include <cstdint>
#include <vector>

namespace aws_hmac {

/// Bytes that are not secret: key blobs, identifiers, messages.
using Bytes = std::vector<uint8_t>;

}  // namespace aws_hmac
