#pragma once

#include <p11-kit/pkcs11.h>

#include <functional>
#include <string>
#include <vector>

#include "core/bytes.h"

namespace aws_hmac::pkcs11 {

/// What makes a new key, by C_CreateObject or C_UnwrapKey.
using MakeObject = std::function<CK_RV(std::vector<CK_ATTRIBUTE>& attributes, CK_OBJECT_HANDLE* object)>;

struct NewKey {
  CK_OBJECT_HANDLE object;
  /// Attributes that the module took from nobody, and decides itself.
  std::vector<CK_ATTRIBUTE_TYPE> left_out;
};

/// An HMAC key that may sign and do nothing else: every attribute explicit, as the defaults of NSS and
/// openCryptoki let the value be read. Where the module refuses attributes that only say what the key may not
/// do, it is made without one, two or all of them; never without those that protect it. Throws CallFailed
/// of `call`.
NewKey MakeKey(const MakeObject& make, const char* call, CK_KEY_TYPE type, std::string& label, Bytes& id);

/// Whether the answer means that another template could do.
bool DislikesTemplate(CK_RV rv);

}  // namespace aws_hmac::pkcs11
