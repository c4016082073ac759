#pragma once

#include <optional>

#include "tpm/objects.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {

/// A key to salt a session with, in the TPM for a moment: `key`, which is what is known of it, or else a
/// primary of the NULL hierarchy, which never has a password and costs no NV. Throws Failure:
/// ERR_TPM_SALT_KEY where the key is missing, cannot be a salt key, or is another than the known one.
Object FindSalt(ESYS_CONTEXT& esys, const std::optional<SaltKey>& key);

/// A primary, as CreatePrimary makes it; the hierarchy's password, if it has one, is proved and not sent.
Object MakePrimary(ESYS_CONTEXT& esys, uint32_t hierarchy, Primary primary, const SecretBytes& password);

}  // namespace aws_hmac::tpm
