#include "tpm/descriptor.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "tpm/errno_code.h"
#include "tpm/frame.h"

namespace aws_hmac::tpm {
namespace {

int MillisecondsUntil(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Deadline::clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT32_MAX));
}

bool IsComplete(std::span<const uint8_t> received) {
  return received.size() >= kHeaderSize && received.size() >= SizeOf(received);
}

}  // namespace

void Descriptor::Close() noexcept {
  if (number_ >= 0) close(Release());
}

TSS2_RC Await(int descriptor, short events, Deadline deadline) {
  for (;;) {
    pollfd awaited{descriptor, events, 0};
    const int ready = poll(&awaited, 1, MillisecondsUntil(deadline));
    if (ready > 0) return TSS2_RC_SUCCESS;
    if (ready == 0) return FromErrno(ETIMEDOUT);
    if (errno != EINTR) return FromErrno(errno);
  }
}

TSS2_RC WriteAll(int descriptor, WriteCall write, std::span<const uint8_t> bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      const TSS2_RC rc = Await(descriptor, POLLOUT, deadline);
      if (rc != TSS2_RC_SUCCESS) return rc;
    } else if (errno != EINTR) {
      return FromErrno(errno);
    }
  }
  return TSS2_RC_SUCCESS;
}

TSS2_RC ReadResponse(int descriptor, std::span<uint8_t> response, size_t& size, Deadline deadline) {
  size = 0;
  while (!IsComplete(response.first(size))) {
    if (size == response.size()) return FromErrno(EMSGSIZE);
    const TSS2_RC rc = Await(descriptor, POLLIN, deadline);
    if (rc != TSS2_RC_SUCCESS) return rc;
    const ssize_t read = ::read(descriptor, response.data() + size, response.size() - size);
    if (read == 0) return FromErrno(ECONNRESET);
    if (read > 0) {
      size += static_cast<size_t>(read);
    } else if (errno != EINTR && errno != EAGAIN) {
      return FromErrno(errno);
    }
  }
  // More than one response: what was read is not, or not only, the answer to our command.
  return size == SizeOf(response) ? TSS2_RC_SUCCESS : TSS2_RC{TSS2_TCTI_RC_MALFORMED_RESPONSE};
}

}  // namespace aws_hmac::tpm
