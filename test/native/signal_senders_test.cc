#include "core/signal_senders.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

namespace aws_hmac {
namespace {

volatile sig_atomic_t handled = 0;
void Handle(int /*signal*/) { handled = handled + 1; }
void HandleWithInfo(int /*signal*/, siginfo_t* info, void* /*context*/) { handled = info->si_pid; }

struct SignalSenders : public testing::Test {
  void SetUp() override { handled = 0; }
  void TearDown() override {
    for (const int number : {SIGUSR1, SIGALRM}) {
      signal(number, SIG_DFL);
      TakeSenders(number);
    }
  }
};

TEST_F(SignalSenders, AreProcesses) {
  signal(SIGUSR1, Handle);
  NoteSenders(SIGUSR1);
  NoteSenders(SIGUSR1);
  kill(getpid(), SIGUSR1);
  raise(SIGUSR1);
  EXPECT_EQ(TakeSenders(SIGUSR1), (std::vector<pid_t>{getpid(), getpid()}));
  EXPECT_TRUE(TakeSenders(SIGUSR1).empty());
  EXPECT_EQ(handled, 2);
}

TEST_F(SignalSenders, OrTheKernel) {
  signal(SIGALRM, Handle);
  NoteSenders(SIGALRM);
  sigset_t alarm_only{};
  sigset_t before{};
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm_only, &before);
  const itimerval soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 1}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &soon, nullptr), 0);
  while (handled == 0) sigsuspend(&before);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(TakeSenders(SIGALRM), std::vector<pid_t>{0});
}

TEST_F(SignalSenders, LeaveAHandlerItsInformation) {
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = HandleWithInfo;
  sigaction(SIGUSR1, &action, nullptr);
  NoteSenders(SIGUSR1);
  kill(getpid(), SIGUSR1);
  EXPECT_EQ(handled, getpid());
}

TEST_F(SignalSenders, OfManyTheLatest) {
  signal(SIGUSR1, Handle);
  NoteSenders(SIGUSR1);
  for (int i = 0; i < 1000; i++) raise(SIGUSR1);
  EXPECT_EQ(TakeSenders(SIGUSR1).size(), 64u);
  raise(SIGUSR1);
  EXPECT_EQ(TakeSenders(SIGUSR1).size(), 1u);
}

TEST_F(SignalSenders, NobodyOfASignalWithoutHandlerOrAfterAnotherWasSet) {
  signal(SIGUSR1, SIG_IGN);
  NoteSenders(SIGUSR1);
  raise(SIGUSR1);
  signal(SIGUSR1, Handle);
  NoteSenders(SIGUSR1);
  signal(SIGUSR1, Handle);
  raise(SIGUSR1);
  NoteSenders(0);
  NoteSenders(SIGRTMAX);
  EXPECT_TRUE(TakeSenders(SIGUSR1).empty());
  EXPECT_TRUE(TakeSenders(0).empty());
  EXPECT_TRUE(TakeSenders(SIGRTMAX).empty());
}

}  // namespace
}  // namespace aws_hmac
