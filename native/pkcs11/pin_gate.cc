#include "pkcs11/pin_gate.h"

#include <errno.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "pkcs11/pkcs11.h"
#include "pkcs11/return_value.h"

namespace aws_hmac::pkcs11 {
namespace {

struct Gate {
  std::mutex mutex;
  std::vector<Bytes> refused;  // digests
};

template <size_t width>
std::string_view Raw(const CK_UTF8CHAR (&field)[width]) {
  return {reinterpret_cast<const char*>(field), width};
}

std::string Identity(const CK_TOKEN_INFO& token) {
  std::string identity(Raw(token.manufacturerID));
  return identity.append(Raw(token.model)).append(Raw(token.serialNumber)).append(Raw(token.label));
}

// Gates are never destroyed: device threads may outlive static objects while the process exits.
Gate& GateOf(const CK_TOKEN_INFO& token) {
  static auto& mutex = *std::make_unique<std::mutex>().release();
  static auto& gates = *std::make_unique<std::map<std::string, Gate>>().release();
  std::lock_guard lock(mutex);
  return gates[Identity(token)];
}

bool IsWrongPin(CK_RV rv) {
  return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE;
}

}  // namespace

std::span<const uint8_t> PinSalt() {
  static const auto salt = [] {
    std::array<uint8_t, 32> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
      throw Failure(Api::kErrno, "ERR_INTERNAL", "getrandom: " + std::generic_category().message(errno));
    }
    return bytes;
  }();
  return salt;
}

CK_RV SendPin(const CK_TOKEN_INFO& token, const Bytes& digest, const std::function<CK_RV()>& send) {
  Gate& gate = GateOf(token);
  std::lock_guard lock(gate.mutex);
  if (std::ranges::find(gate.refused, digest) != gate.refused.end()) {
    throw Refusal(
        "ERR_PIN_INCORRECT",
        "the token refused this PIN before, so it is not sent again; if the token has it now, restart this "
        "program");
  }
  const CK_RV rv = send();
  if (IsWrongPin(rv)) gate.refused.push_back(digest);
  return rv;
}

}  // namespace aws_hmac::pkcs11
