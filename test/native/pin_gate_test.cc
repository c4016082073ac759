#include "pkcs11/pin_gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "core/failure.h"

namespace aws_hmac::pkcs11 {
namespace {

Bytes Digest(std::string_view text) { return {text.begin(), text.end()}; }

CK_TOKEN_INFO TokenWithSerial(std::string_view serial) {
  CK_TOKEN_INFO info{};
  std::ranges::copy(serial, info.serialNumber);
  return info;
}

TEST(PinGate, SendsARefusedPinOnceAndOthersAsOftenAsAsked) {
  const CK_TOKEN_INFO token = TokenWithSerial("gate-1");
  int sent = 0;
  const auto answer = [&](CK_RV rv) {
    return [&sent, rv] {
      ++sent;
      return rv;
    };
  };
  EXPECT_EQ(SendPin(token, Digest("wrong"), answer(CKR_PIN_INCORRECT)), CKR_PIN_INCORRECT);
  EXPECT_THROW(SendPin(token, Digest("wrong"), answer(CKR_OK)), Failure);
  EXPECT_EQ(sent, 1);
  EXPECT_EQ(SendPin(token, Digest("right"), answer(CKR_OK)), CKR_OK);
  EXPECT_EQ(SendPin(token, Digest("right"), answer(CKR_DEVICE_ERROR)), CKR_DEVICE_ERROR);
  EXPECT_EQ(SendPin(token, Digest("right"), answer(CKR_OK)), CKR_OK);
  EXPECT_EQ(sent, 4);
}

TEST(PinGate, KnowsTokensApart) {
  EXPECT_EQ(SendPin(TokenWithSerial("gate-2"), Digest("1234"), [] { return CKR_PIN_INCORRECT; }),
            CKR_PIN_INCORRECT);
  EXPECT_EQ(SendPin(TokenWithSerial("gate-3"), Digest("1234"), [] { return CKR_OK; }), CKR_OK);
}

TEST(PinGate, SendsAWrongPinOnceThoughManyThreadsHaveIt) {
  const CK_TOKEN_INFO token = TokenWithSerial("gate-4");
  std::atomic<int> sent = 0;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        try {
          SendPin(token, Digest("wrong"), [&]() -> CK_RV {
            ++sent;
            return CKR_PIN_INCORRECT;
          });
        } catch (const Failure& failure) {
          if (std::string_view(failure.code) == "ERR_PIN_INCORRECT") ++refused;
        }
      });
    }
  }
  EXPECT_EQ(sent, 1);
  EXPECT_EQ(refused, 7);
}

}  // namespace
}  // namespace aws_hmac::pkcs11
