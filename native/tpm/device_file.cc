#include "tpm/device_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "core/failure.h"

namespace aws_hmac::tpm {
namespace {

Failure Refused(const char* call, int number, const std::string& path) {
  const std::string why = path + ": " + std::generic_category().message(number);
  auto failure = [&](const char* code, const std::string& remedy, bool retryable = false) {
    return Failure(Api::kTpm, code, why + remedy, retryable).At(call, 0, "");
  };
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
      return failure("ERR_TPM_DEVICE_NOT_FOUND", " (is there a TPM, and is it enabled in the firmware?)");
    case EACCES:
    case EPERM:
      return failure("ERR_TPM_DEVICE_PERMISSION",
                     " (the user must be in the device's group, mostly \"tss\")");
    case EBUSY:
      return failure("ERR_TPM_DEVICE_BUSY", " (another program holds it: use /dev/tpmrm0, which is shared)",
                     true);
    default:
      return failure("ERR_TPM_CONNECTION", "");
  }
}

}  // namespace

void RequireDeviceFile(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) throw Refused("stat", errno, path);
  if (!S_ISCHR(status.st_mode)) {
    throw Failure(Api::kTpm, "ERR_TPM_NOT_A_DEVICE", path + " is not a character device").At("stat", 0, "");
  }
  const int descriptor = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) throw Refused("open", errno, path);
  close(descriptor);
}

}  // namespace aws_hmac::tpm
