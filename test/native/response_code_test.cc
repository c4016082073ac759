#include "tpm/response_code.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tpm/response_code_table.h"

namespace aws_hmac::tpm {
namespace {

using Subject = ResponseCode::Subject;

void ExpectDecoded(TSS2_RC rc, uint32_t layer, uint32_t error, Subject subject, uint32_t index) {
  const ResponseCode code = Decode(rc);
  EXPECT_EQ(code.layer, layer) << std::hex << rc;
  EXPECT_EQ(code.error, error) << std::hex << rc;
  EXPECT_EQ(code.subject, subject) << std::hex << rc;
  EXPECT_EQ(code.index, index) << std::hex << rc;
}

TEST(ResponseCode, FormatZero) {
  ExpectDecoded(0x101, 0, TPM2_RC_FAILURE, Subject::kNone, 0);
  ExpectDecoded(0x922, 0, TPM2_RC_RETRY, Subject::kNone, 0);
  ExpectDecoded(0x01e, 0, TPM2_RC_BAD_TAG, Subject::kNone, 0);
}

TEST(ResponseCode, FormatOneNamesHandleParameterAndSession) {
  ExpectDecoded(0x18b, 0, TPM2_RC_HANDLE, Subject::kHandle, 1);
  ExpectDecoded(0x1df, 0, TPM2_RC_INTEGRITY, Subject::kParameter, 1);
  ExpectDecoded(0xfd5, 0, TPM2_RC_SIZE, Subject::kParameter, 15);
  ExpectDecoded(0x98e, 0, TPM2_RC_AUTH_FAIL, Subject::kSession, 1);
  ExpectDecoded(0xaa2, 0, TPM2_RC_BAD_AUTH, Subject::kSession, 2);
  ExpectDecoded(0x08e, 0, TPM2_RC_AUTH_FAIL, Subject::kHandle, 0);
}

TEST(ResponseCode, ResourceManagersSpeakForTheTpm) {
  ExpectDecoded(0x000c0143, 0, TPM2_RC_COMMAND_CODE, Subject::kNone, 0);
  ExpectDecoded(0x000b018b, 0, TPM2_RC_HANDLE, Subject::kHandle, 1);
  EXPECT_TRUE(Answered(0x000c0143, TPM2_RC_COMMAND_CODE));
}

TEST(ResponseCode, OtherLayersAreTss2) {
  ExpectDecoded(0x000a000a, 10, TSS2_BASE_RC_IO_ERROR, Subject::kNone, 0);
  ExpectDecoded(0x00070007, 7, TSS2_BASE_RC_BAD_SEQUENCE, Subject::kNone, 0);
  EXPECT_FALSE(Answered(0x000a0101, TPM2_RC_FAILURE));
}

TEST(ResponseCode, Names) {
  EXPECT_EQ(NameOf(0x98e), "TPM_RC_AUTH_FAIL");
  EXPECT_EQ(NameOf(0x000c0143), "TPM_RC_COMMAND_CODE");
  EXPECT_EQ(NameOf(0x000a000a), "TSS2_TCTI_RC_IO_ERROR");
  EXPECT_EQ(NameOf(0x0007001b), "TSS2_ESYS_RC_RSP_AUTH_FAILED");
  EXPECT_EQ(NameOf(0x000a00ff), "0xa00ff");
  EXPECT_EQ(NameOf(0x17e), "0x17e");
  EXPECT_EQ(NameOf(0x00ff0001), "0xff0001");
}

TEST(ResponseCode, FailuresCarryCodeNumberNameAndSubject) {
  const Failure failure = ToFailure(0x98e, "TPM2_HMAC");
  EXPECT_EQ(failure.api, Api::kTpm);
  EXPECT_STREQ(failure.code, "ERR_TPM_AUTH");
  EXPECT_EQ(failure.number, 0x98eu);
  EXPECT_EQ(failure.number_name, "TPM_RC_AUTH_FAIL");
  EXPECT_EQ(failure.operation, "TPM2_HMAC");
  EXPECT_FALSE(failure.retryable);
  EXPECT_NE(std::string(failure.what()).find("(TPM2_HMAC: TPM_RC_AUTH_FAIL, session 1)"), std::string::npos);
}

TEST(ResponseCode, CodesOfTheFailuresThatUsersMeet) {
  const auto code = [](TSS2_RC rc) { return std::string(ToFailure(rc, "TPM2_HMAC").code); };
  EXPECT_EQ(code(0x9a2), "ERR_TPM_AUTH");
  EXPECT_EQ(code(0x921), "ERR_TPM_LOCKOUT");
  EXPECT_EQ(code(0x12f), "ERR_TPM_POLICY");
  EXPECT_EQ(code(0x99d), "ERR_POLICY_UNSATISFIED");
  EXPECT_EQ(code(0x18b), "ERR_KEY_NOT_FOUND");
  EXPECT_EQ(code(0x1df), "ERR_TPM_PARENT");
  EXPECT_EQ(code(0x14c), "ERR_TPM_HANDLE_IN_USE");
  EXPECT_EQ(code(0x902), "ERR_TPM_MEMORY");
  EXPECT_EQ(code(0x903), "ERR_TPM_MEMORY");
  EXPECT_EQ(code(0x90a), "ERR_TPM_BUSY");
  EXPECT_EQ(code(0x100), "ERR_TPM_STATE");
  EXPECT_EQ(code(0x918), "ERR_TPM_STATE");
  EXPECT_EQ(code(0x2d2), "ERR_TPM");
  EXPECT_EQ(code(0x000a000a), "ERR_TPM_CONNECTION");
  EXPECT_EQ(code(0x00070007), "ERR_TPM_CONNECTION");
  EXPECT_EQ(code(0x0007000b), "ERR_TPM");
}

TEST(ResponseCode, OnlyPassingTroubleIsRetryable) {
  for (const TSS2_RC rc : {0x922, 0x908, 0x90a, 0x902, 0x903, 0x910, 0x918, 0xa000a}) {
    EXPECT_TRUE(ToFailure(rc, "TPM2_HMAC").retryable) << std::hex << rc;
  }
  for (const TSS2_RC rc : {0x98e, 0x9a2, 0x921, 0x12f, 0x18b, 0x1df, 0x101}) {
    EXPECT_FALSE(ToFailure(rc, "TPM2_HMAC").retryable) << std::hex << rc;
  }
}

TEST(ResponseCode, WhatABusyAStaleAndABrokenTpmSay) {
  EXPECT_TRUE(IsBusy(0x922) && IsBusy(0x908) && IsBusy(0x90a) && IsBusy(0x000b0922));
  EXPECT_FALSE(IsBusy(0x921) || IsBusy(0x98e) || IsBusy(0));
  EXPECT_TRUE(IsStale(0x910) && IsStale(0x918) && IsStale(0x91e) && IsStale(0x18b));
  EXPECT_FALSE(IsStale(0x922) || IsStale(0x98e) || IsStale(0xa0010) || IsStale(0));
  EXPECT_TRUE(IsBroken(0xa000a) && IsBroken(0x70007) && IsBroken(0x7001b));
  EXPECT_FALSE(IsBroken(0x98e) || IsBroken(0x7000b) || IsBroken(0));
}

TEST(ResponseCode, CheckThrowsOnAnythingButSuccess) {
  EXPECT_NO_THROW(Check(TSS2_RC_SUCCESS, "TPM2_HMAC"));
  EXPECT_THROW(Check(0x98e, "TPM2_HMAC"), Failure);
}

TEST(ResponseCode, TheTableNamesEachCodeOnce) {
  std::set<TPM2_RC> errors;
  std::set<std::string> names;
  for (const Meaning& meaning : kMeanings) {
    EXPECT_TRUE(errors.insert(meaning.error).second) << meaning.name;
    EXPECT_TRUE(names.insert(meaning.name).second) << meaning.name;
    EXPECT_EQ(Decode(meaning.error).error, meaning.error) << meaning.name;
  }
}

}  // namespace
}  // namespace aws_hmac::tpm
