#include "core/text.h"

#include <stdlib.h>

#include <memory>

namespace aws_hmac {
namespace {

struct Free {
  void operator()(void* memory) const noexcept { free(memory); }
};

}  // namespace

std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, Free> real(realpath(path.c_str(), nullptr));
  return real ? real.get() : path;
}

}  // namespace aws_hmac
