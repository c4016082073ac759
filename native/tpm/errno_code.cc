#include "tpm/errno_code.h"

#include <errno.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

namespace aws_hmac::tpm {
namespace {

constexpr TSS2_RC kFirst = TSS2_TCTI_RC_LAYER | TSS2_LAYER_IMPLEMENTATION_SPECIFIC_OFFSET;
constexpr TSS2_RC kMask = TSS2_LAYER_IMPLEMENTATION_SPECIFIC_OFFSET ^ 0xffff;

// glibc names them from 2.32 on only.
constexpr auto kNames = std::to_array<std::pair<int, const char*>>({
    {EACCES, "EACCES"},
    {EBUSY, "EBUSY"},
    {ECONNREFUSED, "ECONNREFUSED"},
    {ECONNRESET, "ECONNRESET"},
    {EHOSTUNREACH, "EHOSTUNREACH"},
    {EINVAL, "EINVAL"},
    {EIO, "EIO"},
    {EMFILE, "EMFILE"},
    {ENETUNREACH, "ENETUNREACH"},
    {ENFILE, "ENFILE"},
    {ENODATA, "ENODATA"},
    {ENODEV, "ENODEV"},
    {ENOENT, "ENOENT"},
    {ENOMEM, "ENOMEM"},
    {ENOTDIR, "ENOTDIR"},
    {ENXIO, "ENXIO"},
    {EPERM, "EPERM"},
    {EPIPE, "EPIPE"},
    {ETIME, "ETIME"},
    {ETIMEDOUT, "ETIMEDOUT"},
});

}  // namespace

TSS2_RC FromErrno(int number) { return kFirst | (static_cast<TSS2_RC>(number) & kMask); }

int ErrnoOf(TSS2_RC rc) { return (rc & ~kMask) == kFirst ? static_cast<int>(rc & kMask) : 0; }

std::string ErrnoName(int number) {
  const auto* const found = std::ranges::find(kNames, number, &std::pair<int, const char*>::first);
  return found == kNames.end() ? "errno " + std::to_string(number) : found->second;
}

ErrnoMeaning MeaningOf(int number) {
  const std::string why = std::generic_category().message(number);
  switch (number) {
    case ETIMEDOUT:
      return {"ERR_TIMEOUT", "the TPM did not answer in time (option timeout)", true};
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
      return {"ERR_TPM_DEVICE_NOT_FOUND", why + " (is there a TPM, and is it enabled in the firmware?)",
              false};
    case EACCES:
    case EPERM:
      return {"ERR_TPM_DEVICE_PERMISSION", why + " (the user must be in the device's group, mostly \"tss\")",
              false};
    case EBUSY:
      return {"ERR_TPM_DEVICE_BUSY", why + " (another program holds it: use /dev/tpmrm0, which is shared)",
              true};
    default:
      return {"ERR_TPM_CONNECTION", "the connection to the TPM failed: " + why, true};
  }
}

}  // namespace aws_hmac::tpm
