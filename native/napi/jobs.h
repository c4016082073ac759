#pragma once

#include <napi.h>

#include <memory>

#include "core/worker.h"
#include "napi/options.h"

namespace aws_hmac::napi {

/// A job whose answer becomes a JavaScript value. It holds nothing of JavaScript: it is made and read on the
/// JavaScript thread, run and perhaps dropped on the device thread.
class Call : public Job {
 public:
  using Job::Job;
  /// The answer, after Run has succeeded.
  virtual Napi::Value Answer(Napi::Env env) = 0;
};

std::unique_ptr<Call> OpenTpm(uint64_t id, const Options& options);
std::unique_ptr<Call> ImportTpm(uint64_t id, const Options& options);
std::unique_ptr<Call> ListTpm(uint64_t id, const Options& options);
std::unique_ptr<Call> ReadTpmProperties(uint64_t id, const Options& options);
std::unique_ptr<Call> ReadTpm(uint64_t id, const Options& options);
std::unique_ptr<Call> RemoveTpm(uint64_t id, const Options& options);
std::unique_ptr<Call> OpenPkcs11(uint64_t id, const Options& options);
std::unique_ptr<Call> ImportPkcs11(uint64_t id, const Options& options);
std::unique_ptr<Call> ListPkcs11(uint64_t id, const Options& options);
std::unique_ptr<Call> RemovePkcs11(uint64_t id, const Options& options);
std::unique_ptr<Call> Sign(uint64_t id, std::span<const uint8_t> message);

}  // namespace aws_hmac::napi
