#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/failure.h"
#include "pkcs11/pkcs11.h"

namespace aws_hmac::pkcs11 {

// RFC 4231, test case 1: HMAC-SHA256 of "Hi There" with 20 bytes 0x0b. A key shorter than SoftHSM signs with.
inline const Bytes kKey(20, 0x0b);
inline constexpr std::string_view kMessage = "Hi There";
inline constexpr uint8_t kMac[] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf,
                                   0xce, 0xaf, 0x0b, 0xf1, 0x2b, 0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83,
                                   0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};

inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline std::string Environment(const char* name) {
  const char* value = getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string("set ") + name + ": a throwaway SoftHSM token");
  return value;
}

/// Keys on the throwaway token of scripts/native-tests.mjs.
class Pkcs11 : public testing::Test {
 protected:
  OpenOptions Open(const std::string& key) const {
    return {.token = Token(), .label = key, .id = std::nullopt, .login = Login()};
  }

  Imported Import(const std::string& key, const Bytes& id = {}) const { return ImportWith(key, id, kMac); }

  Imported ImportWith(const std::string& key, const Bytes& id, std::span<const uint8_t> mac) const {
    return ImportKey({.token = Token(), .label = key, .id = id, .login = Login(), .key = SecretBytes(kKey)},
                     {.message = AsBytes(kMessage), .mac = mac});
  }

  TokenQuery Token() const { return {.module = module_, .label = token_, .serial = {}, .slot = {}}; }
  Credential Login() const { return LoginWith(pin_); }
  static Credential LoginWith(std::string_view pin) {
    return {.pin = SecretBytes(AsBytes(pin)), .digest = Bytes(pin.begin(), pin.end())};
  }

  static void ExpectMac(HmacDevice& device) {
    EXPECT_TRUE(std::ranges::equal(device.Sign(AsBytes(kMessage)).bytes, kMac));
  }

  static void ExpectFailure(const char* code, const std::function<void()>& action) {
    try {
      action();
      ADD_FAILURE() << "expected " << code;
    } catch (const Failure& failure) {
      EXPECT_STREQ(failure.code, code) << failure.what();
    }
  }

  const std::string module_ = Environment("AWS_HMAC_TEST_PKCS11_MODULE");
  const std::string token_ = Environment("AWS_HMAC_TEST_PKCS11_TOKEN");
  const std::string pin_ = Environment("AWS_HMAC_TEST_PKCS11_PIN");
};

}  // namespace aws_hmac::pkcs11
