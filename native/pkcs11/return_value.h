#pragma once

#include <p11-kit/pkcs11.h>

#include <string>

#include "core/failure.h"

namespace aws_hmac::pkcs11 {

/// What we make of one return value of a module.
struct ReturnValue {
  CK_RV number;
  const char* name;  // e.g. "CKR_PIN_INCORRECT"
  const char* code;  // e.g. "ERR_PIN_INCORRECT"
  bool retryable;    // the same call may succeed later without any change
  bool stale;        // session, login, object or module was lost: opening all of it again may help
};

/// The table's row; vendors' and unknown numbers have one row in common.
const ReturnValue& Describe(CK_RV rv);

/// E.g. "CKR_PIN_INCORRECT", or "CKR_0x80000001" for a number without a name.
std::string NameOf(CK_RV rv);

/// The failure of `call`; `hint`, if any, is put behind the message.
Failure CallFailed(CK_RV rv, const char* call, const std::string& hint = "");

/// Throws CallFailed unless `rv` is CKR_OK.
void Check(CK_RV rv, const char* call);

/// A failure without a C call behind it, such as a token that is not there.
Failure Refusal(const char* code, std::string message);

}  // namespace aws_hmac::pkcs11
