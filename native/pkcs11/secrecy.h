#pragma once

#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <optional>
#include <span>

#include "pkcs11/session.h"

/// Whether a key stays on its token, by trying to get it out.
namespace aws_hmac::pkcs11 {

/// Whether C_GetAttributeValue gives the value, its length or a part of `key` (what it should be) away.
bool ValueComesOut(const Session& session, CK_OBJECT_HANDLE object, std::span<const uint8_t> key);

/// Whether C_WrapKey gives the key out under an AES key or a public RSA key that anybody who is logged in
/// could make; nothing where the token makes neither.
std::optional<bool> WrapsOut(const Session& session, CK_OBJECT_HANDLE object);

}  // namespace aws_hmac::pkcs11
