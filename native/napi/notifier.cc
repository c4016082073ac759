#include "napi/notifier.h"

#include <utility>

namespace aws_hmac::napi {

Notifier::Notifier(Napi::Env env, std::function<void(Napi::Env)> on_wake)
    : on_wake_(std::move(on_wake)),
      wake_(MakeFunction(env, Wake)),
      wake_later_(MakeFunction(env, WakeLater)) {}

napi_threadsafe_function Notifier::MakeFunction(Napi::Env env, napi_threadsafe_function_call_js call) {
  const auto name = Napi::String::New(env, "aws-hmac");
  napi_threadsafe_function function = nullptr;
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, this, Closed, this, call, &function);
  NAPI_THROW_IF_FAILED(env, status, nullptr);
  napi_unref_threadsafe_function(env, function);
  return function;
}

void Notifier::Notify() {
  if (!scheduled_.exchange(true)) Call(wake_);
}

void Notifier::Call(napi_threadsafe_function function) {
  std::lock_guard lock(mutex_);
  if (!closed_) napi_call_threadsafe_function(function, nullptr, napi_tsfn_nonblocking);
}

void Notifier::AddPending(Napi::Env env) {
  if (pending_++ == 0 && !closed_) napi_ref_threadsafe_function(env, wake_);
}

void Notifier::RemovePending(Napi::Env env) {
  if (--pending_ == 0 && !closed_) napi_unref_threadsafe_function(env, wake_);
}

void Notifier::OnWake(napi_env env) {
  scheduled_ = false;
  if (env == nullptr) return;
  try {
    on_wake_(env);
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();  // none gets through Node's C code; an ending environment takes none
  }
}

void Notifier::Wake(napi_env env, napi_value /*callback*/, void* context, void* /*data*/) {
  auto& self = *static_cast<Notifier*>(context);
  if (env != nullptr && Clock::now() >= self.stretch_end_) {
    self.Call(self.wake_later_);  // scheduled_ stays set: nobody calls the first one meanwhile
    return;
  }
  self.OnWake(env);
}

void Notifier::WakeLater(napi_env env, napi_value /*callback*/, void* context, void* /*data*/) {
  auto& self = *static_cast<Notifier*>(context);
  self.stretch_end_ = Clock::now() + kStretch;
  self.OnWake(env);
}

void Notifier::Closed(napi_env /*env*/, void* data, void* /*context*/) {
  auto& self = *static_cast<Notifier*>(data);
  std::lock_guard lock(self.mutex_);
  self.closed_ = true;
}

}  // namespace aws_hmac::napi
