#include "pkcs11/route.h"

#include <array>
#include <string_view>
#include <utility>

#include "core/worker.h"
#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

using std::chrono::milliseconds;

// Milliseconds before each further try. SoftHSM's tokens are gone for moments while another process logs in,
// remote modules until their server runs again.
constexpr auto kPauses = std::to_array<int>({0, 5, 10, 20, 40, 80, 160, 320, 320});
// How long others may go on using the module before it is started anew.
constexpr milliseconds kUnused(500);

bool MayPass(const Failure& failure) {
  return Describe(failure.number).stale || std::string_view(failure.code) == "ERR_TOKEN_NOT_FOUND";
}

bool IsUsable(LoginSession& login) {
  try {
    std::lock_guard lock(login.busy);
    if (!login.session.IsOfThisStart()) return false;
    login.session.IsLoggedIn();
    return true;
  } catch (const Failure&) {
    return false;
  }
}

}  // namespace

Route::~Route() { Suspect(nullptr); }

std::shared_ptr<const Way> Route::Get() const {
  std::lock_guard lock(reading_);
  return way_;
}

void Route::Set(std::shared_ptr<const Way> way) {
  std::lock_guard lock(reading_);
  way_.swap(way);  // the old one may close its session: not under the lock
}

std::shared_ptr<const Way> Route::Current() {
  if (auto way = Get()) return way;
  const uint64_t failed = failed_;
  std::lock_guard lock(mending_);
  if (auto way = Get()) return way;
  if (failed_ != failed) throw Failure(*failure_);
  Establish(Rung::kLogin);
  return Get();
}

void Route::Mend(const std::shared_ptr<const Way>& broken, Rung rung) {
  const uint64_t failed = failed_;
  std::lock_guard lock(mending_);
  if (failed_ != failed) throw Failure(*failure_);
  if (Get() == broken) Establish(rung);
}

void Route::Works(const Way& way) {
  const uint64_t start = way.token.owner->starts();
  if (proof_ == start) return;
  proof_ = start;
  may_restart_ = true;
}

void Route::Establish(Rung rung) {
  Set(nullptr);
  for (auto pause = kPauses.begin();; ++pause) {
    try {
      if (rung == Rung::kRestart) RestartModules();
      Set(Build());
      return;
    } catch (Failure& failure) {
      if (!MayPass(failure)) throw;
      if (pause == kPauses.end()) {
        failure_ = failure;
        ++failed_;
        failure.device_hangs = true;
        throw;
      }
      if (!Worker::Pause(milliseconds(*pause))) throw;  // nobody waits for it any more
    }
    rung = Rung::kRestart;
  }
}

std::shared_ptr<const Way> Route::Build() {
  Suspect(nullptr);
  if (modules_.loaded.empty()) modules_ = LoadModules(options_.token);
  const auto [token, use] = TakeToken(modules_, options_.token);
  Suspect(token.owner);
  return std::make_shared<const Way>(Way{.modules = modules_, .token = token, .login = LoginTo(token)});
}

void Route::Suspect(Module* module) {
  if (suspect_ != nullptr) suspect_->Unwatch(proof_);
  suspect_ = module;
  if (suspect_ != nullptr) suspect_->Watch(proof_);
}

std::shared_ptr<LoginSession> Route::LoginTo(const Token& token) {
  auto login = token.owner->login(token.slot);
  if (!login || !IsUsable(*login)) {
    login = std::make_shared<LoginSession>(token);
    token.owner->KeepLogin(token.slot, login);
  }
  std::lock_guard lock(login->busy);
  LogIn(login->session);
  return login;
}

// Nobody shall be asked again and again at a PIN pad because requests arrive.
void Route::LogIn(Session& session) {
  if (!options_.login) return;
  const bool at_pad = options_.login->pin.empty();
  if (at_pad && refused_at_pad_ && session.LacksLogin()) throw Failure(*refused_at_pad_);
  try {
    session.Login(*options_.login);
  } catch (const Failure& failure) {
    if (at_pad && !MayPass(failure)) refused_at_pad_ = failure;
    throw;
  }
}

// Where the module of the token is not known any of them may have lost it.
void Route::RestartModules() {
  if (suspect_ != nullptr) {
    Restart(*suspect_);
  } else {
    for (const auto& module : modules_.loaded) Restart(*module);
  }
  may_restart_ = false;
}

// Other keys lose their sessions by it, and mend that: not more than once where the module works for them.
// Where it cannot be started anew, as a call hangs in it, another try may do without.
void Route::Restart(Module& module) {
  if (!may_restart_ && module.WorksForOthers(proof_)) return;
  module.Restart(module.starts(), kUnused);
}

}  // namespace aws_hmac::pkcs11
