#include "core/secret_bytes.h"

#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

namespace aws_hmac {

void Wipe(void* data, size_t size) noexcept {
  if (data != nullptr) explicit_bzero(data, size);
}

// Whole pages of its own for each secret: madvise and mlock work on pages, and secrets are few.
SecretBytes::SecretBytes(size_t size) : size_(size) {
  if (size == 0) return;
  void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  madvise(pages, size, MADV_DONTDUMP);
  mlock(pages, size);  // refused under a small RLIMIT_MEMLOCK: the secret is then as swappable as any other
  data_ = static_cast<uint8_t*>(pages);
}

SecretBytes::SecretBytes(std::span<const uint8_t> copied) : SecretBytes(copied.size()) {
  std::ranges::copy(copied, data_);
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretBytes::~SecretBytes() {
  if (data_ == nullptr) return;
  Wipe(data_, size_);
  munmap(data_, size_);
}

}  // namespace aws_hmac
