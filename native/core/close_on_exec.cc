#include "core/close_on_exec.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <exception>
#include <filesystem>
#include <string>

namespace aws_hmac {
CloseOnExec::CloseOnExec() : before_(OpenFiles()) {}

CloseOnExec::~CloseOnExec() {
  if (before_.empty()) return;
  for (const auto& [descriptor, file] : OpenFiles()) {
    const auto earlier = before_.find(descriptor);
    if (earlier != before_.end() && earlier->second == file) continue;
    const int flags = fcntl(descriptor, F_GETFD);
    if (flags >= 0) fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC);
  }
}

// What each descriptor is tells one that was closed and opened anew from one that was not. Empty where
// nothing can be known: without /proc, descriptors or memory.
std::map<int, CloseOnExec::File> CloseOnExec::OpenFiles() noexcept {
  try {
    std::map<int, File> files;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      // By name and not by number: the descriptor may be another thread's, to use and to close.
      struct stat status {};
      if (stat(entry.path().c_str(), &status) != 0) continue;
      files[std::stoi(entry.path().filename())] = {status.st_dev, status.st_ino};
    }
    return files;
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace aws_hmac
