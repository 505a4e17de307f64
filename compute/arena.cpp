// SPDX-License-Identifier: Apache-2.0
#include "compute/arena.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef HISTOD_SERIAL_ARENA
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#endif

namespace histod::compute {
namespace {

/// A CPU set as long as the largest number in the list asks for: machines may have more CPUs than cpu_set_t has bits.
class CpuSet {
 public:
  explicit CpuSet(std::span<const int> cpus) {
    int largest = CPU_SETSIZE - 1;
    for (const int cpu : cpus) largest = std::max(largest, cpu);
    words_.resize(CPU_ALLOC_SIZE(static_cast<std::size_t>(largest) + 1) / sizeof(unsigned long));
    for (const int cpu : cpus) {
      if (cpu >= 0) CPU_SET_S(static_cast<std::size_t>(cpu), bytes(), set());
    }
  }
  bool set_on_this_thread() const { return sched_setaffinity(0, bytes(), set()) == 0; }
  bool get_from_this_thread() { return sched_getaffinity(0, bytes(), set()) == 0; }

 private:
  std::size_t bytes() const { return words_.size() * sizeof(unsigned long); }
  const cpu_set_t* set() const { return reinterpret_cast<const cpu_set_t*>(words_.data()); }
  cpu_set_t* set() { return reinterpret_cast<cpu_set_t*>(words_.data()); }
  std::vector<unsigned long> words_;
};

[[maybe_unused]] unsigned threads_of(const Arena::Options& options) {
  if (options.threads != 0) return options.threads;
  if (!options.cpus.empty()) return static_cast<unsigned>(options.cpus.size());
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

#ifdef HISTOD_SERIAL_ARENA

struct Arena::State {
  explicit State(const Options& options) : cpus(options.cpus), pin(!options.cpus.empty()), thread([this] { run(); }) {}

  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_one();
    thread.join();
  }

  void run() {
    if (pin && !cpus.set_on_this_thread()) ++pin_failures;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      auto task = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

  const CpuSet cpus;
  const bool pin;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::move_only_function<void()>> queue;
  bool stopping = false;
  std::atomic<std::uint64_t> pin_failures = 0;
  std::thread thread;
};

void Arena::enqueue(std::move_only_function<void()> task) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->queue.push_back(std::move(task));
  }
  state_->wake.notify_one();
}

void Arena::enqueue(Job& job) {
  enqueue([&job] { job.run(); });
}

void Arena::parallel_for(std::size_t count, std::size_t, const std::function<void(std::size_t, std::size_t)>& body) {
  if (count != 0) body(0, count);
}

unsigned Arena::threads() const { return 1; }

#else

namespace {

/// Pins the workers that join an arena, and gives them back as they came. A thread from outside that calls
/// parallel_for is its owner's to place.
class PinningObserver final : public tbb::task_scheduler_observer {
 public:
  PinningObserver(tbb::task_arena& arena, const Arena::Options& options)
      : tbb::task_scheduler_observer(arena), cpus_(options.cpus), pin_(!options.cpus.empty()), yields_(options.yields) {
    if (pin_ || yields_) observe(true);
  }
  ~PinningObserver() override {
    if (pin_ || yields_) observe(false);
  }
  void on_scheduler_entry(bool is_worker) override {
    if (!is_worker) return;
    if (yields_) step_back();
    if (!pin_) return;
    has_before_ = before().get_from_this_thread();
    if (!cpus_.set_on_this_thread()) ++failures_;
  }
  void on_scheduler_exit(bool is_worker) override {
    if (is_worker && has_before_) before().set_on_this_thread();
  }
  std::uint64_t failures() const { return failures_; }

 private:
  static CpuSet& before() {
    thread_local CpuSet set{std::span<const int>()};
    return set;
  }
  static thread_local bool has_before_;
  static void step_back() {
    constexpr int k_nice = 10;
    const auto self = static_cast<id_t>(::gettid());
    if (::getpriority(PRIO_PROCESS, self) < k_nice) ::setpriority(PRIO_PROCESS, self, k_nice);
  }
  const CpuSet cpus_;
  const bool pin_;
  const bool yields_;
  std::atomic<std::uint64_t> failures_ = 0;
};
thread_local bool PinningObserver::has_before_ = false;

/// TBB lends out one worker fewer than there are CPUs, as it expects the main thread to work too; ours only waits.
/// Where several such objects live the smallest counts, so all arenas name the same number.
std::size_t parallelism_max() {
  return std::max<std::size_t>(256, 2 * std::size_t{std::thread::hardware_concurrency()});
}

}  // namespace

struct Arena::State {
  explicit State(const Options& options)
      : threads(threads_of(options)),
        limit(tbb::global_control::max_allowed_parallelism, parallelism_max()),
        arena(static_cast<int>(threads), 0),
        observer((arena.initialize(), arena), options) {}

  ~State() {
    std::unique_lock lock(mutex);
    idle.wait(lock, [this] { return pending == 0; });
  }

  void begin() {
    const std::lock_guard lock(mutex);
    ++pending;
  }

  void end() {
    const std::lock_guard lock(mutex);
    if (--pending == 0) idle.notify_all();
  }

  const unsigned threads;
  tbb::global_control limit;
  tbb::task_arena arena;
  PinningObserver observer;
  std::mutex mutex;
  std::condition_variable idle;
  std::size_t pending = 0;
};

void Arena::enqueue(std::move_only_function<void()> task) {
  state_->begin();
  auto owned = std::make_unique<std::move_only_function<void()>>(std::move(task));
  state_->arena.enqueue([state = state_.get(), work = std::move(owned)] {
    (*work)();
    *work = nullptr;
    state->end();
  });
}

void Arena::enqueue(Job& job) {
  state_->begin();
  state_->arena.enqueue([state = state_.get(), &job] {
    job.run();
    state->end();
  });
}

void Arena::parallel_for(std::size_t count, std::size_t grain,
                         const std::function<void(std::size_t, std::size_t)>& body) {
  if (count == 0) return;
  const std::size_t step = std::max<std::size_t>(1, grain);
  const std::size_t chunks = (count + step - 1) / step;
  if (chunks == 1) return body(0, count);
  const auto run = [&](const tbb::blocked_range<std::size_t>& range) {
    body(range.begin() * step, std::min(range.end() * step, count));
  };
  state_->arena.execute([&] { tbb::parallel_for(tbb::blocked_range<std::size_t>(0, chunks), run); });
}

unsigned Arena::threads() const { return state_->threads; }

#endif

Arena::Arena(const Options& options) : state_(std::make_unique<State>(options)) {}
Arena::~Arena() = default;

std::uint64_t Arena::pin_failures() const {
#ifdef HISTOD_SERIAL_ARENA
  return state_->pin_failures;
#else
  return state_->observer.failures();
#endif
}

}  // namespace histod::compute
