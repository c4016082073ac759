#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

#include "core/failure.h"
#include "tpm/capability.h"
#include "tpm/connection.h"
#include "tpm/tpm.h"

namespace aws_hmac::tpm {
namespace {

TEST(TpmConnection, EachReasonHasItsCode) {
  const auto code = [](const char* tcti) -> std::string {
    try {
      // A TCTI need not speak to the TPM to open: the first command does.
      InputBufferSize(Connection(tcti, kDefaultTimeout).esys());
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

// A terminal is a character device too; behind this one sits a TPM that answers every command with
// TPM_RC_FAILURE.
class FailingDevice {
 public:
  FailingDevice() : terminal_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    termios raw{};
    cfmakeraw(&raw);
    if (grantpt(terminal_) != 0 || unlockpt(terminal_) != 0 || tcsetattr(terminal_, TCSANOW, &raw) != 0) {
      throw std::system_error(errno, std::generic_category(), "no terminal");
    }
    answers_ = std::jthread([this](const std::stop_token& stop) {
      constexpr auto kFailure = std::to_array<uint8_t>({0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1});
      for (std::array<uint8_t, 4096> command; !stop.stop_requested();) {
        pollfd ready{terminal_, POLLIN, 0};
        if (poll(&ready, 1, 10) == 1 && (ready.revents & POLLIN) != 0 &&
            read(terminal_, command.data(), command.size()) > 0) {
          EXPECT_EQ(write(terminal_, kFailure.data(), kFailure.size()), ssize_t{kFailure.size()});
        }
      }
    });
  }
  FailingDevice(const FailingDevice&) = delete;
  FailingDevice& operator=(const FailingDevice&) = delete;
  ~FailingDevice() {
    answers_ = {};
    close(terminal_);
  }
  std::string path() const { return ptsname(terminal_); }

 private:
  int terminal_;
  std::jthread answers_;
};

TEST(TpmConnection, IsNotInheritedByPrograms) {
  const FailingDevice device;
  const Connection connection("device:" + device.path(), kDefaultTimeout);
  size_t found = 0;
  for (const auto& open : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the iterator's own
    if (std::filesystem::read_symlink(open.path(), gone) != device.path()) continue;
    found++;
    EXPECT_EQ(fcntl(std::stoi(open.path().filename()), F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(found, 1u);
}

}  // namespace
}  // namespace aws_hmac::tpm
