#include "core/close_on_exec.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <exception>
#include <memory>
#include <string>

namespace aws_hmac {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const noexcept { closedir(folder); }
};

}  // namespace

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
    const std::unique_ptr<DIR, CloseFolder> folder(opendir("/proc/self/fd"));
    if (!folder) return files;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread reads this folder
    while (const dirent* entry = readdir(folder.get())) {
      if (entry->d_name[0] == '.') continue;
      // By name and not by number: the descriptor may be another thread's, to use and to close.
      struct stat status {};
      if (fstatat(dirfd(folder.get()), entry->d_name, &status, 0) != 0) continue;
      files[std::stoi(entry->d_name)] = {status.st_dev, status.st_ino};
    }
    return files;
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace aws_hmac
