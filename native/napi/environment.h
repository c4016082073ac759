#pragma once

#include <napi.h>

#include <memory>
#include <unordered_set>

#include "napi/notifier.h"

namespace aws_hmac::napi {

class Connection;

/// What belongs to one JavaScript environment (the main thread, or one worker_threads worker): its notifier
/// and its open connections.
class Environment {
 public:
  /// Makes the environment's one instance; to be called when the addon is loaded into it.
  static void Create(Napi::Env env);
  static std::shared_ptr<Environment> Of(Napi::Env env);

  explicit Environment(Napi::Env env);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  const std::shared_ptr<Notifier>& notifier() const { return notifier_; }
  void Add(Connection& connection) { connections_.insert(&connection); }
  void Remove(Connection& connection) { connections_.erase(&connection); }

 private:
  void SettleFinished();
  /// Runs when the environment ends: releases its devices, waiting for them within a bound.
  void StopAll();

  std::unordered_set<Connection*> connections_;
  std::shared_ptr<Notifier> notifier_;  // shared with device threads, which may outlive the environment
};

}  // namespace aws_hmac::napi
