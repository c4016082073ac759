#include "pkcs11/module.h"

#include <p11-kit/p11-kit.h>

#include <algorithm>
#include <utility>

#include "core/close_on_exec.h"

namespace aws_hmac::pkcs11 {

void ReleaseLibrary::operator()(CK_FUNCTION_LIST* library) const noexcept { p11_kit_module_release(library); }

Module::~Module() {
  if (starts_ > 0) p11_kit_module_finalize(library_.get());
}

// p11_kit_module_initialize gives a module no arguments; its wrapper's C_Initialize hands them on, and counts
// as well. A module that runs already in this process keeps the arguments it has.
CK_RV Module::Initialize() {
  const CloseOnExec guard;
  CK_RV rv = CKR_OK;
  if (!init_args_) {
    rv = p11_kit_module_initialize(library_.get());
  } else {
    CK_C_INITIALIZE_ARGS args{};
    args.flags = CKF_OS_LOCKING_OK;
    args.pReserved = const_cast<char*>(init_args_->c_str());  // modules only read it
    rv = library_->C_Initialize(&args);
  }
  if (rv == CKR_OK) ++starts_;
  return rv;
}

CK_RV Module::Start(Library library, const std::optional<std::string>& init_args) {
  std::lock_guard lock(mutex_);
  if (starts_ > 0) return CKR_OK;
  library_ = std::move(library);
  init_args_ = init_args;
  const std::string path = PathOf(library_.get());
  is_remote_ = path.empty() || path.ends_with("p11-kit-client.so");
  return Initialize();
}

namespace {

// Of this thread. Who uses a module already is waited for, and must not wait.
thread_local size_t uses = 0;

}  // namespace

Module::Use::Use(Module& module) : module_(&module) {
  std::unique_lock lock(module_->mutex_);
  if (uses == 0) module_->usable_.wait(lock, [this] { return module_->IsUsable(); });
  ++module_->users_;
  ++uses;
}

Module::Use::~Use() {
  if (module_ == nullptr) return;
  std::lock_guard lock(module_->mutex_);
  --uses;
  if (--module_->users_ != 0) return;
  module_->unused_.notify_all();
  if (module_->is_remote_) module_->usable_.notify_one();
}

// p11-kit's client has one socket for all threads, and leaves one of them waiting for ever where the server
// ends while several wait for its answers (seen with 0.24). The server takes one call after the other anyway.
bool Module::IsUsable() const { return restarters_ == 0 && (!is_remote_ || users_ == 0); }

bool Module::Restart(uint64_t seen, std::chrono::milliseconds bound) {
  std::unique_lock lock(mutex_);
  ++restarters_;
  const bool may_go = unused_.wait_for(lock, bound, [&] { return users_ == 0 || starts_ != seen; });
  const bool is_done = may_go && (starts_ != seen || InitializeAnew() == CKR_OK);
  if (--restarters_ == 0) usable_.notify_all();
  return is_done;
}

CK_RV Module::InitializeAnew() {
  p11_kit_module_finalize(library_.get());
  return Initialize();
}

void Module::Watch(const Proof& proof) {
  std::lock_guard lock(mutex_);
  proofs_.push_back(&proof);
}

void Module::Unwatch(const Proof& proof) {
  std::lock_guard lock(mutex_);
  std::erase(proofs_, &proof);
}

bool Module::WorksForOthers(const Proof& proof) const {
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(proofs_,
                             [&](const Proof* other) { return other != &proof && *other == starts_; });
}

std::shared_ptr<LoginSession> Module::login(CK_SLOT_ID slot) const {
  std::lock_guard lock(mutex_);
  const auto found = logins_.find(slot);
  return found == logins_.end() ? nullptr : found->second.lock();
}

void Module::KeepLogin(CK_SLOT_ID slot, const std::shared_ptr<LoginSession>& session) {
  std::lock_guard lock(mutex_);
  logins_[slot] = session;
}

}  // namespace aws_hmac::pkcs11
