// SPDX-License-Identifier: Apache-2.0
#include "net/buffer_pool.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace histod::test {
namespace {

using net::BufferPool;
using net::Lease;
using net::PageKind;

constexpr std::size_t k_granule = BufferPool::k_granule_bytes;

BufferPool::Options small_pool(std::size_t granules) {
  return {.budget_bytes = granules * k_granule, .resident_bytes = 0, .numa_node = -1, .try_huge_pages = false};
}

TEST(BufferPool, LeasesAreRoundedUpAndUsable) {
  BufferPool pool(small_pool(8));
  for (const std::size_t bytes : {1uz, k_granule - 1, k_granule, k_granule + 1, 8 * k_granule}) {
    Lease lease = pool.lease(bytes);
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease.size(), (bytes + k_granule - 1) / k_granule * k_granule);
    std::memset(lease.data(), 0x5a, lease.size());
    EXPECT_EQ(lease.bytes().back(), std::byte{0x5a});
    EXPECT_EQ(pool.stats().leased_bytes, lease.size());
    EXPECT_EQ(pool.stats().leases, 1u);
  }
  EXPECT_EQ(pool.stats().leased_bytes, 0u);
  EXPECT_EQ(pool.stats().leases, 0u);
  EXPECT_EQ(pool.stats().leased_bytes_max, 8 * k_granule);
}

TEST(BufferPool, RefusesWhatDoesNotFitNow) {
  BufferPool pool(small_pool(4));
  const Lease three = pool.lease(3 * k_granule);
  EXPECT_FALSE(pool.lease(2 * k_granule));
  EXPECT_FALSE(pool.lease(SIZE_MAX));
  EXPECT_FALSE(pool.lease(5 * k_granule));
  EXPECT_EQ(pool.stats().refusals, 3u);
  EXPECT_TRUE(pool.lease(1));
  EXPECT_TRUE(pool.fits_ever(4 * k_granule));
  EXPECT_FALSE(pool.fits_ever(4 * k_granule + 1));
}

TEST(BufferPool, FirstFitFillsHolesFromTheFront) {
  BufferPool pool(small_pool(200));
  std::vector<Lease> leases;
  for (int i = 0; i < 200; ++i) leases.push_back(pool.lease(1));
  const std::byte* const base = leases[0].data();
  for (const std::size_t at : {5, 6, 63, 64, 65, 127, 128}) leases[at].reset();
  EXPECT_EQ(pool.lease(3 * k_granule).data(), base + 63 * k_granule) << "across the words of the bitmap";
  EXPECT_FALSE(pool.lease(4 * k_granule)) << "seven are free, but no four of them together";
  const Lease two = pool.lease(2 * k_granule);
  EXPECT_EQ(two.data(), base + 5 * k_granule);
  EXPECT_EQ(pool.lease(2 * k_granule).data(), base + 63 * k_granule);
}

TEST(BufferPool, ShrinkGivesTheTailBack) {
  BufferPool pool(small_pool(4));
  Lease lease = pool.lease(4 * k_granule);
  lease.shrink(k_granule + 1);
  EXPECT_EQ(lease.size(), 2 * k_granule);
  EXPECT_EQ(pool.stats().leased_bytes, 2 * k_granule);
  const Lease tail = pool.lease(2 * k_granule);
  EXPECT_EQ(tail.data(), lease.data() + 2 * k_granule);
  lease.shrink(0);
  EXPECT_EQ(lease.size(), k_granule) << "a lease keeps one granule";
}

TEST(BufferPool, ExtendGrowsInPlaceOrNotAtAll) {
  BufferPool pool(small_pool(6));
  Lease first = pool.lease(k_granule);
  first.data()[10] = std::byte{42};
  Lease third;
  {
    const Lease second = pool.lease(2 * k_granule);
    third = pool.lease(1);
    EXPECT_FALSE(first.extend(k_granule + 1));
    EXPECT_EQ(first.size(), k_granule);
  }
  EXPECT_FALSE(first.extend(4 * k_granule));
  EXPECT_TRUE(first.extend(3 * k_granule));
  EXPECT_EQ(first.size(), 3 * k_granule);
  std::memset(first.data() + k_granule, 1, 2 * k_granule);
  EXPECT_EQ(first.data()[10], std::byte{42});
  EXPECT_TRUE(first.extend(1)) << "it is that large already";
  EXPECT_EQ(first.size(), 3 * k_granule);
  EXPECT_FALSE(third.extend(4 * k_granule)) << "past the end of the pool";
  EXPECT_FALSE(third.extend(SIZE_MAX));
  EXPECT_TRUE(third.extend(3 * k_granule));
}

TEST(BufferPool, InputsHaveHalfAndTheOnlyOneMayHaveAll) {
  using net::Use;
  BufferPool pool(small_pool(8));
  {
    const Lease only = pool.lease(8 * k_granule, Use::input);
    EXPECT_TRUE(only);
  }
  Lease first = pool.lease(3 * k_granule, Use::input);
  EXPECT_EQ(pool.stats().input_bytes, 3 * k_granule);
  EXPECT_FALSE(pool.lease(2 * k_granule, Use::input)) << "five of eight";
  Lease second = pool.lease(k_granule, Use::work);
  EXPECT_FALSE(second.extend(2 * k_granule, Use::input));
  second.reset();
  second = pool.lease(k_granule, Use::input);
  EXPECT_TRUE(second);
  EXPECT_TRUE(pool.lease(4 * k_granule)) << "work has the other half";
  first.shrink(k_granule);
  EXPECT_EQ(pool.stats().input_bytes, 2 * k_granule);
  second.reset();
  Lease moved = std::move(first);
  EXPECT_TRUE(moved.extend(7 * k_granule, Use::input)) << "there is no other";
  EXPECT_EQ(pool.stats().input_bytes, 7 * k_granule);
  moved.reset();
  Lease head = pool.lease(k_granule);
  EXPECT_TRUE(head.extend(2 * k_granule, Use::input)) << "a header section becomes a body";
  EXPECT_EQ(pool.stats().input_bytes, 2 * k_granule);
  head.reset();
  EXPECT_EQ(pool.stats().input_bytes, 0u);
}

TEST(BufferPool, MovingMovesTheDutyToGoHome) {
  BufferPool pool(small_pool(2));
  Lease a = pool.lease(1);
  std::byte* const data = a.data();
  Lease b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(pool.stats().leases, 1u);
  Lease c = pool.lease(1);
  c = std::move(b);
  EXPECT_EQ(c.data(), data);
  EXPECT_EQ(pool.stats().leases, 1u) << "what was overwritten went home";
  c.reset();
  c.reset();
  EXPECT_FALSE(c);
  EXPECT_EQ(pool.stats().leased_bytes, 0u);
}

TEST(BufferPool, TellsWhenBytesComeHome) {
  BufferPool pool(small_pool(4));
  int home = 0;
  Lease seized;
  pool.on_home([&] {
    ++home;
    if (!seized) seized = pool.lease(3 * k_granule);
  });
  Lease lease = pool.lease(4 * k_granule);
  lease.shrink(2 * k_granule);
  EXPECT_EQ(home, 1);
  EXPECT_FALSE(seized);
  lease.shrink(k_granule);
  EXPECT_TRUE(seized) << "a lease may be taken from inside the call";
  pool.on_home(nullptr);
  lease.reset();
  seized.reset();
  EXPECT_EQ(home, 2);
}

TEST(BufferPoolDeathTest, AssertsThatAllLeasesAreHome) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Lease lease;
        BufferPool pool(small_pool(2));
        lease = pool.lease(1);
      },
      "outlives its pool");
}

TEST(BufferPool, RefusesABudgetBelowAGranule) {
  EXPECT_THROW(BufferPool({.budget_bytes = k_granule - 1}), std::system_error);
  EXPECT_THROW(BufferPool({.budget_bytes = 0}), std::system_error);
}

TEST(BufferPool, RefusesMoreAddressesThanThereAre) {
  EXPECT_THROW(BufferPool({.budget_bytes = std::size_t{1} << 50, .resident_bytes = 0}), std::system_error);
}

long huge_pages_free() {
  long pages = 0;
  std::FILE* const file = std::fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
  if (!file) return 0;
  if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
  std::fclose(file);
  return pages;
}

std::string transparent_huge_pages() {
  char line[128] = {};
  std::FILE* const file = std::fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
  if (!file) return "[never]";
  if (!std::fgets(line, sizeof line, file)) line[0] = 0;
  std::fclose(file);
  return line;
}

TEST(BufferPool, TheResidentPartGetsTheBestPagesThereAreAndSaysWhy) {
  BufferPool pool({.budget_bytes = 64 << 20, .resident_bytes = 5 << 20});
  EXPECT_EQ(pool.resident().size(), 4u << 20) << "whole huge pages";
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pool.resident().data()) % (2 << 20), 0u);
  if (huge_pages_free() >= 2) {
    EXPECT_EQ(pool.stats().resident_pages, PageKind::huge_2m);
    EXPECT_EQ(pool.stats().huge_errno, 0);
  } else {
    EXPECT_NE(pool.stats().huge_errno, 0);
    const bool never = transparent_huge_pages().find("[never]") != std::string::npos;
    EXPECT_EQ(pool.stats().resident_pages, never ? PageKind::small_4k : PageKind::transparent_huge);
  }
  const Lease lease = pool.lease(64 << 20);
  std::memset(lease.data(), 1, lease.size());
}

TEST(BufferPool, SmallPagesWhereHugeOnesAreNotWanted) {
  BufferPool pool({.budget_bytes = 8 << 20, .resident_bytes = 4 << 20, .numa_node = -1, .try_huge_pages = false});
  EXPECT_EQ(pool.stats().resident_pages, PageKind::small_4k);
  EXPECT_EQ(pool.stats().huge_errno, ECANCELED);
  EXPECT_EQ(pool.resident().size(), 4u << 20);
}

TEST(BufferPool, AResidentPartOfLessThanAHugePageKeepsGranules) {
  BufferPool pool({.budget_bytes = 1 << 20, .resident_bytes = 64 << 20});
  EXPECT_EQ(pool.resident().size(), 1u << 20);
  EXPECT_NE(pool.stats().huge_errno, 0);
}

TEST(BufferPool, BindsToANodeOrSaysWhyNot) {
  BufferPool here({.budget_bytes = 4 << 20, .resident_bytes = 2 << 20, .numa_node = 0});
  const int error = here.stats().numa_bind_errno;
  EXPECT_TRUE(error == 0 || error == ENOSYS || error == EPERM) << error;
  BufferPool nowhere({.budget_bytes = 4 << 20, .resident_bytes = 2 << 20, .numa_node = 1000});
  EXPECT_NE(nowhere.stats().numa_bind_errno, 0);
  Lease lease = nowhere.lease(1 << 20);
  std::memset(lease.data(), 1, lease.size());
  BufferPool absurd({.budget_bytes = 4 << 20, .resident_bytes = 2 << 20, .numa_node = 100'000});
  EXPECT_EQ(absurd.stats().numa_bind_errno, EINVAL);
}

/// As the kernel tells it: each part of the range has its policy, whichever pages it is made of.
TEST(BufferPool, PrefersItsNodeFromEndToEnd) {
  for (const bool huge : {false, true}) {
    BufferPool pool({.budget_bytes = 16 << 20, .resident_bytes = 4 << 20, .numa_node = 0, .try_huge_pages = huge});
    if (pool.stats().numa_bind_errno != 0) GTEST_SKIP() << "the kernel binds no memory here";
    for (std::size_t at = 0; at < 16 << 20; at += 1 << 20) {
      int mode = -1;
      unsigned long nodes[16] = {};
      ASSERT_EQ(::syscall(SYS_get_mempolicy, &mode, nodes, 8 * sizeof nodes, pool.resident().data() + at, MPOL_F_ADDR),
                0);
      EXPECT_EQ(mode, MPOL_PREFERRED) << at;
      EXPECT_EQ(nodes[0], 1u) << at;
    }
  }
}

std::size_t pages_in_memory(const std::byte* at, std::size_t bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> in_memory(bytes / page);
  EXPECT_EQ(::mincore(const_cast<std::byte*>(at), bytes, in_memory.data()), 0);
  return static_cast<std::size_t>(std::ranges::count_if(in_memory, [](unsigned char flags) { return flags & 1; }));
}

TEST(BufferPool, WhatIsFreeBeyondTheResidentPartGoesBackToTheKernelBitByBit) {
  BufferPool pool({.budget_bytes = 32 << 20, .resident_bytes = 2 << 20, .numa_node = -1, .try_huge_pages = false});
  Lease lease = pool.lease(16 << 20);
  const std::byte* const data = lease.data();
  constexpr std::size_t k_pages_a_mib = (1 << 20) / 4096;
  EXPECT_EQ(pages_in_memory(data, lease.size()), 0u) << "granted, not touched: no memory";
  std::memset(lease.data(), 1, lease.size());
  EXPECT_FALSE(pool.trim(64 << 20)) << "nothing of it is free";
  EXPECT_EQ(pages_in_memory(data, 16 << 20), 16 * k_pages_a_mib);
  lease.reset();
  EXPECT_EQ(pages_in_memory(data, 16 << 20), 16 * k_pages_a_mib) << "the next one may have it as it is";
  EXPECT_TRUE(pool.trim(5 << 20));
  EXPECT_EQ(pages_in_memory(data, 11 << 20), 11 * k_pages_a_mib);
  EXPECT_EQ(pages_in_memory(data + (11 << 20), 5 << 20), 0u) << "what is used last goes first";
  EXPECT_TRUE(pool.trim(1));
  EXPECT_EQ(pages_in_memory(data, 11 << 20), 11 * k_pages_a_mib - k_granule / 4096);

  lease = pool.lease(4 << 20);
  EXPECT_FALSE(pool.trim(64 << 20));
  EXPECT_EQ(pages_in_memory(data, 4 << 20), 4 * k_pages_a_mib) << "what is leased stays";
  EXPECT_EQ(pages_in_memory(data + (4 << 20), 12 << 20), 0u);
  lease.reset();
  EXPECT_FALSE(pool.trim(64 << 20));
  EXPECT_EQ(pages_in_memory(data, 2 << 20), 2 * k_pages_a_mib) << "the resident part stays";
  EXPECT_EQ(pages_in_memory(data + (2 << 20), 14 << 20), 0u);
}

/// The same operations on the pool and on a list of granules that is searched from the front.
class Model {
 public:
  explicit Model(std::size_t granules) : owner_(granules, 0) {}

  static constexpr std::size_t k_none = SIZE_MAX;
  std::size_t lease(std::size_t granules, int owner) {
    for (std::size_t at = 0; at + granules <= owner_.size(); ++at) {
      if (!range_is(at, granules, 0)) continue;
      std::fill_n(owner_.begin() + static_cast<std::ptrdiff_t>(at), granules, owner);
      return at;
    }
    return k_none;
  }
  bool extend(std::size_t at, std::size_t from, std::size_t to, int owner) {
    if (at + to > owner_.size() || !range_is(at + from, to - from, 0)) return false;
    std::fill_n(owner_.begin() + static_cast<std::ptrdiff_t>(at), to, owner);
    return true;
  }
  void free(std::size_t at, std::size_t granules) {
    std::fill_n(owner_.begin() + static_cast<std::ptrdiff_t>(at), granules, 0);
  }
  std::size_t leased() const { return owner_.size() - static_cast<std::size_t>(std::ranges::count(owner_, 0)); }

 private:
  bool range_is(std::size_t at, std::size_t granules, int owner) const {
    return std::all_of(owner_.begin() + static_cast<std::ptrdiff_t>(at),
                       owner_.begin() + static_cast<std::ptrdiff_t>(at + granules), [&](int o) { return o == owner; });
  }
  std::vector<int> owner_;
};

struct Held {
  Lease lease;
  std::size_t at = 0;
  std::size_t granules = 0;
  int tag = 0;
};

void stamp(Held& held) {
  for (std::size_t i = 0; i < held.granules; ++i)
    std::memcpy(held.lease.data() + i * k_granule, &held.tag, sizeof held.tag);
}

bool stamped(const Held& held) {
  for (std::size_t i = 0; i < held.granules; ++i) {
    if (std::memcmp(held.lease.data() + i * k_granule, &held.tag, sizeof held.tag) != 0) return false;
  }
  return true;
}

class BufferPoolModelTest : public testing::TestWithParam<std::size_t> {};

TEST_P(BufferPoolModelTest, DoesWhatANaiveModelDoes) {
  const std::size_t granules = GetParam();
  BufferPool pool(small_pool(granules));
  Model model(granules);
  const std::byte* const base = pool.lease(1).data();
  std::mt19937 random(static_cast<unsigned>(granules));
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<Held> held;
  for (int turn = 1; turn <= 20'000; ++turn) {
    const std::size_t what = below(10);
    if (what < 4 || held.empty()) {
      const std::size_t wanted = 1 + below(below(4) == 0 ? granules : 5);
      Held next{pool.lease(wanted * k_granule - below(k_granule)), model.lease(wanted, turn), wanted, turn};
      ASSERT_EQ(static_cast<bool>(next.lease), next.at != Model::k_none);
      if (!next.lease) continue;
      ASSERT_EQ(next.lease.data(), base + next.at * k_granule);
      stamp(next);
      held.push_back(std::move(next));
      continue;
    }
    Held& one = held[below(held.size())];
    ASSERT_TRUE(stamped(one)) << "somebody else wrote into this lease";
    if (what < 6) {
      const std::size_t keep = 1 + below(one.granules);
      one.lease.shrink(keep * k_granule);
      model.free(one.at + keep, one.granules - keep);
      one.granules = keep;
    } else if (what < 8) {
      const std::size_t wanted = one.granules + below(4);
      const bool grown = model.extend(one.at, one.granules, wanted, one.tag);
      ASSERT_EQ(one.lease.extend(wanted * k_granule), grown);
      if (grown) one.granules = wanted;
      stamp(one);
    } else {
      model.free(one.at, one.granules);
      std::swap(one, held.back());
      held.pop_back();
    }
    ASSERT_EQ(pool.stats().leased_bytes, model.leased() * k_granule);
    ASSERT_EQ(pool.stats().leases, held.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, BufferPoolModelTest, testing::Values(1, 7, 63, 64, 65, 128, 300));

}  // namespace
}  // namespace histod::test
