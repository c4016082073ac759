#include "pkcs11/session.h"

#include <array>

#include "core/close_on_exec.h"
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

// Those of the token change with each PIN that is entered, here or elsewhere.
CK_FLAGS FlagsNow(const Token& token) {
  CK_TOKEN_INFO info{};
  Check(token.module->C_GetTokenInfo(token.slot, &info), "C_GetTokenInfo");
  return info.flags;
}

// What the token tells of wrong PINs, for messages.
const char* AttemptsLeft(CK_FLAGS flags) {
  if ((flags & CKF_USER_PIN_LOCKED) != 0) return "; the PIN is locked now";
  if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) return "; the next wrong PIN locks the token";
  if ((flags & CKF_USER_PIN_COUNT_LOW) != 0)
    return "; the token counts wrong PINs and may lock after few more";
  return "";
}

}  // namespace

Session::Session(const Token& token, Access access) : token_(token) {
  if (!IsOfThisStart()) throw CallFailed(CKR_SLOT_ID_INVALID, "C_OpenSession");
  const CloseOnExec guard;
  const CK_FLAGS flags = CKF_SERIAL_SESSION | (access == Access::kReadWrite ? CKF_RW_SESSION : 0);
  Check(token.module->C_OpenSession(token.slot, flags, nullptr, nullptr, &handle_), "C_OpenSession");
}

Session::~Session() {
  const Module::Use use(*token_.owner);
  if (IsOfThisStart()) token_.module->C_CloseSession(handle_);
}

void Session::Login(const Credential& credential) {
  if (!LacksLogin()) return;
  const CK_FLAGS flags = FlagsNow(token_);
  if ((flags & CKF_USER_PIN_LOCKED) != 0) {
    throw Refusal("ERR_PIN_LOCKED",
                  "the user PIN is locked: the security officer can set a new one; " + token_.Name());
  }
  if ((flags & CKF_USER_PIN_FINAL_TRY) != 0 && !credential.allow_final_try) {
    throw Refusal(
        "ERR_PIN_FINAL_TRY",
        "the next wrong PIN locks the token, so no PIN was sent: make sure of it, then set the option "
        "allowFinalTry once; " +
            token_.Name());
  }
  if (credential.pin.empty() && (flags & CKF_PROTECTED_AUTHENTICATION_PATH) == 0) {
    throw Refusal("ERR_PIN_REQUIRED", "the token has no PIN pad (option pinPad): give pin; " + token_.Name());
  }
  const CK_RV rv = EnterPin(credential);
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return;
  throw CallFailed(rv, "C_Login", token_.Name() + AttemptsLeft(FlagsNow(token_)));
}

bool Session::IsLoggedIn() const {
  CK_SESSION_INFO info{};
  Check(token_.module->C_GetSessionInfo(handle_, &info), "C_GetSessionInfo");
  return info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS;
}

CK_RV Session::EnterPin(const Credential& credential) {
  const CloseOnExec guard;
  const Module::Shuffle shuffle(*token_.owner);  // private objects get new handles by it
  if (credential.pin.empty()) return token_.module->C_Login(handle_, CKU_USER, nullptr, 0);
  const auto pin = const_cast<CK_UTF8CHAR*>(credential.pin.data());  // C_Login only reads them
  return SendPin(token_.info, credential.digest,
                 [&] { return token_.module->C_Login(handle_, CKU_USER, pin, credential.pin.size()); });
}

CK_RV Session::Destroy(CK_OBJECT_HANDLE object) const {
  const Module::Shuffle shuffle(*token_.owner);
  return token_.module->C_DestroyObject(handle_, object);
}

std::vector<CK_OBJECT_HANDLE> Session::Find(std::span<CK_ATTRIBUTE> attributes) const {
  const Module::Shuffle shuffle(*token_.owner);
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
