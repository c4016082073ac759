#include "core/worker.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace aws_hmac {

namespace {

struct InFlight {
  uint64_t id;
  bool discard = false;
  bool cut_short = false;  // by Pause
};

}  // namespace

struct Worker::State : std::enable_shared_from_this<Worker::State> {
  State(Notify notify, size_t capacity) : notify(std::move(notify)), capacity(capacity) {}

  const Notify notify;
  const size_t capacity;

  mutable std::mutex mutex;
  std::condition_variable wake;      // the threads wait on it for jobs
  std::condition_variable unwanted;  // and on this one while they pause
  std::condition_variable ended;
  std::deque<std::unique_ptr<Job>> waiting;
  std::vector<std::unique_ptr<Job>> done;
  std::vector<InFlight*> in_flight;  // at most one for each thread
  size_t running = 0;                // threads
  bool closing = false;
  Clock::time_point told;  // when notify was last called
  std::optional<Clock::time_point> stopped;
  std::atomic<bool> muted = false;  // the process exits: nobody is left to notify

  std::mutex joining;
  std::vector<std::thread> threads;

  // Of the device thread that asks:
  static inline thread_local State* current = nullptr;
  static inline thread_local InFlight* mine = nullptr;

  ~State();
  std::unique_lock<std::mutex> Lock() const;
  bool finished() const { return running == 0; }
  void StartThread(std::unique_ptr<HmacDevice> device);
  void StartMoreThreads(Job& opening, std::unique_ptr<HmacDevice>& device);
  void Loop(std::unique_ptr<HmacDevice> device);
  void Settle(std::unique_ptr<Job> job, const InFlight& outcome);
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
    job.failure = std::make_unique<Failure>(std::move(failure));
  } catch (const std::exception& error) {
    job.failure = std::make_unique<Failure>(Api::kNone, "ERR_INTERNAL", error.what());
  }
}

}  // namespace

// The last owner may be one of the threads, which cannot join itself.
Worker::State::~State() {
  for (auto& thread : threads) {
    if (thread.joinable()) thread.detach();
  }
}

// The mutex is held for a few instructions at a time: to try again is cheaper than to sleep and be woken,
// also for the one who holds it and would have to wake.
std::unique_lock<std::mutex> Worker::State::Lock() const {
  constexpr int kTries = 100;
  for (int tries = 0; tries < kTries; ++tries) {
    if (mutex.try_lock()) return {mutex, std::adopt_lock};
  }
  return std::unique_lock(mutex);
}

// With the mutex held.
void Worker::State::StartThread(std::unique_ptr<HmacDevice> device) {
  try {
    threads.emplace_back([state = shared_from_this(), device = std::move(device)]() mutable {
      state->Loop(std::move(device));
    });
    ++running;
  } catch (const std::system_error& error) {
    throw Failure(Api::kErrno, "ERR_INTERNAL", "no thread for the device: raise the process limit on threads")
        .At("pthread_create", static_cast<uint64_t>(error.code().value()), "");
  }
}

// With the mutex held. Those that were started before one fails have nothing to do, and end with the worker.
void Worker::State::StartMoreThreads(Job& opening, std::unique_ptr<HmacDevice>& device) {
  try {
    while (auto another = device->Another()) StartThread(std::move(another));
  } catch (Failure& failure) {
    opening.failure = std::make_unique<Failure>(std::move(failure));
  }
}

// Waking Node for each answer costs a fast token a fifth of its time: they are held back until as many are
// done as still wait, though not for long. What waits keeps the device at work until Node has asked more.
bool Worker::State::ShallTell() const {
  if (done.empty()) return false;
  return done.size() >= waiting.size() || Clock::now() - told >= kHeldBack;
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
    job->failure = std::make_unique<Failure>(failure);
    done.push_back(std::move(job));
  }
  waiting.clear();
}

bool Worker::State::Pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex);
  if (!done.empty()) {  // nobody shall wait as long for an answer that was held back
    lock.unlock();
    Tell();
    lock.lock();
  }
  const auto is_unwanted = [this] { return mine != nullptr && (mine->discard || stopped); };
  if (!unwanted.wait_for(lock, time, is_unwanted)) return true;
  mine->cut_short = true;
  return false;
}

// With the mutex held.
void Worker::State::Settle(std::unique_ptr<Job> job, const InFlight& outcome) {
  std::erase(in_flight, &outcome);
  if (job->failure && job->failure->device_hangs && !outcome.cut_short) FailWaiting(*job->failure);
  if (!outcome.discard) done.push_back(std::move(job));
}

void Worker::State::Loop(std::unique_ptr<HmacDevice> device) {
  pthread_setname_np(pthread_self(), "aws-hmac");  // so that a debugger or top tells whose thread it is
  current = this;
  std::unique_lock lock(mutex);
  for (;;) {
    AwaitJob(lock, device.get());
    if (waiting.empty()) break;
    auto job = std::move(waiting.front());
    waiting.pop_front();
    // The one after it comes over from another core meanwhile.
    if (!waiting.empty()) __builtin_prefetch(waiting.front().get());
    InFlight in_hand{.id = job->id};
    in_flight.push_back(mine = &in_hand);
    const bool opening = !device;
    lock.unlock();
    RunGuarded(*job, device);
    lock = Lock();
    mine = nullptr;
    if (opening && device) StartMoreThreads(*job, device);
    Settle(std::move(job), in_hand);
    if (!ShallTell()) continue;  // without a moment in which the jobs that wait could be cancelled
    told = Clock::now();
    lock.unlock();
    Tell();
    lock = Lock();
  }
  lock.unlock();
  device.reset();
  lock.lock();
  --running;
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
  wake.notify_all();
  unwanted.notify_all();
}

bool Worker::State::AwaitStop(std::chrono::milliseconds bound) {
  std::unique_lock lock(mutex);
  const auto deadline = stopped.value_or(Clock::now()) + bound;
  if (!ended.wait_until(lock, deadline, [this] { return finished(); })) return false;
  lock.unlock();
  // Wait for their very end too: libraries clean up per thread, and must have done so before they are shut
  // down.
  std::lock_guard join_once(joining);
  for (auto& thread : threads) {
    if (thread.joinable()) thread.join();
  }
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
    std::lock_guard lock(state_->mutex);
    state_->StartThread(nullptr);
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::lock_guard lock(registry().mutex);
  std::erase_if(registry().states, [](const auto& state) { return state.expired(); });
  registry().states.push_back(state_);
}

Worker::~Worker() { Stop(); }

void Worker::Submit(std::unique_ptr<Job> job) {
  {
    const auto lock = state_->Lock();
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
  if (const auto running = std::ranges::find(state_->in_flight, id, &InFlight::id);
      running != state_->in_flight.end()) {
    (*running)->discard = true;
    state_->unwanted.notify_all();
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
  // For the device threads to fill: memory that they allocate and Node frees has both wait for its lock.
  taken.reserve(256);
  const auto lock = state_->Lock();
  taken.swap(state_->done);
  return taken;
}

void Worker::Drain() {
  {
    std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->wake.notify_all();
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
  return state_->finished();
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
