#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <unordered_map>

#include "core/worker.h"
#include "napi/environment.h"
#include "napi/jobs.h"

namespace aws_hmac::napi {

/// The JavaScript class over one Worker. lib/binding/addon.ts types it.
class Connection : public Napi::ObjectWrap<Connection> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit Connection(const Napi::CallbackInfo& info);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

  Worker& worker() { return worker_; }
  /// Settles the promises of the jobs that have finished. Runs no JavaScript.
  void SettleFinished();

 private:
  template <std::unique_ptr<Call> (*Make)(uint64_t, const Options&)>
  Napi::Value Submit(const Napi::CallbackInfo& info);
  Napi::Value Mac(const Napi::CallbackInfo& info);
  void Cancel(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  void Abandon(const Napi::CallbackInfo& info);

  Napi::Value Start(Napi::Env env, std::unique_ptr<Call> call);
  void Reject(uint64_t id, const Failure& failure);
  void SettleClose();
  void AddPending();
  void RemovePending();

  const std::shared_ptr<Environment> environment_;  // shared: at the end either may be finalised first
  Worker worker_;
  std::unordered_map<uint64_t, Napi::Promise::Deferred> pending_;
  std::optional<Napi::Promise::Deferred> closing_;
  bool closed_ = false;
};

}  // namespace aws_hmac::napi
