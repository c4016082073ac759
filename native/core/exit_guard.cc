#include "core/exit_guard.h"

#include <link.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>

#include "core/worker.h"

namespace aws_hmac {
namespace {

void StopWorkers(int status, void* /*unused*/) {
  if (!Worker::StopAll()) _exit(status);
}

/// How many libraries the process has loaded so far, ever.
unsigned long long LoadedLibraries() {
  unsigned long long adds = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t /*size*/, void* result) {
        *static_cast<unsigned long long*>(result) = info->dlpi_adds;
        return 1;
      },
      &adds);
  return adds;
}

}  // namespace

void StopWorkersBeforeLibrariesExit() {
  static std::atomic<unsigned long long> guarded = 0;
  const auto loaded = LoadedLibraries();
  // glibc's on_exit and not std::atexit: it is told the exit code, which must be kept.
  if (guarded.exchange(loaded) != loaded) on_exit(StopWorkers, nullptr);
}

}  // namespace aws_hmac
