#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pkcs11/key.h"
#include "pkcs11/pkcs11.h"
#include "pkcs11/return_value.h"
#include "pkcs11/route.h"
#include "pkcs11/session.h"

namespace aws_hmac::pkcs11 {
namespace {

using Clock = std::chrono::steady_clock;

// After which a thread that has had no session of its own asks for one again.
constexpr std::chrono::seconds kShare(10);

// The key as one thread has it: in a session of its own or, where the token gives no more, in the one that
// keeps the login.
class Lane : public HmacDevice {
 public:
  Lane(std::shared_ptr<Route> route, uint32_t others) : route_(std::move(route)), others_(others) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() override { Drop(); }

  void Open() {
    Persist([&] { Ready(); });
  }

  Mac Sign(std::span<const uint8_t> message) override {
    Mac mac;
    Persist([&] {
      Ready();
      OnSession(
          [&](const Session& session) { mac = pkcs11::Sign(session, copy_ != 0 ? copy_ : key_, message); });
    });
    return mac;
  }

  std::unique_ptr<HmacDevice> Another() override {
    if (others_ == 0) return nullptr;
    --others_;
    return std::make_unique<Lane>(route_, 0);
  }

 private:
  const OpenOptions& options() const { return route_->options(); }

  // An HMAC may be repeated: after the first failure in another session, then with a new login, then with a
  // module that was started anew. Another thread may have mended it meanwhile.
  template <typename Action>
  void Persist(Action action) {
    for (int failures = 0;;) {
      try {
        Follow();
        const Module::Use use(*way_->token.owner);
        action();
        return route_->Works(*way_);
      } catch (const Failure& failure) {
        const auto broken = way_;
        Drop();
        if (!Describe(failure.number).stale || !broken || ++failures > 3) throw;
        route_->Fails();
        if (failures > 1) route_->Mend(broken, failures == 2 ? Route::Rung::kLogin : Route::Rung::kRestart);
      }
    }
  }

  void Follow() {
    if (way_ && is_ready_ && !way_->login->session.IsOfThisStart()) Drop();
    auto way = route_->Current();
    if (way == way_) return;
    Drop();
    way_ = std::move(way);
  }

  void Ready() {
    if (is_ready_ && own_ && copy_ == 0) return;
    const Clock::time_point now = Clock::now();
    if (is_ready_ && !own_ && now - since_ > kShare) Release();
    if (is_ready_ && copy_ != 0 && now - since_ > options().copy_for) CopyAgain();
    if (is_ready_) return;
    // Somebody else started the module anew.
    if (!way_->login->session.IsOfThisStart())
      throw CallFailed(CKR_SESSION_HANDLE_INVALID, "C_GetSessionInfo");
    OpenSession();
    const std::unique_lock searching(way_->login->copying);
    OnSession([&](const Session& session) {
      if (options().login && session.LacksLogin()) throw LoginLost();
      key_ = FindKey(session);
    });
    since_ = now;
    if (options().session_copy) CopyFound();
    is_ready_ = true;
  }

  void OpenSession() {
    try {
      own_.emplace(way_->token, Access::kRead);
    } catch (const Failure& failure) {
      if (failure.number != CKR_SESSION_COUNT) throw;
    }
  }

  // Of the key as the token has it now: one that was removed, or made anew, goes out of use by it.
  void CopyAgain() {
    const std::unique_lock searching(way_->login->copying);
    OnSession([&](const Session& session) {
      DropCopy(session);
      key_ = FindKey(session);
    });
    CopyFound();
    since_ = Clock::now();
  }

  void CopyFound() {
    OnSession([&](const Session& session) { copy_ = CopyIntoSession(session, key_); });
  }

  void DropCopy(const Session& session) noexcept {
    if (copy_ != 0) session->C_DestroyObject(session.handle(), copy_);
    copy_ = 0;
  }

  // Without login a token hides its private objects.
  CK_OBJECT_HANDLE FindKey(const Session& session) const {
    try {
      return FindHmacKey(session, options().label, options().id);
    } catch (const Failure& failure) {
      if (std::string_view(failure.code) != "ERR_KEY_NOT_FOUND" || !session.LacksLogin()) throw;
      if (options().login) throw LoginLost();  // just now
      throw Refusal("ERR_PIN_REQUIRED",
                    std::string(failure.what()) + " that is visible without a PIN (option pin, or pinPad)");
    }
  }

  static Failure LoginLost() { return CallFailed(CKR_USER_NOT_LOGGED_IN, "C_GetSessionInfo"); }

  template <typename Action>
  void OnSession(Action action) {
    if (own_) return action(*own_);
    std::lock_guard lock(way_->login->busy);
    action(way_->login->session);
  }

  // A session that failed is closed and not used again.
  void Release() noexcept {
    is_ready_ = false;
    if (copy_ != 0 && way_->login->session.IsOfThisStart()) {
      OnSession([&](const Session& session) { DropCopy(session); });
    }
    copy_ = 0;
    own_.reset();
  }

  void Drop() noexcept {
    if (!way_) return;
    {
      const Module::Use use(*way_->token.owner);
      Release();
    }
    way_.reset();
  }

  const std::shared_ptr<Route> route_;
  uint32_t others_;
  std::shared_ptr<const Way> way_;
  std::optional<Session> own_;
  CK_OBJECT_HANDLE key_ = 0;
  CK_OBJECT_HANDLE copy_ = 0;
  Clock::time_point since_;  // key and copy are as they were then
  bool is_ready_ = false;
};

}  // namespace

std::unique_ptr<HmacDevice> OpenKey(OpenOptions options) {
  const uint32_t others = options.threads - 1;
  auto lane = std::make_unique<Lane>(std::make_shared<Route>(std::move(options)), others);
  lane->Open();
  return lane;
}

}  // namespace aws_hmac::pkcs11
