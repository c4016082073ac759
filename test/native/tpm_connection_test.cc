#include <gtest/gtest.h>

#include <string>

#include "core/failure.h"
#include "tpm/capability.h"
#include "tpm/connection.h"

namespace aws_hmac::tpm {
namespace {

TEST(TpmConnection, EachReasonHasItsCode) {
  const auto code = [](const char* tcti) -> std::string {
    try {
      // A TCTI need not speak to the TPM to open: the first command does.
      InputBufferSize(Connection(tcti).esys());
    } catch (const Failure& failure) {
      return failure.code;
    }
    return "no failure";
  };
  EXPECT_EQ(code("device:/dev/no-such-tpm"), "ERR_TPM_DEVICE_NOT_FOUND");
  EXPECT_EQ(code("device:/etc/hostname"), "ERR_TPM_NOT_A_DEVICE");
  EXPECT_EQ(code("device:/etc"), "ERR_TPM_NOT_A_DEVICE");
  EXPECT_EQ(code("device:/dev/null"), "ERR_TPM_CONNECTION");
  EXPECT_EQ(code("libtss2-tcti-device.so.0:/dev/no-such-tpm"), "ERR_TPM_DEVICE_NOT_FOUND");
  EXPECT_EQ(code("no-such-tcti:x"), "ERR_TPM_TCTI");
  EXPECT_EQ(code("libc.so.6"), "ERR_TPM_TCTI");
  EXPECT_EQ(code(""), "ERR_TPM_TCTI");
  EXPECT_EQ(code(":"), "ERR_TPM_TCTI");
  EXPECT_EQ(code("swtpm:port=never"), "ERR_TPM_TCTI");
  EXPECT_EQ(code("swtpm:host=127.0.0.1,port=1"), "ERR_TPM_CONNECTION");
}

}  // namespace
}  // namespace aws_hmac::tpm
