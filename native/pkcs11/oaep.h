#pragma once

#include <cstdint>
#include <span>

#include "core/bytes.h"

namespace aws_hmac::pkcs11 {

/// RSAES-OAEP (RFC 8017, 7.1) of `message` for this public key, big-endian, with `hash` ("SHA256" or "SHA1"),
/// MGF1 of the same hash and an empty label. Throws Failure ERR_KEY_UNSUITABLE where the key is too short.
Bytes EncryptOaep(std::span<const uint8_t> modulus, std::span<const uint8_t> exponent, const char* hash,
                  std::span<const uint8_t> message);

}  // namespace aws_hmac::pkcs11
