#include "core/worker.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <bit>
#include <future>
#include <latch>
#include <semaphore>
#include <string>

#include "core/exit_guard.h"

namespace aws_hmac {
namespace {

using std::chrono::seconds;

class NullDevice : public HmacDevice {
 public:
  explicit NullDevice(std::promise<void>* released) : released_(released) {}
  NullDevice(const NullDevice&) = delete;
  NullDevice& operator=(const NullDevice&) = delete;
  ~NullDevice() override {
    if (released_ != nullptr) released_->set_value();
  }
  Mac Sign(std::span<const uint8_t> /*message*/) override { return {}; }

 private:
  std::promise<void>* released_;
};

class TestJob : public Job {
 public:
  using Body = std::function<void(std::unique_ptr<HmacDevice>&)>;
  TestJob(uint64_t id, Body body) : Job(id), body_(std::move(body)) {}
  void Run(std::unique_ptr<HmacDevice>& device) override { body_(device); }

 private:
  Body body_;
};

std::unique_ptr<Job> MakeJob(
    uint64_t id, TestJob::Body body = [](auto&) {}) {
  return std::make_unique<TestJob>(id, std::move(body));
}

/// Collects finished jobs as a JavaScript thread would: woken by notify, which the thread of a Worker that is
/// gone may still call.
class Collector {
 public:
  Worker::Notify notify() {
    return [woken = woken_] { woken->release(); };
  }
  std::vector<uint64_t> Take(Worker& worker, size_t count) {
    std::vector<uint64_t> ids;
    while (ids.size() < count) {
      if (!woken_->try_acquire_for(seconds(10))) ADD_FAILURE() << "no notification for 10 s";
      for (const auto& job : worker.TakeFinished()) ids.push_back(job->id);
      if (testing::Test::HasFailure()) break;
    }
    return ids;
  }

 private:
  std::shared_ptr<std::counting_semaphore<>> woken_ = std::make_shared<std::counting_semaphore<>>(0);
};

Worker::Clock::time_point In(seconds bound) { return Worker::Clock::now() + bound; }

TEST(Worker, RunsJobsInOrderOnOneThreadOfItsOwn) {
  Collector collector;
  Worker worker(collector.notify());
  std::vector<pthread_t> threads;
  for (uint64_t id = 1; id <= 100; ++id) {
    worker.Submit(MakeJob(id, [&](auto&) { threads.push_back(pthread_self()); }));
  }
  const auto ids = collector.Take(worker, 100);
  EXPECT_TRUE(std::ranges::is_sorted(ids));
  ASSERT_EQ(threads.size(), 100U);
  EXPECT_FALSE(pthread_equal(threads.front(), pthread_self()));
  EXPECT_TRUE(std::ranges::all_of(threads, [&](auto t) { return pthread_equal(t, threads.front()); }));
}

TEST(Worker, HandsFailuresOverAndGoesOn) {
  Collector collector;
  Worker worker(collector.notify());
  worker.Submit(MakeJob(1, [](auto&) { throw Failure(Api::kTpm, "ERR_TPM", "refused"); }));
  std::vector<std::unique_ptr<Job>> jobs;
  for (const auto end = In(seconds(10)); jobs.empty() && Worker::Clock::now() < end;) {
    jobs = worker.TakeFinished();
  }
  ASSERT_EQ(jobs.size(), 1U);
  ASSERT_TRUE(jobs[0]->failure);
  EXPECT_STREQ(jobs[0]->failure->code, "ERR_TPM");
  worker.Submit(MakeJob(2));
  while (jobs.back()->id != 2) {
    for (auto& job : worker.TakeFinished()) jobs.push_back(std::move(job));
  }
  EXPECT_FALSE(jobs.back()->failure);
}

TEST(Worker, RefusesMoreThanItsQueueHolds) {
  Collector collector;
  std::latch started(1);
  std::latch go(1);
  Worker worker(collector.notify(), 2);
  worker.Submit(MakeJob(1, [&](auto&) {
    started.count_down();
    go.wait();
  }));
  started.wait();
  worker.Submit(MakeJob(2));
  worker.Submit(MakeJob(3));
  try {
    worker.Submit(MakeJob(4));
    ADD_FAILURE() << "the fourth job was taken";
  } catch (const Failure& failure) {
    EXPECT_STREQ(failure.code, "ERR_QUEUE_FULL");
    EXPECT_TRUE(failure.retryable);
  }
  go.count_down();
  EXPECT_EQ(collector.Take(worker, 3), (std::vector<uint64_t>{1, 2, 3}));
}

TEST(Worker, WakesNodeSeldomWhileMuchWaits) {
  constexpr size_t kJobs = 4096;
  std::latch go(1);
  Worker* of = nullptr;
  size_t taken = 0;  // on the worker's thread
  size_t woken = 0;
  Worker worker([&] {
    ++woken;
    taken += of->TakeFinished().size();
  });
  of = &worker;
  worker.Submit(MakeJob(0, [&](auto&) { go.wait(); }));
  for (uint64_t id = 1; id < kJobs; ++id) worker.Submit(MakeJob(id));
  const auto begin = Worker::Clock::now();
  go.count_down();
  worker.Drain();
  ASSERT_TRUE(worker.AwaitStop(seconds(10)));
  const auto passed = std::chrono::ceil<std::chrono::milliseconds>(Worker::Clock::now() - begin);
  EXPECT_EQ(taken, kJobs);
  // For the first one, each time that half is done, each time that a millisecond has passed, and at the end.
  EXPECT_LE(woken, 1 + std::bit_width(kJobs) + static_cast<size_t>(passed.count()) + 1);
}

TEST(Worker, HoldsNoAnswerBackForLong) {
  Collector collector;
  std::latch all(1);
  std::latch go(1);
  Worker worker(collector.notify());
  worker.Submit(MakeJob(1));
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{1}));
  worker.Submit(MakeJob(2, [&](auto&) {
    all.wait();
    const auto end = Worker::Clock::now() + 2 * Worker::kHeldBack;
    while (Worker::Clock::now() < end) continue;
  }));
  worker.Submit(MakeJob(3, [&](auto&) { go.wait(); }));
  for (const uint64_t id : {4, 5, 6}) worker.Submit(MakeJob(id));
  all.count_down();
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{2}));
  go.count_down();
  EXPECT_EQ(collector.Take(worker, 4), (std::vector<uint64_t>{3, 4, 5, 6}));
}

TEST(Worker, HandsAnswersOverOnceHalfIsDone) {
  Collector collector;
  std::latch first(1);
  std::latch last(1);
  Worker worker(collector.notify());
  worker.Submit(MakeJob(1));
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{1}));
  worker.Submit(MakeJob(2, [&](auto&) { first.wait(); }));
  worker.Submit(MakeJob(3, [&](auto&) { last.wait(); }));
  first.count_down();
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{2}));
  last.count_down();
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{3}));
}

TEST(Worker, HandsOverWhatItHeldBackBeforeItPauses) {
  Collector collector;
  std::latch go(1);
  std::atomic<bool> cut_short = false;
  Worker worker(collector.notify());
  worker.Submit(MakeJob(1));
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{1}));
  worker.Submit(MakeJob(2, [&](auto&) { go.wait(); }));
  worker.Submit(MakeJob(3, [&](auto&) { cut_short = !Worker::Pause(seconds(30)); }));
  for (const uint64_t id : {4, 5, 6}) worker.Submit(MakeJob(id));
  go.count_down();
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{2}));
  worker.Cancel(3);
  EXPECT_EQ(collector.Take(worker, 3), (std::vector<uint64_t>{4, 5, 6}));
  EXPECT_TRUE(cut_short);
}

TEST(Worker, CancelDropsAWaitingJobAndDiscardsARunningOne) {
  Collector collector;
  std::latch started(1);
  std::latch go(1);
  bool dropped_ran = false;
  Worker worker(collector.notify());
  worker.Submit(MakeJob(1, [&](auto&) {
    started.count_down();
    go.wait();
  }));
  worker.Submit(MakeJob(2, [&](auto&) { dropped_ran = true; }));
  worker.Submit(MakeJob(3));
  started.wait();
  worker.Cancel(2);
  worker.Cancel(1);
  go.count_down();
  EXPECT_EQ(collector.Take(worker, 1), (std::vector<uint64_t>{3}));
  EXPECT_FALSE(dropped_ran);
}

TEST(Worker, FailsWhatWaitsForADeviceThatHangs) {
  Collector collector;
  std::latch started(1);
  std::latch go(1);
  bool asked_again = false;
  Worker worker(collector.notify());
  worker.Submit(MakeJob(1, [&](auto&) {
    started.count_down();
    go.wait();
    Failure failure(Api::kTpm, "ERR_TIMEOUT", "no answer", true);
    failure.device_hangs = true;
    throw failure;
  }));
  started.wait();
  for (const uint64_t id : {2, 3}) worker.Submit(MakeJob(id, [&](auto&) { asked_again = true; }));
  go.count_down();
  std::vector<std::unique_ptr<Job>> jobs;
  for (const auto end = In(seconds(10)); jobs.size() < 3 && Worker::Clock::now() < end;) {
    for (auto& job : worker.TakeFinished()) jobs.push_back(std::move(job));
  }
  ASSERT_EQ(jobs.size(), 3U);
  for (const auto& job : jobs) {
    ASSERT_TRUE(job->failure);
    EXPECT_STREQ(job->failure->code, "ERR_TIMEOUT");
  }
  EXPECT_FALSE(asked_again);
  worker.Submit(MakeJob(4));  // what comes later asks the device again
  worker.Drain();
  EXPECT_TRUE(worker.AwaitStop(seconds(10)));
  EXPECT_FALSE(worker.TakeFinished().front()->failure);
}

TEST(Worker, LetsAnIdleDeviceRestOnce) {
  struct Resting : public NullDevice {
    explicit Resting(std::binary_semaphore& rested) : NullDevice(nullptr), rested(rested) {}
    bool Rest() noexcept override {
      rested.release();
      return false;
    }
    std::binary_semaphore& rested;
  };
  std::binary_semaphore rested(0);
  Worker worker([] {});
  worker.Submit(MakeJob(1, [&](auto& device) { device = std::make_unique<Resting>(rested); }));
  EXPECT_TRUE(rested.try_acquire_for(seconds(10)));
  EXPECT_FALSE(rested.try_acquire_for(5 * Worker::kIdle));
  worker.Submit(MakeJob(2));
  EXPECT_TRUE(rested.try_acquire_for(seconds(10)));
}

TEST(Worker, DrainRunsWhatWaitsThenReleasesTheDevice) {
  Collector collector;
  std::promise<void> released;
  Worker worker(collector.notify());
  worker.Submit(MakeJob(1, [&](auto& device) { device = std::make_unique<NullDevice>(&released); }));
  worker.Submit(MakeJob(2));
  worker.Drain();
  EXPECT_THROW(worker.Submit(MakeJob(3)), Failure);
  EXPECT_TRUE(worker.AwaitStop(seconds(10)));
  EXPECT_TRUE(worker.finished());
  EXPECT_EQ(released.get_future().wait_for(seconds(0)), std::future_status::ready);
  EXPECT_EQ(worker.TakeFinished().size(), 2U);
}

TEST(Worker, DestroyedWithoutCloseReleasesTheDevice) {
  std::promise<void> released;
  auto outcome = released.get_future();
  std::latch opened(1);
  {
    Worker worker([] {});
    worker.Submit(MakeJob(1, [&](auto& device) {
      device = std::make_unique<NullDevice>(&released);
      opened.count_down();
    }));
    opened.wait();
  }
  EXPECT_EQ(outcome.wait_for(seconds(10)), std::future_status::ready);
}

TEST(Worker, StopAllIsBoundedWhenADeviceHangs) {
  std::latch started(1);
  std::latch go(1);
  Worker hung([] {});
  hung.Submit(MakeJob(1, [&](auto&) {
    started.count_down();
    go.wait();
  }));
  started.wait();
  EXPECT_FALSE(Worker::StopAll(std::chrono::milliseconds(20)));
  go.count_down();
  EXPECT_TRUE(hung.AwaitStop(seconds(10)));
}

TEST(Worker, StopAllLetsTheOthersReleaseTheirDevicesThoughOneHangs) {
  std::latch started(2);
  std::latch go(1);
  std::promise<void> released;
  Worker hung([] {});
  hung.Submit(MakeJob(1, [&](auto&) {
    started.count_down();
    go.wait();
  }));
  Worker idle([] {});
  idle.Submit(MakeJob(1, [&](auto& device) {
    device = std::make_unique<NullDevice>(&released);
    started.count_down();
  }));
  started.wait();
  hung.Stop();
  EXPECT_FALSE(hung.AwaitStop(seconds(1)));  // given up, as close() does after its timeout
  EXPECT_FALSE(Worker::StopAll(seconds(1)));
  EXPECT_TRUE(idle.finished());
  EXPECT_EQ(released.get_future().wait_for(seconds(0)), std::future_status::ready);
  go.count_down();
  EXPECT_TRUE(hung.AwaitStop(seconds(10)));
}

/// A device that threads share, of which `count` are still to be had.
class SharedDevice : public HmacDevice {
 public:
  SharedDevice(int count, std::shared_ptr<void> key) : count_(count), key_(std::move(key)) {}
  Mac Sign(std::span<const uint8_t> /*message*/) override { return {}; }
  std::unique_ptr<HmacDevice> Another() override {
    return count_-- > 0 ? std::make_unique<SharedDevice>(0, key_) : nullptr;
  }

 private:
  int count_;
  std::shared_ptr<void> key_;
};

/// A job that opens a device with so many threads; `released` is set when the last of them has let go of it.
std::unique_ptr<Job> OpenFor(int threads, std::promise<void>* released = nullptr) {
  return MakeJob(0, [=](auto& device) {
    const std::shared_ptr<void> key(nullptr, [=](void*) {
      if (released != nullptr) released->set_value();
    });
    device = std::make_unique<SharedDevice>(threads - 1, key);
  });
}

constexpr int kThreads = 16;

TEST(WorkerThreads, WorkOffOneQueueAtTheSameTime) {
  Collector collector;
  std::barrier all(kThreads);  // no job ends before all of them run
  Worker worker(collector.notify());
  worker.Submit(OpenFor(kThreads));
  for (uint64_t id = 1; id <= 8 * kThreads; ++id) {
    worker.Submit(MakeJob(id, [&](auto& device) {
      EXPECT_NE(device, nullptr);
      all.arrive_and_wait();
    }));
  }
  auto ids = collector.Take(worker, 8 * kThreads + 1);
  std::ranges::sort(ids);
  for (uint64_t id = 0; id <= 8 * kThreads; ++id) EXPECT_EQ(ids[id], id);
}

TEST(WorkerThreads, GoOnWhileOneHangs) {
  Collector collector;
  std::latch started(1);
  std::latch go(1);
  Worker worker(collector.notify());
  worker.Submit(OpenFor(2));
  worker.Submit(MakeJob(1, [&](auto&) {
    started.count_down();
    go.wait();
  }));
  started.wait();
  for (uint64_t id = 2; id <= 100; ++id) worker.Submit(MakeJob(id));
  const auto ids = collector.Take(worker, 100);
  EXPECT_TRUE(std::ranges::is_sorted(ids));
  EXPECT_EQ(std::ranges::count(ids, 1U), 0);
  worker.Cancel(1);
  go.count_down();
  worker.Drain();
  EXPECT_TRUE(worker.AwaitStop(seconds(10)));
  EXPECT_TRUE(worker.TakeFinished().empty());
}

TEST(WorkerThreads, DrainRunsWhatWaitsThenAllOfThemReleaseTheDevice) {
  std::promise<void> released;
  std::atomic<int> ran = 0;
  Worker worker([] {});
  worker.Submit(OpenFor(kThreads, &released));
  for (uint64_t id = 1; id <= 1000; ++id) worker.Submit(MakeJob(id, [&](auto&) { ++ran; }));
  worker.Drain();
  EXPECT_TRUE(worker.AwaitStop(seconds(10)));
  EXPECT_EQ(ran, 1000);
  EXPECT_EQ(worker.TakeFinished().size(), 1001U);
  EXPECT_EQ(released.get_future().wait_for(seconds(0)), std::future_status::ready);
}

TEST(WorkerThreads, StopIsBoundedWhenOneHangsAndTheOthersEnd) {
  std::promise<void> released;
  std::latch started(1);
  std::latch go(1);
  Worker worker([] {});
  worker.Submit(OpenFor(kThreads, &released));
  worker.Submit(MakeJob(1, [&](auto&) {
    started.count_down();
    go.wait();
  }));
  started.wait();
  worker.Stop();
  EXPECT_FALSE(worker.AwaitStop(std::chrono::milliseconds(50)));
  EXPECT_FALSE(worker.finished());
  go.count_down();
  EXPECT_TRUE(worker.AwaitStop(seconds(10)));
  EXPECT_EQ(released.get_future().wait_for(seconds(0)), std::future_status::ready);
}

TEST(WorkerThreads, DestroyedWithoutCloseReleaseTheDevice) {
  std::promise<void> released;
  auto outcome = released.get_future();
  {
    Collector collector;
    Worker worker(collector.notify());
    worker.Submit(OpenFor(kThreads, &released));
    collector.Take(worker, 1);
  }
  EXPECT_EQ(outcome.wait_for(seconds(10)), std::future_status::ready);
}

TEST(WorkerThreads, PauseIsCutShortForItsOwnJobAlone) {
  Collector collector;
  std::latch pausing(2);
  std::atomic<bool> first_cut_short = false;
  std::atomic<bool> second_cut_short = false;
  Worker worker(collector.notify());
  worker.Submit(OpenFor(2));
  const auto pause = [&](std::atomic<bool>& cut_short, std::chrono::milliseconds time) {
    return [&, time](auto&) {
      pausing.count_down();
      cut_short = !Worker::Pause(time);
    };
  };
  worker.Submit(MakeJob(1, pause(first_cut_short, seconds(30))));
  worker.Submit(MakeJob(2, pause(second_cut_short, std::chrono::milliseconds(100))));
  pausing.wait();
  worker.Cancel(1);
  const auto ids = collector.Take(worker, 2);
  EXPECT_EQ(ids, (std::vector<uint64_t>{0, 2}));
  worker.Drain();
  EXPECT_TRUE(worker.AwaitStop(seconds(10)));
  EXPECT_TRUE(first_cut_short);
  EXPECT_FALSE(second_cut_short);
}

TEST(ExitGuard, EndsTheProcessWithItsExitCodeThoughADeviceHangs) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    StopWorkersBeforeLibrariesExit();
    std::latch started(1);
    Worker hung([] {});
    hung.Submit(MakeJob(1, [&](auto&) {
      started.count_down();
      for (;;) pause();
    }));
    started.wait();
    exit(42);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST(SecretBytes, AreMovedNotCopiedAndLeaveTheSourceEmpty) {
  const std::string text = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  SecretBytes first(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  const uint8_t* place = first.data();
  SecretBytes second(std::move(first));
  EXPECT_EQ(second.data(), place);
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): what the test is about
  EXPECT_TRUE(std::ranges::equal(second.span(), text, [](uint8_t a, char b) { return a == uint8_t(b); }));
}

TEST(Mac, IsWipedWhereItWasMovedFrom) {
  Mac source;
  source.bytes.fill(7);
  const Mac target(std::move(source));
  EXPECT_EQ(target.bytes[31], 7);
  EXPECT_TRUE(std::ranges::all_of(source.bytes,
                                  [](uint8_t b) { return b == 0; }));  // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace aws_hmac
