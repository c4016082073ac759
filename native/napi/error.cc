#include "napi/error.h"

namespace aws_hmac::napi {
namespace {

const char* NameOf(Api api) {
  switch (api) {
    case Api::kTpm:
      return "tpm";
    case Api::kPkcs11:
      return "pkcs11";
    case Api::kErrno:
      return "errno";
    case Api::kNone:
      break;
  }
  return "";
}

}  // namespace

Napi::Error ToError(Napi::Env env, const Failure& failure) {
  auto error = Napi::Error::New(env, failure.what());
  auto members = error.Value();
  members.Set("api", NameOf(failure.api));
  members.Set("code", failure.code);
  members.Set("number", Napi::Number::New(env, static_cast<double>(failure.number)));
  members.Set("numberName", failure.number_name);
  members.Set("operation", failure.operation);
  members.Set("retryable", Napi::Boolean::New(env, failure.retryable));
  return error;
}

}  // namespace aws_hmac::napi
