// SPDX-License-Identifier: Apache-2.0
#include "compute/arena.hpp"

#include <atomic>
#include <future>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace histod::compute {
namespace {

std::vector<int> cpus_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::vector<int> cpus_in(Arena& arena) {
  std::promise<std::vector<int>> promise;
  std::future<std::vector<int>> future = promise.get_future();
  arena.enqueue([&promise] { promise.set_value(cpus_of_this_thread()); });
  return future.get();
}

TEST(Arena, EnqueuedTasksRunOnPinnedThreads) {
  for (const int cpu : cpus_of_this_thread()) {
    const std::vector<int> list{cpu};
    Arena arena({.cpus = list});
    EXPECT_EQ(arena.threads(), 1u);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(cpus_in(arena), list);
    EXPECT_EQ(arena.pin_failures(), 0u);
  }
}

TEST(Arena, TwoArenasKeepToTheirOwnCpus) {
  const std::vector<int> cpus = cpus_of_this_thread();
  const std::vector<int> first{cpus.front()};
  const std::vector<int> last{cpus.back()};
  Arena a({.cpus = first});
  Arena b({.cpus = last});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(cpus_in(a), first);
    EXPECT_EQ(cpus_in(b), last);
  }
}

TEST(Arena, TheCallersAffinityStaysItsOwn) {
  const std::vector<int> before = cpus_of_this_thread();
  const std::vector<int> list{before.front()};
  Arena arena({.cpus = list});
  arena.parallel_for(1000, 1, [](std::size_t, std::size_t) {});
  EXPECT_EQ(cpus_of_this_thread(), before);
}

TEST(Arena, CpusThatAreNotThereAreCounted) {
  const std::vector<int> list{100000};
  Arena arena({.cpus = list});
  cpus_in(arena);
  EXPECT_GE(arena.pin_failures(), 1u);
}

TEST(Arena, ParallelForCoversEachItemOnce) {
  Arena arena({.cpus = {}, .threads = 3});
  for (const std::size_t count : {0u, 1u, 2u, 7u, 64u, 1000u, 4097u}) {
    for (const std::size_t grain : {0u, 1u, 3u, 64u, 5000u}) {
      std::vector<std::atomic<int>> seen(count);
      arena.parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
        EXPECT_TRUE(end - begin >= grain || end == count);
        for (std::size_t i = begin; i < end; ++i) ++seen[i];
      });
      for (const auto& times : seen) ASSERT_EQ(times, 1) << count << " " << grain;
    }
  }
}

TEST(Arena, ParallelForWorksInsideATask) {
  Arena arena({.cpus = {}, .threads = 2});
  std::promise<std::size_t> promise;
  arena.enqueue([&] {
    std::atomic<std::size_t> sum = 0;
    arena.parallel_for(500, 10, [&](std::size_t begin, std::size_t end) { sum += end - begin; });
    promise.set_value(sum);
  });
  EXPECT_EQ(promise.get_future().get(), 500u);
}

TEST(Arena, ManyCallersAtOnce) {
  Arena arena({.cpus = {}, .threads = 2});
  std::atomic<std::size_t> sum = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back(
        [&] { arena.parallel_for(300, 1, [&](std::size_t begin, std::size_t end) { sum += end - begin; }); });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 6u * 300);
}

#ifndef HISTOD_SERIAL_ARENA
TEST(Arena, AllItsThreadsWorkOnEnqueuedTasks) {
  constexpr unsigned k_threads = 4;
  Arena arena({.cpus = {}, .threads = k_threads});
  EXPECT_EQ(arena.threads(), k_threads);
  // Each task waits for all: with fewer threads than that the test would not end.
  std::atomic<unsigned> arrived = 0;
  std::promise<void> all;
  std::shared_future<void> everyone = all.get_future().share();
  for (unsigned i = 0; i < k_threads; ++i) {
    arena.enqueue([&arrived, &all, everyone] {
      if (++arrived == k_threads) all.set_value();
      everyone.wait();
    });
  }
  everyone.wait();
  EXPECT_EQ(arrived, k_threads);
}
#endif

TEST(Arena, DestructionWaitsForWhatWasEnqueued) {
  std::atomic<int> done = 0;
  {
    Arena arena({.cpus = {}, .threads = 2});
    for (int i = 0; i < 200; ++i) {
      auto owned = std::make_unique<int>(1);
      arena.enqueue([&done, owned = std::move(owned)] { done += *owned; });
    }
  }
  EXPECT_EQ(done, 200);
}

TEST(Arena, ATaskMayEnqueueMore) {
  std::atomic<int> done = 0;
  {
    Arena arena({.cpus = {}, .threads = 2});
    arena.enqueue([&] {
      arena.enqueue([&] { ++done; });
      ++done;
    });
  }
  EXPECT_EQ(done, 2);
}

/// Counts its runs, and says on which nice level they were.
struct CountedJob final : Arena::Job {
  void run() override {
    nice = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()));
    runs.fetch_add(1);
    runs.notify_all();
  }
  void wait_for(int wanted) {
    for (int seen = runs; seen < wanted; seen = runs) runs.wait(seen);
  }
  std::atomic<int> runs = 0;
  std::atomic<int> nice = 0;
};

TEST(Arena, AJobMayBeEnqueuedAgainAsSoonAsItHasRun) {
  Arena arena({.cpus = {}, .threads = 2});
  CountedJob job;
  for (int i = 1; i <= 100; ++i) {
    arena.enqueue(job);
    job.wait_for(i);
  }
  EXPECT_EQ(job.runs, 100);
}

#ifndef HISTOD_SERIAL_ARENA
TEST(Arena, ThreadsThatYieldStepBack) {
  const int ours = ::getpriority(PRIO_PROCESS, 0);
  for (const bool yields : {false, true}) {
    Arena arena({.cpus = {}, .threads = 1, .yields = yields});
    CountedJob job;
    arena.enqueue(job);
    job.wait_for(1);
    EXPECT_EQ(job.nice, yields ? std::max(ours, 10) : ours);
  }
  EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), ours) << "nobody else does";
}
#endif

}  // namespace
}  // namespace histod::compute
