#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "core/failure.h"
#include "pkcs11/module.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"

namespace aws_hmac::pkcs11 {

/// The session that keeps the login to a token, for all keys on it.
struct LoginSession {
  explicit LoginSession(const Token& token) : session(token, Access::kRead) {}

  Session session;
  std::mutex busy;  // held while it is called
  /// Held before that while the token's keys are searched or copied: SoftHSM shows a copy for a moment as if
  /// it were on the token.
  std::mutex copying;
};

/// A token that was found and logged in to.
struct Way {
  Modules modules;
  Token token;
  std::shared_ptr<LoginSession> login;
};

/// How the threads of one key get to its token. What broke is mended by one of them, with pauses and a bound,
/// while the others wait. Any thread, but none that holds a Module::Use.
class Route {
 public:
  enum class Rung { kLogin, kRestart };

  explicit Route(OpenOptions options) : options_(std::move(options)) {}
  Route(const Route&) = delete;
  Route& operator=(const Route&) = delete;
  ~Route();

  const OpenOptions& options() const { return options_; }

  /// The way as it is, found first where there is none. Throws Failure.
  std::shared_ptr<const Way> Current();

  /// Finds the way anew, from the rung on, unless that was done already since it was `broken`: finds the
  /// token and logs in; if that fails starts the module anew and does both again, several times. A PIN that
  /// the token refused is not sent again. Throws the last Failure, for those who waited as well.
  void Mend(const std::shared_ptr<const Way>& broken, Rung rung);

  /// Tells that the key was used with success, or that it was not.
  void Works(const Way& way);
  void Fails() { proof_ = 0; }

 private:
  std::shared_ptr<const Way> Get() const;
  void Set(std::shared_ptr<const Way> way);
  void Establish(Rung rung);
  std::shared_ptr<const Way> Build();
  std::shared_ptr<LoginSession> LoginTo(const Token& token);
  void LogIn(Session& session);
  void RestartModules();
  void Restart(Module& module);
  void Suspect(Module* module);

  const OpenOptions options_;

  mutable std::mutex reading_;
  std::shared_ptr<const Way> way_;

  std::mutex mending_;  // guards the rest
  Modules modules_;
  Module* suspect_ = nullptr;  // of the token, where that was found
  std::optional<Failure> refused_at_pad_;
  std::optional<Failure> failure_;    // of the latest mending that failed
  std::atomic<uint64_t> failed_ = 0;  // mendings so far
  Module::Proof proof_ = 0;
  std::atomic<bool> may_restart_ = false;  // though the module works for others
};

}  // namespace aws_hmac::pkcs11
