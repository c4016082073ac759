#pragma once

#include <sys/types.h>

#include <utility>

#include "tpm/transport.h"

namespace aws_hmac::tpm {

/// A file descriptor of ours, closed in the end.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { Close(); }

  int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }
  int Release() noexcept { return std::exchange(number_, -1); }
  void Close() noexcept;

 private:
  int number_ = -1;
};

/// Waits until poll() reports `events`, or an end or error that the next call on the descriptor will tell.
TSS2_RC Await(int descriptor, short events, Deadline deadline);

/// One write() or the like; gives what that gives.
using WriteCall = ssize_t (*)(int descriptor, const void* data, size_t size);
TSS2_RC WriteAll(int descriptor, WriteCall write, std::span<const uint8_t> bytes, Deadline deadline);

/// Reads one whole response, however many pieces it comes in. A device gives its response to one read() only,
/// so that `response` must hold the longest.
TSS2_RC ReadResponse(int descriptor, std::span<uint8_t> response, size_t& size, Deadline deadline);

}  // namespace aws_hmac::tpm
