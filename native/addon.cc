#include <napi.h>

#include "core/exit_guard.h"
#include "napi/connection.h"
#include "napi/environment.h"
#include "napi/pkcs11_token.h"
#include "napi/sign_lines.h"
#include "pkcs11/pkcs11.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  aws_hmac::StopWorkersBeforeLibrariesExit();
  aws_hmac::napi::Environment::Create(env);
  exports.Set("Connection", aws_hmac::napi::Connection::Define(env));
  exports.Set("parsePkcs11Uri", Napi::Function::New<aws_hmac::napi::ParsePkcs11Uri>(env, "parsePkcs11Uri"));
  exports.Set("signLines", Napi::Function::New<aws_hmac::napi::SignLines>(env, "signLines"));
  const auto salt = aws_hmac::pkcs11::PinSalt();
  exports.Set("pinSalt", Napi::Buffer<uint8_t>::Copy(env, salt.data(), salt.size()));
  return exports;
}

}  // namespace

NODE_API_MODULE(aws_hmac, Init)
