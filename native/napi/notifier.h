#pragma once

#include <napi.h>

#include <atomic>
#include <chrono>
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
  using Clock = std::chrono::steady_clock;

  /// Node calls a function again and again, up to a thousand times, while more wake-ups come meanwhile, and
  /// the event loop stands still. So after this time the other function goes on, which the loop comes to by
  /// itself.
  static constexpr std::chrono::milliseconds kStretch{1};

  napi_threadsafe_function MakeFunction(Napi::Env env, napi_threadsafe_function_call_js call);
  void Call(napi_threadsafe_function function);
  void OnWake(napi_env env);
  static void Wake(napi_env env, napi_value callback, void* context, void* data);
  static void WakeLater(napi_env env, napi_value callback, void* context, void* data);
  static void Closed(napi_env env, void* data, void* context);

  const std::function<void(Napi::Env)> on_wake_;
  std::mutex mutex_;  // held for each call: Node frees the functions as soon as their finaliser returns
  bool closed_ = false;
  napi_threadsafe_function wake_ = nullptr;
  napi_threadsafe_function wake_later_ = nullptr;
  std::atomic<bool> scheduled_ = false;
  size_t pending_ = 0;
  Clock::time_point stretch_end_;
};

}  // namespace aws_hmac::napi
