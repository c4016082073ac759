#include "tpm/device_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "core/text.h"
#include "core/worker.h"
#include "tpm/errno_code.h"
#include "tpm/response_code.h"

namespace aws_hmac::tpm {
namespace {

Failure Refused(const char* call, int number, const std::string& path) {
  const ErrnoMeaning meaning = MeaningOf(number);
  return ToFailure(FromErrno(number), call, meaning.code, path + ": " + meaning.words);
}

void RequireCharacterDevice(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) throw Refused("stat", errno, path);
  if (!S_ISCHR(status.st_mode)) {
    throw Failure(Api::kTpm, "ERR_TPM_NOT_A_DEVICE", path + " is not a character device").At("stat", 0, "");
  }
}

Descriptor Open(const std::string& path) {
  return Descriptor(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

// /dev/tpm0 has one opener at a time. Others are left open: a resource manager flushes what is ours on close.
bool IsShared(const std::string& path) {
  constexpr std::string_view kRaw = "tpm";
  const std::string real = RealPath(path);
  const std::string name = real.substr(real.rfind('/') + 1);
  return !name.starts_with(kRaw) || name.size() == kRaw.size() ||
         !std::all_of(name.begin() + kRaw.size(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

DeviceTransport::DeviceTransport(std::string path) : path_(std::move(path)), shared_(IsShared(path_)) {
  RequireCharacterDevice(path_);
  device_ = Open(path_);
  if (!device_) throw Refused("open", errno, path_);
}

DeviceTransport::~DeviceTransport() {
  if (!awaits_response_) return;
  // The kernel lets close() wait until the TPM has done the command: not our thread, which has waited enough.
  try {
    std::thread([device = std::move(device_)]() mutable { device.Close(); }).detach();
  } catch (const std::system_error&) {
    device_.Close();
  }
}

TSS2_RC DeviceTransport::Send(std::span<const uint8_t> command, Deadline deadline) {
  const TSS2_RC rc = device_ ? TSS2_RC_SUCCESS : Reopen(deadline);
  if (rc != TSS2_RC_SUCCESS) return rc;
  awaits_response_ = true;
  return WriteAll(device_.get(), write, command, deadline);
}

TSS2_RC DeviceTransport::Receive(std::span<uint8_t> response, size_t& size, Deadline deadline) {
  const TSS2_RC rc = ReadResponse(device_.get(), response, size, deadline);
  awaits_response_ = rc == FromErrno(ETIMEDOUT);
  return rc;
}

void DeviceTransport::Rest() noexcept {
  if (!shared_) device_.Close();
}

// Whom we let in may still be there.
TSS2_RC DeviceTransport::Reopen(Deadline deadline) {
  constexpr std::chrono::milliseconds kPause{5};
  turns_++;
  for (;;) {
    device_ = Open(path_);
    if (device_) return TSS2_RC_SUCCESS;
    const int number = errno;
    if (number != EBUSY || Deadline::clock::now() + kPause > deadline || !Worker::Pause(kPause)) {
      return FromErrno(number);
    }
  }
}

}  // namespace aws_hmac::tpm
