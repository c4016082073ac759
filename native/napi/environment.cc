#include "napi/environment.h"

#include <vector>

#include "napi/connection.h"

namespace aws_hmac::napi {

void Environment::Create(Napi::Env env) {
  auto held = std::make_unique<std::shared_ptr<Environment>>(std::make_shared<Environment>(env));
  env.SetInstanceData(held.release());  // Node-API deletes it when the environment ends
}

std::shared_ptr<Environment> Environment::Of(Napi::Env env) {
  return *env.GetInstanceData<std::shared_ptr<Environment>>();
}

Environment::Environment(Napi::Env env)
    : notifier_(std::make_shared<Notifier>(env, [this](Napi::Env) { SettleFinished(); })) {
  env.AddCleanupHook([](Environment* self) { self->StopAll(); }, this);
}

void Environment::SettleFinished() {
  // A copy: settling runs no JavaScript, but it may let a connection be collected.
  const std::vector<Connection*> connections(connections_.begin(), connections_.end());
  for (auto* connection : connections) {
    if (connections_.contains(connection)) connection->SettleFinished();
  }
}

void Environment::StopAll() {
  for (auto* connection : connections_) connection->worker().Stop();
  for (auto* connection : connections_) connection->worker().AwaitStop();
}

}  // namespace aws_hmac::napi
