#pragma once

#include <p11-kit/pkcs11.h>

#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "pkcs11/session.h"

/// Attributes of an object on a token.
namespace aws_hmac::pkcs11 {

/// An attribute's CK_BBOOL; nothing where the token does not tell.
std::optional<bool> Flag(const Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

/// An attribute's CK_ULONG, such as a key's type; nothing where the token does not tell.
std::optional<CK_ULONG> Number(const Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

/// An attribute's bytes, such as label and id; none where the token does not tell.
Bytes Attribute(const Session& session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);

/// The standard's name of a key's CK_BBOOL attribute, e.g. "CKA_SIGN".
std::string NameOfAttribute(CK_ATTRIBUTE_TYPE type);

/// The names of those that are true.
std::vector<std::string> NamesOfFlags(const Session& session, CK_OBJECT_HANDLE object);

/// For messages.
std::string Hex(const Bytes& bytes);

}  // namespace aws_hmac::pkcs11
