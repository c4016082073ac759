#include <gtest/gtest.h>

#include <future>

#include "core/worker.h"

namespace aws_hmac {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Waits ten minutes; tells when it begins, and whether it waited to the end.
class PausingJob : public Job {
 public:
  explicit PausingJob(uint64_t id) : Job(id) {}
  void Run(std::unique_ptr<HmacDevice>& /*device*/) override {
    started.set_value();
    ended.set_value(Worker::Pause(seconds(600)));
    throw hanging;
  }

  std::promise<void> started;
  std::promise<bool> ended;
  Failure hanging = [] {
    Failure failure(Api::kNone, "ERR_TPM_BUSY", "the device was asked in vain");
    failure.device_hangs = true;
    return failure;
  }();
};

class NextJob : public Job {
 public:
  explicit NextJob(uint64_t id) : Job(id) {}
  void Run(std::unique_ptr<HmacDevice>& /*device*/) override { ran.set_value(); }
  std::promise<void> ran;
};

struct PauseTest : public testing::Test {
  Worker worker{[] {}};
  std::future<void> started;
  std::future<bool> ended;

  void SetUp() override {
    auto job = std::make_unique<PausingJob>(1);
    started = job->started.get_future();
    ended = job->ended.get_future();
    worker.Submit(std::move(job));
    started.wait();
  }
  bool WaitedToTheEnd() {
    EXPECT_EQ(ended.wait_for(seconds(10)), std::future_status::ready);
    return ended.get();
  }
};

TEST(Pause, OnAnotherThreadIsASleep) {
  const auto start = Worker::Clock::now();
  EXPECT_TRUE(Worker::Pause(milliseconds(20)));
  EXPECT_GE(Worker::Clock::now() - start, milliseconds(20));
}

TEST_F(PauseTest, EndsWhenItsJobIsCancelledAndTheNextOneRuns) {
  auto next = std::make_unique<NextJob>(2);
  std::future<void> ran = next->ran.get_future();
  worker.Submit(std::move(next));
  worker.Cancel(1);
  EXPECT_FALSE(WaitedToTheEnd());
  // What a cancelled job learnt of its device in a shorter time says nothing of the others.
  EXPECT_EQ(ran.wait_for(seconds(10)), std::future_status::ready);
}

TEST_F(PauseTest, EndsWhenTheWorkerIsStopped) {
  worker.Stop();
  EXPECT_FALSE(WaitedToTheEnd());
  EXPECT_TRUE(worker.AwaitStop());
}

TEST_F(PauseTest, GoesOnWhileTheWorkerDrains) {
  worker.Drain();
  EXPECT_EQ(ended.wait_for(milliseconds(50)), std::future_status::timeout);
  worker.Stop();
  EXPECT_FALSE(WaitedToTheEnd());
}

}  // namespace
}  // namespace aws_hmac
