#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/worker.h"
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

// After which the handle that signs is looked at again: others in the process may have moved it unseen.
constexpr std::chrono::seconds kTrust(1);

// A new key that takes an open one's place has its name for a moment before that goes: how often and how long
// the end of it is waited for.
constexpr int kWaits = 10;
constexpr std::chrono::milliseconds kWait(20);

// The key as one thread has it: in a session of its own or, where the token gives no more, in the one that
// keeps the login.
class Lane : public HmacDevice {
 public:
  Lane(std::shared_ptr<Route> route, uint32_t others) : route_(std::move(route)), others_(others) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane() override { Drop(); }

  void Open() {
    Persist(0, [&] { Ready(); });
  }

  Mac Sign(std::span<const uint8_t> message) override {
    Mac mac;
    Persist(kWaits, [&] {
      Ready();
      OnSession([&](const Session& session) {
        const CK_OBJECT_HANDLE object = copy_ != 0 ? copy_ : key_;
        mac = SignOn(session, object, message);
        CheckHandle(session, object);
      });
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
  void Persist(int waits, Action action) {
    for (int failures = 0;;) {
      try {
        const Module::Use use = Follow();
        action();
        return route_->Works(*way_);
      } catch (const Failure& failure) {
        const auto broken = way_;
        Drop();
        if (std::string_view(failure.code) == "ERR_KEY_AMBIGUOUS" && waits-- > 0 && Worker::Pause(kWait))
          continue;
        if (!Describe(failure.number).stale || !broken || ++failures > 3) throw;
        route_->Fails();
        if (failures > 1) route_->Mend(broken, failures == 2 ? Route::Rung::kLogin : Route::Rung::kRestart);
      }
    }
  }

  // Takes the way as it is now: the module may be started anew by others until this thread has its turn.
  Module::Use Follow() {
    for (;;) {
      auto way = route_->Current();
      {
        Module::Use use(*way->token.owner);
        if (way->login->session.IsOfThisStart()) {
          if (way != way_) Drop();
          way_ = std::move(way);
          return use;
        }
      }
      Drop();
      route_->Mend(way, Route::Rung::kLogin);
    }
  }

  void Ready() {
    now_ = Clock::now();
    if (is_ready_ && own_ && copy_ == 0) return;
    if (is_ready_ && !own_ && now_ - since_ > kShare) Release();
    if (is_ready_ && copy_ != 0 && now_ - since_ > options().copy_for) CopyAgain();
    if (is_ready_) return;
    OpenSession();
    const std::unique_lock searching(way_->login->copying);
    OnSession([&](const Session& session) {
      if (options().login && session.LacksLogin()) throw LoginLost();
      key_ = FindKey(session);
    });
    is_checked_ = false;
    since_ = now_;
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
    since_ = now_;
  }

  void CopyFound() {
    is_checked_ = false;
    OnSession([&](const Session& session) { copy_ = CopyIntoSession(session, key_); });
  }

  // To NSS a key that is gone, or whose login is, is one that cannot sign.
  Mac SignOn(const Session& session, CK_OBJECT_HANDLE object, std::span<const uint8_t> message) const {
    try {
      return pkcs11::Sign(session, object, message);
    } catch (const Failure& failure) {
      if (Describe(failure.number).stale) throw;
      if (options().login && session.LacksLogin()) throw LoginLost();
      if (!IsNamed(session, object, options().label, options().id)) throw HandleMoved();
      throw;
    }
  }

  // After the MAC: it is none of the key's if the handle stands for another object by now.
  void CheckHandle(const Session& session, CK_OBJECT_HANDLE object) {
    const Module& module = *way_->token.owner;
    if (is_checked_ && !module.WasShuffledSince(shuffles_) && now_ - checked_ < kTrust) return;
    const uint64_t shuffles = module.shuffles();
    if (!IsNamed(session, object, options().label, options().id)) throw HandleMoved();
    shuffles_ = shuffles;
    checked_ = now_;
    is_checked_ = true;
  }

  // Of the session, which reads only: no key on a token is lost where the handle is another object's by now.
  void DropCopy(const Session& session) noexcept {
    if (copy_ != 0) session.Destroy(copy_);
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

  static Failure HandleMoved() { return CallFailed(CKR_KEY_HANDLE_INVALID, "C_GetAttributeValue"); }
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
    if (copy_ != 0 && !own_ && way_->login->session.IsOfThisStart()) {
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
  Clock::time_point now_;    // when the latest MAC was begun
  Clock::time_point since_;  // key and copy are as they were then
  bool is_ready_ = false;
  // The handle that signs stood for the key then, when so many shuffles of the module were over.
  Clock::time_point checked_;
  uint64_t shuffles_ = 0;
  bool is_checked_ = false;
};

}  // namespace

std::unique_ptr<HmacDevice> OpenKey(OpenOptions options) {
  const uint32_t others = options.threads - 1;
  auto lane = std::make_unique<Lane>(std::make_shared<Route>(std::move(options)), others);
  lane->Open();
  return lane;
}

}  // namespace aws_hmac::pkcs11
