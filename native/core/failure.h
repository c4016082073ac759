#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace aws_hmac {

/// Which C API a failure's number belongs to.
enum class Api { kNone, kTpm, kPkcs11, kErrno };

/// The one exception type of the native code. It becomes an Error with `code`, `number`, … in JavaScript.
/// Nothing in it may hold a secret.
class Failure : public std::exception {
 public:
  /// `code` is a string literal such as "ERR_KEY_NOT_FOUND"; `number` is the C API's own return code.
  Failure(Api api, const char* code, std::string message, bool retryable = false)
      : api(api), code(code), retryable(retryable), message_(std::move(message)) {}

  /// Adds the C call that failed and what it answered.
  Failure&& At(std::string call, uint64_t answer, std::string answer_name) && {
    operation = std::move(call);
    number = answer;
    number_name = std::move(answer_name);
    return std::move(*this);
  }

  const char* what() const noexcept override { return message_.c_str(); }

  Api api;
  const char* code;
  bool retryable;
  bool device_hangs = false;  // it did nothing in time: whatever waits for it would wait in vain
  uint64_t number = 0;
  std::string number_name;
  std::string operation;

 private:
  std::string message_;
};

}  // namespace aws_hmac
