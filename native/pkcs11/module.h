#pragma once

#include <p11-kit/pkcs11.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pkcs11/pkcs11.h"

namespace aws_hmac::pkcs11 {

struct LoginSession;

struct ReleaseLibrary {
  void operator()(CK_FUNCTION_LIST* library) const noexcept;
};
/// Loaded by p11-kit, not yet initialised by us.
using Library = std::unique_ptr<CK_FUNCTION_LIST, ReleaseLibrary>;

/// A module that runs, once in the process for each real path: what all keys on its tokens share. p11-kit
/// counts besides us: our end does not stop what others in the process use. Any thread.
class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  ~Module();

  /// Initialises the module, the first time alone. p11-kit's own wrapper of it is what is called from then
  /// on.
  CK_RV Start(Library library, const std::optional<std::string>& init_args);
  CK_FUNCTION_LIST* functions() const { return library_.get(); }

  /// While it lives the module is not started anew. Whoever calls the module holds one, made by the same
  /// thread. The first of a thread waits for who waits to start the module anew, and that of a remote module
  /// for other threads.
  class Use {
   public:
    explicit Use(Module& module);
    Use(Use&& other) noexcept : module_(std::exchange(other.module_, nullptr)) {}
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use();

   private:
    Module* module_;
  };

  /// While it lives an object's handle may come to stand for another object: something is searched, made or
  /// destroyed, and openCryptoki gives a handle again once it has seen that its object is gone.
  class Shuffle {
   public:
    explicit Shuffle(Module& module) : module_(module) { ++module_.shuffles_begun_; }
    Shuffle(const Shuffle&) = delete;
    Shuffle& operator=(const Shuffle&) = delete;
    ~Shuffle() { ++module_.shuffles_ended_; }

   private:
    Module& module_;
  };
  /// How many of them are over.
  uint64_t shuffles() const { return shuffles_ended_; }
  /// Whether there was one that was not over yet when that many were.
  bool WasShuffledSince(uint64_t shuffles) const { return shuffles_begun_ != shuffles; }

  /// How often it was started; what was had before the last time (sessions, objects, logins) is gone.
  uint64_t starts() const { return starts_; }

  /// Finalises and initialises it, unless that was done since it had been started `seen` times. Waits at most
  /// `bound` until nobody uses it, e.g. a call that hangs; false if somebody still does, or it does not
  /// start. Not for a thread that uses it.
  bool Restart(uint64_t seen, std::chrono::milliseconds bound);

  /// What one key of ours knows of the module: how often it had been started when it last did what it should.
  using Proof = std::atomic<uint64_t>;
  void Watch(const Proof& proof);
  void Unwatch(const Proof& proof);
  /// Whether it works for another key than that of `proof`, as far as is known.
  bool WorksForOthers(const Proof& proof) const;

  /// The session that keeps the login to the token in a slot, if any key has made one.
  std::shared_ptr<LoginSession> login(CK_SLOT_ID slot) const;
  void KeepLogin(CK_SLOT_ID slot, const std::shared_ptr<LoginSession>& session);

 private:
  CK_RV Initialize();
  CK_RV InitializeAnew();
  bool IsUsable() const;

  mutable std::mutex mutex_;
  std::condition_variable unused_;
  size_t users_ = 0;
  std::condition_variable usable_;
  size_t restarters_ = 0;  // that wait until it is unused, or start it anew
  std::atomic<uint64_t> starts_ = 0;
  std::atomic<uint64_t> shuffles_begun_ = 0;
  std::atomic<uint64_t> shuffles_ended_ = 0;
  bool is_remote_ = false;
  Library library_;
  std::optional<std::string> init_args_;
  std::vector<const Proof*> proofs_;
  std::map<CK_SLOT_ID, std::weak_ptr<LoginSession>> logins_;
};

struct Modules {
  std::vector<std::shared_ptr<Module>> loaded;  // not empty
  std::string broken;  // configured modules that did not start, and why; empty when all did
};

/// The module that the query gives the path or the name of, or those of p11-kit's configuration that start.
/// Throws Failure ERR_MODULE_NOT_FOUND or ERR_MODULE_FAILED.
Modules LoadModules(const TokenQuery& query);

/// The path of a module that was loaded.
std::string PathOf(CK_FUNCTION_LIST* module);

}  // namespace aws_hmac::pkcs11
