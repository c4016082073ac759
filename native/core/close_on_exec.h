#pragma once

#include <sys/types.h>

#include <map>
#include <utility>

namespace aws_hmac {

/// While it lives, a library is called that may open descriptors without O_CLOEXEC: those that are new when
/// it goes are closed on exec from then on, so that no child process inherits them. A child that another
/// thread starts meanwhile may still. Descriptors that other threads open meanwhile are marked as well: Node
/// marks all of its own anyway, and gives children theirs by dup2.
class CloseOnExec {
 public:
  CloseOnExec();
  CloseOnExec(const CloseOnExec&) = delete;
  CloseOnExec& operator=(const CloseOnExec&) = delete;
  ~CloseOnExec();

 private:
  using File = std::pair<dev_t, ino_t>;
  static std::map<int, File> OpenFiles() noexcept;

  std::map<int, File> before_;
};

}  // namespace aws_hmac
