#include "core/signal_senders.h"

#include <signal.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace aws_hmac {
namespace {

constexpr pid_t kNobody = -1;

/// Of one signal. What the handler touches is async-signal-safe: lock-free atomics (signal-safety(7)).
struct Noted {
  std::array<std::atomic<pid_t>, 64> senders;
  std::atomic<uint32_t> written = 0;
  struct sigaction before {};

  Noted() {
    for (auto& sender : senders) sender = kNobody;
  }
};
static_assert(std::atomic<pid_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

constexpr int kSignals = 32;  // the standard ones
std::array<Noted, kSignals> all_noted;

bool IsNoted(int signal) { return signal > 0 && signal < kSignals; }

void Note(int signal, siginfo_t* info, void* context) {
  Noted& noted = all_noted.at(static_cast<size_t>(signal));
  // si_code is positive where the kernel sent it itself: si_pid means nothing then.
  const pid_t sender = info->si_code > 0 ? 0 : info->si_pid;
  noted.senders.at(noted.written++ % noted.senders.size()) = sender;
  if ((noted.before.sa_flags & SA_SIGINFO) != 0) {
    noted.before.sa_sigaction(signal, info, context);
  } else {
    noted.before.sa_handler(signal);
  }
}

}  // namespace

void NoteSenders(int signal) noexcept {
  if (!IsNoted(signal)) return;
  struct sigaction action {};
  if (sigaction(signal, nullptr, &action) != 0) return;
  const bool has_info = (action.sa_flags & SA_SIGINFO) != 0;
  if (has_info && action.sa_sigaction == Note) return;
  if (!has_info && (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)) return;
  all_noted.at(static_cast<size_t>(signal)).before = action;
  action.sa_flags |= SA_SIGINFO;
  action.sa_sigaction = Note;
  sigaction(signal, &action, nullptr);
}

std::vector<pid_t> TakeSenders(int signal) {
  std::vector<pid_t> result;
  if (!IsNoted(signal)) return result;
  Noted& noted = all_noted.at(static_cast<size_t>(signal));
  const uint32_t oldest = noted.written;
  for (size_t i = 0; i < noted.senders.size(); i++) {
    const pid_t sender = noted.senders.at((oldest + i) % noted.senders.size()).exchange(kNobody);
    if (sender != kNobody) result.push_back(sender);
  }
  return result;
}

}  // namespace aws_hmac
