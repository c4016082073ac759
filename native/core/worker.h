#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "core/failure.h"
#include "core/hmac_device.h"

namespace aws_hmac {

/// One call to a device. It owns copies of its inputs and holds its answer.
class Job {
 public:
  explicit Job(uint64_t id) : id(id) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  /// On a device thread. `device` is that thread's: empty until a job fills it (opening), and stays for the
  /// jobs that follow.
  virtual void Run(std::unique_ptr<HmacDevice>& device) = 0;

  const uint64_t id;
  // Set by the worker when Run threw, or the device hung meanwhile. Apart, so that what both threads touch of
  // a job is small: its cache lines go from core to core.
  std::unique_ptr<Failure> failure;
};

/// A bounded queue for one device connection, and the thread of its own that works it off; more of them once
/// the device is open and gives each a way to it (HmacDevice::Another). It knows no Node: it calls `notify`
/// (from these threads) whenever a finished job can be taken.
class Worker {
 public:
  using Notify = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  /// Jobs that may wait at once. A caller that runs ahead of its device by more gets ERR_QUEUE_FULL.
  static constexpr size_t kCapacity = 65536;

  /// How long the end of the process or of an environment waits for a device. Long enough for the slowest
  /// honest command and the release of what the device holds for us; a hung device costs as much.
  static constexpr std::chrono::milliseconds kStopBound{2000};

  /// How long answers may be held back at most, to be handed over together, while more jobs wait.
  static constexpr std::chrono::milliseconds kHeldBack{1};

  /// How long nothing is asked of a device until it is told to rest.
  static constexpr std::chrono::milliseconds kIdle{20};

  explicit Worker(Notify notify, size_t capacity = kCapacity);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  /// Stops without waiting; the thread releases the device and ends by itself.
  ~Worker();

  /// Queues a job. Throws Failure ERR_QUEUE_FULL or ERR_CLOSED.
  void Submit(std::unique_ptr<Job> job);
  /// Drops the job if it still waits; if it is in flight, its answer will be wiped instead of handed out.
  void Cancel(uint64_t id);
  /// Finished jobs in the order in which they finished, also those that `notify` was not called for yet.
  std::vector<std::unique_ptr<Job>> TakeFinished();

  /// Takes no more jobs, runs those that wait, releases the device; then `finished()` is true and `notify`
  /// called.
  void Drain();
  /// Drops what waits, lets the jobs in flight end, releases the device. Does not wait.
  void Stop();
  /// Waits for the threads' end, at most until `bound` after the first Stop; false if a device call is stuck.
  bool AwaitStop(std::chrono::milliseconds bound = kStopBound);
  bool finished() const;

  /// For a device that is to be asked again in a moment: waits on the device thread that calls it. False as
  /// soon as nobody wants the answer any more, because the job in flight was cancelled or the worker stopped.
  static bool Pause(std::chrono::milliseconds time);

  /// Stops every worker of the process, for good: `notify` is not called any more. Waits as AwaitStop does;
  /// false if one is stuck.
  static bool StopAll(std::chrono::milliseconds bound = kStopBound);

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the threads, which may outlive a stuck worker
};

}  // namespace aws_hmac
