#pragma once

#include <p11-kit/pkcs11.h>

#include "pkcs11/session.h"

namespace aws_hmac::pkcs11 {

/// An object of a session, destroyed when dropped; CK_INVALID_HANDLE for none.
class SessionObject {
 public:
  SessionObject(const Session& session, CK_OBJECT_HANDLE handle) : session_(session), handle_(handle) {}
  SessionObject(const SessionObject&) = delete;
  SessionObject& operator=(const SessionObject&) = delete;
  ~SessionObject() {
    if (handle_ != CK_INVALID_HANDLE) session_.Destroy(handle_);
  }

  CK_OBJECT_HANDLE handle() const { return handle_; }

 private:
  const Session& session_;
  CK_OBJECT_HANDLE handle_;
};

}  // namespace aws_hmac::pkcs11
