// glibc has pthread_cond_clockwait from 2.30 on, and what is built against a newer one asks for it: so this
// one, which the prebuilt addon brings along, takes its place and lets the addon load with glibc 2.28.
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

namespace {

using ClockWait = int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);

constexpr long kSecond = 1'000'000'000;  // in ns

timespec Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now;
}

bool IsBefore(const timespec& left, const timespec& right) {
  return left.tv_sec != right.tv_sec ? left.tv_sec < right.tv_sec : left.tv_nsec < right.tv_nsec;
}

// Until `deadline` or for a second, by the wall clock, which may be set meanwhile: the caller takes an early
// return for a spurious wake-up and waits again.
int WaitByWallClock(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                    const timespec& deadline) {
  const timespec now = Now(clock);
  if (!IsBefore(now, deadline)) return ETIMEDOUT;
  timespec rest{.tv_sec = deadline.tv_sec - now.tv_sec, .tv_nsec = deadline.tv_nsec - now.tv_nsec};
  if (rest.tv_nsec < 0) rest = {.tv_sec = rest.tv_sec - 1, .tv_nsec = rest.tv_nsec + kSecond};
  if (rest.tv_sec >= 1) rest = {.tv_sec = 1, .tv_nsec = 0};
  timespec until = Now(CLOCK_REALTIME);
  until.tv_sec += rest.tv_sec;
  until.tv_nsec += rest.tv_nsec;
  if (until.tv_nsec >= kSecond) until = {.tv_sec = until.tv_sec + 1, .tv_nsec = until.tv_nsec - kSecond};
  const int error = pthread_cond_timedwait(condition, mutex, &until);
  return error == ETIMEDOUT && IsBefore(Now(clock), deadline) ? 0 : error;
}

}  // namespace

extern "C" int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                      const timespec* deadline) {
  static const auto glibcs = reinterpret_cast<ClockWait>(dlsym(RTLD_DEFAULT, "pthread_cond_clockwait"));
  if (glibcs != nullptr) return glibcs(condition, mutex, clock, deadline);
  return WaitByWallClock(condition, mutex, clock, *deadline);
}
