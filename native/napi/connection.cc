#include "napi/connection.h"

#include <utility>

#include "napi/error.h"

namespace aws_hmac::napi {
namespace {

Worker StartWorker(Napi::Env env, std::shared_ptr<Notifier> notifier) {
  try {
    return Worker([notifier = std::move(notifier)] { notifier->Notify(); });
  } catch (const Failure& failure) {
    throw ToError(env, failure);
  }
}

}  // namespace

Napi::Function Connection::Define(Napi::Env env) {
  return DefineClass(
      env, "Connection",
      {InstanceMethod<&Connection::Submit<OpenTpm>>("openTpm"),
       InstanceMethod<&Connection::Submit<ImportTpm>>("importTpm"),
       InstanceMethod<&Connection::Submit<ListTpm>>("listTpm"),
       InstanceMethod<&Connection::Submit<ReadTpmProperties>>("readTpmProperties"),
       InstanceMethod<&Connection::Submit<ReadTpm>>("readTpm"),
       InstanceMethod<&Connection::Submit<RemoveTpm>>("removeTpm"),
       InstanceMethod<&Connection::Submit<OpenPkcs11>>("openPkcs11"),
       InstanceMethod<&Connection::Submit<ImportPkcs11>>("importPkcs11"),
       InstanceMethod<&Connection::Submit<ListPkcs11>>("listPkcs11"),
       InstanceMethod<&Connection::Submit<RemovePkcs11>>("removePkcs11"),
       InstanceMethod<&Connection::Mac>("mac"), InstanceMethod<&Connection::Cancel>("cancel"),
       InstanceMethod<&Connection::Close>("close"), InstanceMethod<&Connection::Abandon>("abandon")});
}

Connection::Connection(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      environment_(Environment::Of(info.Env())),
      worker_(StartWorker(info.Env(), environment_->notifier())) {
  environment_->Add(*this);
}

Connection::~Connection() { environment_->Remove(*this); }

template <std::unique_ptr<Call> (*Make)(uint64_t, const Options&)>
Napi::Value Connection::Submit(const Napi::CallbackInfo& info) {
  return Start(info.Env(), Make(IntegerOf(info[0], "id"), Options(info[1])));
}

Napi::Value Connection::Mac(const Napi::CallbackInfo& info) {
  return Start(info.Env(), Sign(IntegerOf(info[0], "id"), BytesOf(info[1], "message")));
}

Napi::Value Connection::Start(Napi::Env env, std::unique_ptr<Call> call) {
  const uint64_t id = call->id;
  try {
    worker_.Submit(std::move(call));
  } catch (const Failure& failure) {
    throw ToError(env, failure);
  }
  AddPending();
  return pending_.emplace(id, Napi::Promise::Deferred::New(env)).first->second.Promise();
}

void Connection::Cancel(const Napi::CallbackInfo& info) {
  const uint64_t id = IntegerOf(info[0], "id");
  SettleFinished();  // answers that share a wake-up still to come must not be lost to a device that hangs now
  worker_.Cancel(id);
  Reject(id, Failure(Api::kNone, "ERR_CLOSED", "the call was cancelled"));
}

Napi::Value Connection::Close(const Napi::CallbackInfo& info) {
  if (!closing_) {
    closing_ = Napi::Promise::Deferred::New(info.Env());
    AddPending();
    worker_.Drain();
    return closing_->Promise();
  }
  throw Napi::Error::New(info.Env(), "close() was called already");
}

void Connection::Abandon(const Napi::CallbackInfo& /*info*/) {
  SettleFinished();
  worker_.Stop();
  while (!pending_.empty()) {
    const uint64_t id = pending_.begin()->first;
    worker_.Cancel(id);
    Reject(id, Failure(Api::kNone, "ERR_CLOSED", "the key was closed while its device did not answer"));
  }
  SettleClose();
}

void Connection::SettleFinished() {
  const Napi::Env env = Env();
  const bool finished = worker_.finished();  // asked first: whatever was done by then is taken below
  for (auto& job : worker_.TakeFinished()) {
    const Napi::HandleScope scope(env);
    const auto found = pending_.find(job->id);
    if (found == pending_.end()) continue;  // cancelled
    if (job->failure) {
      Reject(job->id, *job->failure);
      continue;
    }
    const auto deferred = found->second;
    pending_.erase(found);
    deferred.Resolve(static_cast<Call&>(*job).Answer(env));
    RemovePending();
  }
  if (finished) {
    const Napi::HandleScope scope(env);
    SettleClose();
  }
}

void Connection::Reject(uint64_t id, const Failure& failure) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  const auto deferred = found->second;
  pending_.erase(found);
  deferred.Reject(ToError(Env(), failure).Value());
  RemovePending();
}

void Connection::SettleClose() {
  if (!closing_ || closed_) return;
  closed_ = true;
  closing_->Resolve(Env().Undefined());
  RemovePending();
}

// While anything is pending, neither the process ends nor is this object collected.
void Connection::AddPending() {
  Ref();
  environment_->notifier()->AddPending(Env());
}

void Connection::RemovePending() {
  environment_->notifier()->RemovePending(Env());
  Unref();
}

}  // namespace aws_hmac::napi
