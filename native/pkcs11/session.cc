#include "pkcs11/session.h"

#include <array>

#include "pkcs11/pin_gate.h"
#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

// An unfinished search would block the session for every other operation.
class Search {
 public:
  Search(const Session& session, std::span<CK_ATTRIBUTE> attributes) : session_(session) {
    Check(session->C_FindObjectsInit(session.handle(), attributes.data(), attributes.size()),
          "C_FindObjectsInit");
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;
  ~Search() { session_->C_FindObjectsFinal(session_.handle()); }

 private:
  const Session& session_;
};

}  // namespace

Session::Session(const Token& token, Access access) : token_(token) {
  const CK_FLAGS flags = CKF_SERIAL_SESSION | (access == Access::kReadWrite ? CKF_RW_SESSION : 0);
  Check(token.module->C_OpenSession(token.slot, flags, nullptr, nullptr, &handle_), "C_OpenSession");
}

Session::~Session() { token_.module->C_CloseSession(handle_); }

void Session::Login(const SecretBytes& pin) {
  if ((token_.info.flags & CKF_LOGIN_REQUIRED) == 0) return;
  if ((token_.info.flags & CKF_USER_PIN_LOCKED) != 0) {
    throw Refusal("ERR_PIN_LOCKED",
                  "the user PIN is locked: the security officer can set a new one; " + token_.Name());
  }
  const auto bytes = const_cast<CK_UTF8CHAR*>(pin.data());  // C_Login only reads them
  const CK_RV rv =
      SendPin(token_.info, pin, [&] { return token_.module->C_Login(handle_, CKU_USER, bytes, pin.size()); });
  if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) throw CallFailed(rv, "C_Login", token_.Name());
}

std::vector<CK_OBJECT_HANDLE> Session::Find(std::span<CK_ATTRIBUTE> attributes) const {
  const Search search(*this, attributes);
  std::vector<CK_OBJECT_HANDLE> objects;
  std::array<CK_OBJECT_HANDLE, 16> some;
  CK_ULONG count = 0;
  do {
    Check(token_.module->C_FindObjects(handle_, some.data(), some.size(), &count), "C_FindObjects");
    objects.insert(objects.end(), some.begin(), some.begin() + count);
  } while (count > 0);
  return objects;
}

}  // namespace aws_hmac::pkcs11
