#pragma once

#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/secret_bytes.h"
#include "pkcs11/attribute.h"
#include "pkcs11/session.h"

/// Secret keys on a token: finding them and signing with one.
namespace aws_hmac::pkcs11 {

/// The token's secret keys that have this label and this id; what is not given may be anything.
std::vector<CK_OBJECT_HANDLE> FindSecretKeys(const Session& session, const std::optional<std::string>& label,
                                             const std::optional<Bytes>& id);

/// The one key among them that can make HMACs: CKK_GENERIC_SECRET or CKK_SHA256_HMAC with CKA_SIGN. Throws
/// Failure ERR_KEY_NOT_FOUND, ERR_KEY_AMBIGUOUS or ERR_KEY_UNSUITABLE.
CK_OBJECT_HANDLE FindHmacKey(const Session& session, const std::optional<std::string>& label,
                             const std::optional<Bytes>& id);

/// The token's objects that match, and have this label and this id.
std::vector<CK_OBJECT_HANDLE> FindObjects(const Session& session, std::vector<CK_ATTRIBUTE> attributes,
                                          const std::optional<std::string>& label,
                                          const std::optional<Bytes>& id);

/// Whether it is such a key, and has this label and this id.
bool IsNamed(const Session& session, CK_OBJECT_HANDLE object, const std::optional<std::string>& label,
             const std::optional<Bytes>& id);

/// Whether it is a secret key of one of those two types, and may sign.
bool IsHmacKey(const Session& session, CK_OBJECT_HANDLE object);

/// CKM_SHA256_HMAC of a message. Throws Failure.
Mac Sign(const Session& session, CK_OBJECT_HANDLE key, std::span<const uint8_t> message);

/// A copy of the key that lives in the session, as secret as the key. Throws Failure ERR_SESSION_COPY where
/// the module makes none, ERR_KEY_READABLE where its value could be read; neither leaves one.
CK_OBJECT_HANDLE CopyIntoSession(const Session& session, CK_OBJECT_HANDLE key);

/// Label and id of objects, for messages.
std::string NamesOf(const Session& session, const std::vector<CK_OBJECT_HANDLE>& objects);

/// E.g. `with label "signer"`, for messages.
std::string Wanted(const std::optional<std::string>& label, const std::optional<Bytes>& id);

/// What helps where several keys match, for messages.
std::string HowToChoose(const std::optional<std::string>& label, const std::optional<Bytes>& id);

}  // namespace aws_hmac::pkcs11
