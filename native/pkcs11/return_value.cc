#include "pkcs11/return_value.h"

#include <p11-kit/p11-kit.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.h"

namespace aws_hmac::pkcs11 {
namespace {

constexpr const char* kDevice = "ERR_PKCS11_DEVICE";
constexpr const char* kUnsuitable = "ERR_KEY_UNSUITABLE";
constexpr const char* kOther = "ERR_PKCS11";

constexpr bool kRetryable = true;
constexpr bool kStale = true;

#define ROW(number) number, #number
constexpr auto kTable = std::to_array<ReturnValue>({
    {ROW(CKR_CANCEL), kOther, false, false},
    {ROW(CKR_HOST_MEMORY), kDevice, kRetryable, kStale},
    {ROW(CKR_SLOT_ID_INVALID), "ERR_TOKEN_NOT_FOUND", false, kStale},
    {ROW(CKR_GENERAL_ERROR), kDevice, false, kStale},
    {ROW(CKR_FUNCTION_FAILED), kDevice, kRetryable, kStale},
    {ROW(CKR_ARGUMENTS_BAD), kOther, false, false},
    {ROW(CKR_NEED_TO_CREATE_THREADS), "ERR_MODULE_FAILED", false, false},
    {ROW(CKR_CANT_LOCK), "ERR_MODULE_FAILED", false, false},
    {ROW(CKR_ATTRIBUTE_READ_ONLY), kOther, false, false},
    {ROW(CKR_ATTRIBUTE_SENSITIVE), kOther, false, false},
    {ROW(CKR_ATTRIBUTE_TYPE_INVALID), kOther, false, false},
    {ROW(CKR_ATTRIBUTE_VALUE_INVALID), kOther, false, false},
    {ROW(CKR_ACTION_PROHIBITED), kOther, false, false},
    {ROW(CKR_DATA_INVALID), kOther, false, false},
    {ROW(CKR_DATA_LEN_RANGE), kOther, false, false},
    {ROW(CKR_DEVICE_ERROR), kDevice, kRetryable, kStale},
    {ROW(CKR_DEVICE_MEMORY), kDevice, kRetryable, kStale},
    {ROW(CKR_DEVICE_REMOVED), kDevice, kRetryable, kStale},
    {ROW(CKR_ENCRYPTED_DATA_INVALID), kOther, false, false},
    {ROW(CKR_ENCRYPTED_DATA_LEN_RANGE), kOther, false, false},
    {ROW(CKR_FUNCTION_CANCELED), kOther, kRetryable, false},
    {ROW(CKR_FUNCTION_NOT_SUPPORTED), kOther, false, false},
    {ROW(CKR_KEY_HANDLE_INVALID), "ERR_KEY_NOT_FOUND", false, kStale},
    {ROW(CKR_KEY_SIZE_RANGE), kUnsuitable, false, false},
    {ROW(CKR_KEY_TYPE_INCONSISTENT), kUnsuitable, false, false},
    {ROW(CKR_KEY_FUNCTION_NOT_PERMITTED), kUnsuitable, false, false},
    {ROW(CKR_MECHANISM_INVALID), kUnsuitable, false, false},
    {ROW(CKR_MECHANISM_PARAM_INVALID), kUnsuitable, false, false},
    {ROW(CKR_OBJECT_HANDLE_INVALID), "ERR_KEY_NOT_FOUND", false, kStale},
    {ROW(CKR_OPERATION_ACTIVE), kOther, kRetryable, kStale},
    {ROW(CKR_OPERATION_NOT_INITIALIZED), kOther, kRetryable, kStale},
    {ROW(CKR_PIN_INCORRECT), "ERR_PIN_INCORRECT", false, false},
    {ROW(CKR_PIN_INVALID), "ERR_PIN_INCORRECT", false, false},
    {ROW(CKR_PIN_LEN_RANGE), "ERR_PIN_INCORRECT", false, false},
    {ROW(CKR_PIN_EXPIRED), "ERR_PIN_LOCKED", false, false},
    {ROW(CKR_PIN_LOCKED), "ERR_PIN_LOCKED", false, false},
    {ROW(CKR_SESSION_CLOSED), kDevice, kRetryable, kStale},
    {ROW(CKR_SESSION_COUNT), kDevice, kRetryable, false},
    {ROW(CKR_SESSION_HANDLE_INVALID), kDevice, kRetryable, kStale},
    {ROW(CKR_SESSION_PARALLEL_NOT_SUPPORTED), kOther, false, false},
    {ROW(CKR_SESSION_READ_ONLY), kOther, false, false},
    {ROW(CKR_SESSION_EXISTS), kOther, false, false},
    {ROW(CKR_SESSION_READ_ONLY_EXISTS), kOther, false, false},
    {ROW(CKR_SESSION_READ_WRITE_SO_EXISTS), kOther, false, false},
    {ROW(CKR_TEMPLATE_INCOMPLETE), kOther, false, false},
    {ROW(CKR_TEMPLATE_INCONSISTENT), kOther, false, false},
    {ROW(CKR_TOKEN_NOT_PRESENT), kDevice, kRetryable, kStale},
    {ROW(CKR_TOKEN_NOT_RECOGNIZED), kDevice, false, kStale},
    {ROW(CKR_TOKEN_WRITE_PROTECTED), kOther, false, false},
    {ROW(CKR_UNWRAPPING_KEY_SIZE_RANGE), kUnsuitable, false, false},
    {ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT), kUnsuitable, false, false},
    {ROW(CKR_USER_ALREADY_LOGGED_IN), kOther, false, false},
    {ROW(CKR_USER_NOT_LOGGED_IN), "ERR_PIN_REQUIRED", false, kStale},
    // What SoftHSM says of its token while another process logs in.
    {ROW(CKR_USER_PIN_NOT_INITIALIZED), kOther, false, kStale},
    {ROW(CKR_USER_TYPE_INVALID), kOther, false, false},
    {ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN), kOther, kRetryable, false},
    {ROW(CKR_USER_TOO_MANY_TYPES), kOther, kRetryable, false},
    {ROW(CKR_WRAPPED_KEY_INVALID), kOther, false, false},
    {ROW(CKR_WRAPPED_KEY_LEN_RANGE), kOther, false, false},
    {ROW(CKR_BUFFER_TOO_SMALL), "ERR_MAC_LENGTH", false, false},
    {ROW(CKR_CRYPTOKI_NOT_INITIALIZED), kDevice, kRetryable, kStale},
    {ROW(CKR_CRYPTOKI_ALREADY_INITIALIZED), "ERR_MODULE_FAILED", false, false},
    {ROW(CKR_MUTEX_BAD), "ERR_MODULE_FAILED", false, false},
    {ROW(CKR_FIPS_SELF_TEST_FAILED), "ERR_MODULE_FAILED", false, false},
    {ROW(CKR_LIBRARY_LOAD_FAILED), "ERR_MODULE_FAILED", false, false},
    {ROW(CKR_FUNCTION_REJECTED), kOther, false, false},
});
#undef ROW

constexpr ReturnValue kUnknown{CKR_VENDOR_DEFINED, "", kOther, false, false};

}  // namespace

const ReturnValue& Describe(CK_RV rv) {
  const auto row = std::ranges::find(kTable, rv, &ReturnValue::number);
  return row == kTable.end() ? kUnknown : *row;
}

std::string NameOf(CK_RV rv) {
  if (rv == CKR_OK) return "CKR_OK";
  const ReturnValue& row = Describe(rv);
  if (*row.name != '\0') return row.name;
  return "CKR_" + Hex(rv);
}

Failure CallFailed(CK_RV rv, const char* call, const std::string& hint) {
  const ReturnValue& row = Describe(rv);
  std::string message = std::string(call) + ": " + p11_kit_strerror(rv) + " (" + NameOf(rv) + ")";
  if (!hint.empty()) message += ": " + hint;
  return Failure(Api::kPkcs11, row.code, std::move(message), row.retryable).At(call, rv, NameOf(rv));
}

void Check(CK_RV rv, const char* call) {
  if (rv != CKR_OK) throw CallFailed(rv, call);
}

Failure Refusal(const char* code, std::string message) {
  return Failure(Api::kPkcs11, code, std::move(message));
}

}  // namespace aws_hmac::pkcs11
