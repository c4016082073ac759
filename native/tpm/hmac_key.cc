#include <optional>
#include <string_view>
#include <utility>

#include "tpm/command.h"
#include "tpm/connection.h"
#include "tpm/key_area.h"
#include "tpm/mac.h"
#include "tpm/overdue.h"
#include "tpm/parent.h"
#include "tpm/salt.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {
namespace {

/// The key and its session; nothing else of ours is in the TPM.
class OpenedKey {
 public:
  OpenedKey(ESYS_CONTEXT& esys, const OpenOptions& options)
      : esys_(esys), commands_(esys), policy_(options.policy ? &*options.policy : nullptr) {
    std::visit([&](const auto& key) { Open(key, options.protection); }, options.key);
    UsePassword(esys, key_.get(), options.protection.password.span());
  }

  Mac Sign(std::span<const uint8_t> message) {
    return commands_.Compute(key_.get(), *authorization_, message);
  }

  /// Whether a session proves for each MAC that it is of this key.
  bool HasSession() const noexcept { return authorization_->session() != ESYS_TR_NONE; }
  /// Whether key and session are still at their handles in the TPM. After a reset they may be another's.
  bool IsThere() const noexcept { return IsStillThere(esys_, key_.get(), authorization_->session()); }
  bool IsGone() const noexcept { return tpm::IsGone(esys_, key_.get(), authorization_->session()); }

 private:
  ESYS_CONTEXT& esys() const noexcept { return esys_; }

  void Open(const PersistentKey& key, const Protection& protection) {
    Use(FindPersistent(esys(), key.handle), protection);
  }

  void Open(const SavedKey& key, const Protection& protection) {
    Use(LoadContext(esys(), key.context), protection);
  }

  void Open(const LoadedKey& key, const Protection& protection) {
    const TPM2B_PUBLIC public_area = UnmarshalPublic(key.public_area);
    const TPM2B_PRIVATE private_area = UnmarshalPrivate(key.private_area);
    RequireUsable(public_area.publicArea);
    // The user's salt key comes first: no password is proved before that is compared.
    if (protection.salt_key) authorization_.emplace(esys(), protection, Salt(protection).get(), policy_);
    const LoadedParent parent(esys(), key.parent, protection,
                              authorization_ ? authorization_->session() : ESYS_TR_NONE);
    key_ = parent.Load(private_area, public_area);
    if (!authorization_) {
      authorization_.emplace(esys(), protection, protection.encrypt ? parent.get() : ESYS_TR_NONE, policy_);
    }
  }

  void Use(Object key, const Protection& protection) {
    key_ = std::move(key);
    RequireUsable(ReadPublic(esys(), key_.get())->publicArea);
    authorization_.emplace(esys(), protection, Salt(protection).get(), policy_);
  }

  void RequireUsable(const TPMT_PUBLIC& key) const {
    RequireHmacKey(key);
    RequirePolicy(key, policy_);
  }

  Object Salt(const Protection& protection) const {
    return protection.encrypt ? FindSalt(esys(), protection.salt_key) : Object();
  }

  ESYS_CONTEXT& esys_;
  MacCommands commands_;
  const Policy* policy_;
  Object key_;
  std::optional<Authorization> authorization_;
};

/// Opens the key again, once, where that can help.
class HmacKey : public HmacDevice {
 public:
  explicit HmacKey(OpenOptions options) : options_(std::move(options)) { Open(); }

  Mac Sign(std::span<const uint8_t> message) override {
    if (refused_) throw Failure(*refused_);
    for (bool reopened = false;; reopened = true) {
      try {
        if (!opened_) Open();
        Mac mac = opened_->Sign(message);
        connection_->WipeAnswer();
        RequireOwn();
        return mac;
      } catch (const Failure& failure) {
        const bool was_open = opened_.has_value();
        const bool is_wrong_password = std::string_view(failure.code) == "ERR_TPM_AUTH";
        const bool is_lost =
            IsLost(failure) || (was_open && (is_wrong_password || IsOfSession(failure)) && opened_->IsGone());
        // A wrong password is sent once: each try counts towards the TPM's lockout.
        if (is_wrong_password && !is_lost) refused_ = failure;
        if (was_open && !is_lost) throw;
        Drop();
        // One that hangs is not asked twice, or its time-out would be twice as long.
        if (!was_open || reopened || failure.device_hangs) throw;
      }
    }
  }

  bool Rest() noexcept override {
    if (connection_) connection_->Rest();
    return overdue_.Check();
  }

 private:
  void Open() {
    overdue_.Await(options_.timeout);
    connection_ = std::make_unique<Connection>(options_.tcti, options_.timeout);
    opened_.emplace(connection_->esys(), options_);
    overdue_.Forget();
    seen_ = connection_->turns();
  }

  // Without a session a MAC may be of a key that another program has put where ours was before a reset.
  void RequireOwn() {
    if (opened_->HasSession() || seen_ == connection_->turns()) return;
    if (!opened_->IsThere()) throw ToFailure(TPM2_RC_REFERENCE_H0, "TPM2_ReadPublic");
    seen_ = connection_->turns();
  }

  void Drop() noexcept {
    opened_.reset();
    overdue_.Keep(std::move(connection_));
  }

  // Repeating an HMAC changes nothing in the TPM.
  static bool IsLost(const Failure& failure) {
    const auto rc = static_cast<TSS2_RC>(failure.number);
    return failure.api == Api::kTpm && (IsBroken(rc) || IsStale(rc));
  }

  static bool IsOfSession(const Failure& failure) {
    return failure.api == Api::kTpm && tpm::IsOfSession(static_cast<TSS2_RC>(failure.number));
  }

  const OpenOptions options_;
  Overdue overdue_;
  std::unique_ptr<Connection> connection_;  // before the key, which is released through it
  std::optional<OpenedKey> opened_;
  std::optional<Failure> refused_;
  unsigned seen_ = 0;  // turns of the connection when the key was last seen
};

}  // namespace

std::unique_ptr<HmacDevice> OpenKey(OpenOptions options) {
  return std::make_unique<HmacKey>(std::move(options));
}

}  // namespace aws_hmac::tpm
