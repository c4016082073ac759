#include "pkcs11/return_value.h"

#include <gtest/gtest.h>

#include <string>

namespace aws_hmac::pkcs11 {
namespace {

struct Expected {
  CK_RV rv;
  const char* name;
  const char* code;
  bool retryable;
};

TEST(ReturnValue, HasANameACodeAndARemedy) {
  for (const Expected& expected : {
           Expected{0x03, "CKR_SLOT_ID_INVALID", "ERR_TOKEN_NOT_FOUND", false},
           Expected{0x30, "CKR_DEVICE_ERROR", "ERR_PKCS11_DEVICE", true},
           Expected{0x60, "CKR_KEY_HANDLE_INVALID", "ERR_KEY_NOT_FOUND", false},
           Expected{0x68, "CKR_KEY_FUNCTION_NOT_PERMITTED", "ERR_KEY_UNSUITABLE", false},
           Expected{0x70, "CKR_MECHANISM_INVALID", "ERR_KEY_UNSUITABLE", false},
           Expected{0xA0, "CKR_PIN_INCORRECT", "ERR_PIN_INCORRECT", false},
           Expected{0xA2, "CKR_PIN_LEN_RANGE", "ERR_PIN_INCORRECT", false},
           Expected{0xA4, "CKR_PIN_LOCKED", "ERR_PIN_LOCKED", false},
           Expected{0xB1, "CKR_SESSION_COUNT", "ERR_PKCS11_DEVICE", true},
           Expected{0x101, "CKR_USER_NOT_LOGGED_IN", "ERR_PIN_REQUIRED", false},
           Expected{0xE2, "CKR_TOKEN_WRITE_PROTECTED", "ERR_PKCS11", false},
           Expected{0xF1, "CKR_UNWRAPPING_KEY_SIZE_RANGE", "ERR_KEY_UNSUITABLE", false},
           Expected{0x110, "CKR_WRAPPED_KEY_INVALID", "ERR_PKCS11", false},
       }) {
    EXPECT_EQ(NameOf(expected.rv), expected.name);
    EXPECT_STREQ(Describe(expected.rv).code, expected.code) << expected.name;
    EXPECT_EQ(Describe(expected.rv).retryable, expected.retryable) << expected.name;
  }
}

TEST(ReturnValue, OpeningAgainHelpsAgainstWhatWasLostAndNeverAgainstAPin) {
  for (const CK_RV lost : {0x30, 0x60, 0x82, 0xB0, 0xB3, 0x101, 0x190})
    EXPECT_TRUE(Describe(lost).stale) << lost;
  for (const CK_RV final : {0x00, 0x70, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xB1}) {
    EXPECT_FALSE(Describe(final).stale) << final;
  }
}

TEST(ReturnValue, NamesUnknownNumbers) {
  EXPECT_EQ(NameOf(0x80000011), "CKR_0x80000011");
  EXPECT_STREQ(Describe(0x80000011).code, "ERR_PKCS11");
  EXPECT_EQ(NameOf(CKR_VENDOR_DEFINED), "CKR_0x80000000");
  EXPECT_EQ(NameOf(CKR_OK), "CKR_OK");
}

TEST(ReturnValue, CheckThrowsWithTheCallAndItsAnswer) {
  EXPECT_NO_THROW(Check(CKR_OK, "C_Login"));
  try {
    Check(CKR_PIN_INCORRECT, "C_Login");
    ADD_FAILURE() << "did not throw";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.api, Api::kPkcs11);
    EXPECT_STREQ(failure.code, "ERR_PIN_INCORRECT");
    EXPECT_EQ(failure.number, 0xA0U);
    EXPECT_EQ(failure.number_name, "CKR_PIN_INCORRECT");
    EXPECT_EQ(failure.operation, "C_Login");
    EXPECT_NE(std::string(failure.what()).find("C_Login"), std::string::npos);
  }
}

}  // namespace
}  // namespace aws_hmac::pkcs11
