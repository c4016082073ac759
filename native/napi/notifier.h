#pragma once

#include <napi.h>

#include <atomic>
#include <functional>
#include <mutex>

namespace aws_hmac::napi {

/// Wakes one JavaScript thread from device threads. Wake-ups that arrive before it got to run are joined into
/// one.
class Notifier {
 public:
  /// `on_wake` runs on the JavaScript thread of `env`.
  Notifier(Napi::Env env, std::function<void(Napi::Env)> on_wake);
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  /// From any thread, also after the environment has ended.
  void Notify();
  /// From the JavaScript thread: work began or ended. The process stays alive while any is pending.
  void AddPending(Napi::Env env);
  void RemovePending(Napi::Env env);

 private:
  static void Wake(napi_env env, napi_value callback, void* context, void* data);
  static void Closed(napi_env env, void* data, void* context);

  const std::function<void(Napi::Env)> on_wake_;
  std::mutex mutex_;  // held for each call: Node frees the function as soon as its finaliser returns
  napi_threadsafe_function function_ = nullptr;
  std::atomic<bool> scheduled_ = false;
  size_t pending_ = 0;
};

}  // namespace aws_hmac::napi
