#include "core/worker.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace aws_hmac {

struct Worker::State {
  State(Notify notify, size_t capacity) : notify(std::move(notify)), capacity(capacity) {}

  const Notify notify;
  const size_t capacity;

  mutable std::mutex mutex;
  std::condition_variable wake;  // the thread waits on it for jobs
  std::condition_variable ended;
  std::deque<std::unique_ptr<Job>> waiting;
  std::vector<std::unique_ptr<Job>> done;
  std::optional<uint64_t> in_flight;
  bool discard_in_flight = false;
  bool cut_short = false;  // what is in flight, by Pause
  bool closing = false;
  bool finished = false;
  Clock::time_point told;  // when notify was last called
  std::optional<Clock::time_point> stopped;
  std::atomic<bool> muted = false;  // the process exits: nobody is left to notify

  std::mutex joining;
  std::thread thread;

  static inline thread_local State* current = nullptr;  // of the device thread that asks

  ~State();
  void Loop();
  void FailWaiting(const Failure& failure);
  void AwaitJob(std::unique_lock<std::mutex>& lock, HmacDevice* device);
  bool Pause(std::chrono::milliseconds time);
  bool ShallTell() const;
  void Tell() const;
  void Stop();
  bool AwaitStop(std::chrono::milliseconds bound);
};

namespace {

// Every state whose thread may still run. Never destroyed: the exit handler and late threads use it.
struct Registry {
  std::mutex mutex;
  std::vector<std::weak_ptr<void>> states;
};

Registry& registry() {
  static auto& the = *std::make_unique<Registry>().release();
  return the;
}

void RunGuarded(Job& job, std::unique_ptr<HmacDevice>& device) {
  try {
    job.Run(device);
  } catch (Failure& failure) {
    job.failure = std::move(failure);
  } catch (const std::exception& error) {
    job.failure = Failure(Api::kNone, "ERR_INTERNAL", error.what());
  }
}

}  // namespace

// The last owner may be the thread itself, which cannot join itself.
Worker::State::~State() {
  if (thread.joinable()) thread.detach();
}

// Waking Node costs a fast token a fifth of its time: while more jobs wait, several answers share one call.
bool Worker::State::ShallTell() const {
  constexpr size_t kShared = 16;
  constexpr std::chrono::microseconds kLongest{400};
  if (done.empty()) return false;
  return waiting.empty() || done.size() >= kShared || Clock::now() - told >= kLongest;
}

void Worker::State::Tell() const {
  if (!muted) notify();
}

void Worker::State::AwaitJob(std::unique_lock<std::mutex>& lock, HmacDevice* device) {
  const auto has_work = [this] { return closing || !waiting.empty(); };
  for (bool again = device != nullptr; again && !wake.wait_for(lock, kIdle, has_work);) {
    lock.unlock();
    again = device->Rest();
    lock.lock();
  }
  wake.wait(lock, has_work);
}

// Each would wait for the device as long again, one after the other.
void Worker::State::FailWaiting(const Failure& failure) {
  for (auto& job : waiting) {
    job->failure = failure;
    done.push_back(std::move(job));
  }
  waiting.clear();
}

bool Worker::State::Pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex);
  const auto is_unwanted = [this] { return in_flight && (discard_in_flight || stopped); };
  if (!wake.wait_for(lock, time, is_unwanted)) return true;
  cut_short = true;
  return false;
}

void Worker::State::Loop() {
  pthread_setname_np(pthread_self(), "aws-hmac");  // so that a debugger or top tells whose thread it is
  current = this;
  std::unique_ptr<HmacDevice> device;
  std::unique_lock lock(mutex);
  for (;;) {
    AwaitJob(lock, device.get());
    if (waiting.empty()) break;
    auto job = std::move(waiting.front());
    waiting.pop_front();
    in_flight = job->id;
    discard_in_flight = cut_short = false;
    lock.unlock();
    RunGuarded(*job, device);
    lock.lock();
    in_flight.reset();
    if (job->failure && job->failure->device_hangs && !cut_short) FailWaiting(*job->failure);
    if (!discard_in_flight) done.push_back(std::move(job));
    if (!ShallTell()) continue;  // without a moment in which the jobs that wait could be cancelled
    told = Clock::now();
    lock.unlock();
    Tell();
    lock.lock();
  }
  lock.unlock();
  device.reset();
  lock.lock();
  finished = true;
  ended.notify_all();
  lock.unlock();
  Tell();
}

void Worker::State::Stop() {
  std::deque<std::unique_ptr<Job>> dropped;
  {
    std::lock_guard lock(mutex);
    closing = true;
    if (!stopped) stopped = Clock::now();
    dropped.swap(waiting);
  }
  wake.notify_one();
}

bool Worker::State::AwaitStop(std::chrono::milliseconds bound) {
  std::unique_lock lock(mutex);
  const auto deadline = stopped.value_or(Clock::now()) + bound;
  if (!ended.wait_until(lock, deadline, [this] { return finished; })) return false;
  lock.unlock();
  // Wait for its very end too: libraries clean up per thread, and must have done so before they are shut
  // down.
  std::lock_guard join_once(joining);
  if (thread.joinable()) thread.join();
  return true;
}

Worker::Worker(Notify notify, size_t capacity)
    : state_(std::make_shared<State>(std::move(notify), capacity)) {
  // Signals stay with Node's own threads: the device thread must not run their handlers.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    state_->thread = std::thread([state = state_] { state->Loop(); });
  } catch (const std::system_error& error) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Failure(Api::kErrno, "ERR_INTERNAL", "no thread for the device: raise the process limit on threads")
        .At("pthread_create", static_cast<uint64_t>(error.code().value()), "");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::lock_guard lock(registry().mutex);
  std::erase_if(registry().states, [](const auto& state) { return state.expired(); });
  registry().states.push_back(state_);
}

Worker::~Worker() { Stop(); }

void Worker::Submit(std::unique_ptr<Job> job) {
  {
    std::lock_guard lock(state_->mutex);
    if (state_->closing) throw Failure(Api::kNone, "ERR_CLOSED", "the key is closed");
    if (state_->waiting.size() >= state_->capacity) {
      throw Failure(Api::kNone, "ERR_QUEUE_FULL",
                    "more calls wait for the device than the queue holds: await earlier ones first", true);
    }
    state_->waiting.push_back(std::move(job));
  }
  state_->wake.notify_one();
}

void Worker::Cancel(uint64_t id) {
  std::unique_ptr<Job> dropped;
  std::lock_guard lock(state_->mutex);
  if (state_->in_flight == id) {
    state_->discard_in_flight = true;
    state_->wake.notify_one();
    return;
  }
  auto take = [&](auto& jobs) {
    auto found = std::ranges::find_if(jobs, [id](const auto& job) { return job->id == id; });
    if (found == jobs.end()) return;
    dropped = std::move(*found);
    jobs.erase(found);
  };
  take(state_->waiting);
  if (!dropped) take(state_->done);
}

std::vector<std::unique_ptr<Job>> Worker::TakeFinished() {
  std::vector<std::unique_ptr<Job>> taken;
  std::lock_guard lock(state_->mutex);
  taken.swap(state_->done);
  return taken;
}

void Worker::Drain() {
  {
    std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->wake.notify_one();
}

void Worker::Stop() { state_->Stop(); }

bool Worker::AwaitStop(std::chrono::milliseconds bound) { return state_->AwaitStop(bound); }

bool Worker::Pause(std::chrono::milliseconds time) {
  if (State::current != nullptr) return State::current->Pause(time);
  std::this_thread::sleep_for(time);
  return true;
}

bool Worker::finished() const {
  std::lock_guard lock(state_->mutex);
  return state_->finished;
}

bool Worker::StopAll(std::chrono::milliseconds bound) {
  std::vector<std::shared_ptr<State>> live;
  {
    std::lock_guard lock(registry().mutex);
    for (const auto& state : registry().states) {
      if (auto held = state.lock()) live.push_back(std::static_pointer_cast<State>(held));
    }
  }
  for (const auto& state : live) {
    state->muted = true;
    state->Stop();
  }
  // Each gets its time: a device that hangs must not keep the others from being released.
  std::erase_if(live, [&](const auto& state) { return state->AwaitStop(bound); });
  return live.empty();
}

}  // namespace aws_hmac
