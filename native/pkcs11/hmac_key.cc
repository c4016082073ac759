#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pkcs11/key.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/return_value.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"

namespace aws_hmac::pkcs11 {
namespace {

// Everything between us and the key, in the order in which it is had; released in the opposite one.
class Path {
 public:
  explicit Path(const OpenOptions& options)
      : token_(LoadToken(options.token)), session_(token_.token, Access::kRead) {
    if (options.login) session_.Login(*options.login);
    key_ = FindKey(session_, options);
  }

  Mac Sign(std::span<const uint8_t> message) const { return pkcs11::Sign(session_, key_, message); }

 private:
  // Without login a token hides its private objects.
  static CK_OBJECT_HANDLE FindKey(const Session& session, const OpenOptions& options) {
    try {
      return FindHmacKey(session, options.label, options.id);
    } catch (const Failure& failure) {
      const bool hidden = !options.login && (session.token().info.flags & CKF_LOGIN_REQUIRED) != 0;
      if (!hidden || std::string_view(failure.code) != "ERR_KEY_NOT_FOUND") throw;
      throw Refusal("ERR_PIN_REQUIRED",
                    std::string(failure.what()) + " that is visible without a PIN (option pin, or pinPad)");
    }
  }

  LoadedToken token_;
  Session session_;
  CK_OBJECT_HANDLE key_ = 0;
};

class Key : public HmacDevice {
 public:
  explicit Key(OpenOptions options) : options_(std::move(options)) { Open(); }

  Mac Sign(std::span<const uint8_t> message) override {
    if (!path_) Open();
    try {
      return path_->Sign(message);
    } catch (const Failure& failure) {
      if (!Describe(failure.number).stale) throw;
    }
    // The session was closed, somebody logged out, the key was made anew, the module was lost: an HMAC may be
    // repeated.
    path_.reset();
    Open();
    return path_->Sign(message);
  }

 private:
  void Open() { path_.emplace(options_); }

  const OpenOptions options_;
  std::optional<Path> path_;
};

}  // namespace

std::unique_ptr<HmacDevice> OpenKey(OpenOptions options) { return std::make_unique<Key>(std::move(options)); }

}  // namespace aws_hmac::pkcs11
