#pragma once

#include <p11-kit/pkcs11.h>

#include <optional>
#include <span>
#include <string>

#include "core/bytes.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/session.h"
#include "pkcs11/template.h"

namespace aws_hmac::pkcs11 {

/// CKM_AES_KEY_WRAP_KWP (PKCS#11 3.0), which p11-kit's header lacks.
constexpr CK_MECHANISM_TYPE kAesKeyWrapKwp = 0x210B;

/// Makes the HMAC key by C_UnwrapKey, from `key` encrypted as `wrapping` says. Throws Failure.
NewKey UnwrapKey(const Session& session, const Wrapping& wrapping, std::span<const uint8_t> key,
                 CK_KEY_TYPE type, std::string& label, Bytes& id);

}  // namespace aws_hmac::pkcs11
