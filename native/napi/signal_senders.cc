#include "napi/signal_senders.h"

#include "core/signal_senders.h"
#include "napi/options.h"

namespace aws_hmac::napi {
namespace {

int SignalOf(const Napi::CallbackInfo& info) { return static_cast<int>(IntegerOf(info[0], "signal")); }

}  // namespace

void NoteSenders(const Napi::CallbackInfo& info) { aws_hmac::NoteSenders(SignalOf(info)); }

Napi::Value TakeSenders(const Napi::CallbackInfo& info) {
  const std::vector<pid_t> senders = aws_hmac::TakeSenders(SignalOf(info));
  auto array = Napi::Array::New(info.Env(), senders.size());
  for (uint32_t i = 0; i < senders.size(); i++) array.Set(i, senders[i]);
  return array;
}

}  // namespace aws_hmac::napi
