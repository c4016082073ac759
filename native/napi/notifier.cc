#include "napi/notifier.h"

#include <utility>

namespace aws_hmac::napi {

Notifier::Notifier(Napi::Env env, std::function<void(Napi::Env)> on_wake) : on_wake_(std::move(on_wake)) {
  const auto name = Napi::String::New(env, "aws-hmac");
  const napi_status status = napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, this, Closed,
                                                             this, Wake, &function_);
  NAPI_THROW_IF_FAILED_VOID(env, status);
  napi_unref_threadsafe_function(env, function_);
}

void Notifier::Notify() {
  if (scheduled_.exchange(true)) return;
  std::lock_guard lock(mutex_);
  if (function_ != nullptr) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void Notifier::AddPending(Napi::Env env) {
  if (pending_++ == 0 && function_ != nullptr) napi_ref_threadsafe_function(env, function_);
}

void Notifier::RemovePending(Napi::Env env) {
  if (--pending_ == 0 && function_ != nullptr) napi_unref_threadsafe_function(env, function_);
}

void Notifier::Wake(napi_env env, napi_value /*callback*/, void* context, void* /*data*/) {
  auto& self = *static_cast<Notifier*>(context);
  self.scheduled_ = false;
  if (env == nullptr) return;
  try {
    self.on_wake_(env);
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();  // none gets through Node's C code; an ending environment takes none
  }
}

void Notifier::Closed(napi_env /*env*/, void* data, void* /*context*/) {
  auto& self = *static_cast<Notifier*>(data);
  std::lock_guard lock(self.mutex_);
  self.function_ = nullptr;
}

}  // namespace aws_hmac::napi
