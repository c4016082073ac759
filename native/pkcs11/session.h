#pragma once

#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pkcs11/pkcs11.h"
#include "pkcs11/token.h"

namespace aws_hmac::pkcs11 {

enum class Access { kRead, kReadWrite };

/// A session with a token, closed when dropped. Must not outlive the token's module. Whoever calls it holds a
/// Module::Use.
class Session {
 public:
  /// Throws Failure, ERR_TOKEN_NOT_FOUND also where the module was started anew since the token was found.
  Session(const Token& token, Access access);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// As CKU_USER. Sends a wrong PIN to the token once in the life of the process. The login belongs to all
  /// sessions of the process with this token: where one has logged in already the PIN is not checked. It ends
  /// with the last of them. A token without login is left alone. Throws Failure ERR_PIN_INCORRECT,
  /// ERR_PIN_LOCKED, ERR_PIN_FINAL_TRY, ERR_PIN_REQUIRED.
  void Login(const Credential& credential);

  /// The handles of the objects that match.
  std::vector<CK_OBJECT_HANDLE> Find(std::span<CK_ATTRIBUTE> attributes) const;

  /// C_DestroyObject.
  CK_RV Destroy(CK_OBJECT_HANDLE object) const;

  /// As the user, by this session or another one of the process.
  bool IsLoggedIn() const;
  /// That the token wants a login and the process is not logged in.
  bool LacksLogin() const { return (token_.info.flags & CKF_LOGIN_REQUIRED) != 0 && !IsLoggedIn(); }

  const Token& token() const { return token_; }
  /// Whether the module still is as it was started when the session was opened: otherwise there is none, and
  /// the handle may be another one's by now.
  bool IsOfThisStart() const { return token_.owner->starts() == token_.start; }
  CK_SESSION_HANDLE handle() const { return handle_; }
  CK_FUNCTION_LIST* operator->() const { return token_.module; }

 private:
  CK_RV EnterPin(const Credential& credential);

  Token token_;
  CK_SESSION_HANDLE handle_ = 0;
};

}  // namespace aws_hmac::pkcs11
