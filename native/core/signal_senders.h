#pragma once

#include <sys/types.h>

#include <vector>

namespace aws_hmac {

/// Notes from now on who sends this process a signal that it has a handler for; the handler gets the signal
/// as before. Whoever sets another handler ends that. Calling it again does no harm.
void NoteSenders(int signal) noexcept;

/// Who has sent it since the last call, in order: 0 for the kernel, as which a terminal sends. Of many that
/// come at once the oldest are forgotten.
std::vector<pid_t> TakeSenders(int signal);

}  // namespace aws_hmac
