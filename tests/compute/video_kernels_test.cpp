// SPDX-License-Identifier: Apache-2.0
#include <numeric>

#include <gtest/gtest.h>

#include "compute/kernels.hpp"
#include "tests/compute/video_support.hpp"

namespace histod::test {
namespace {

using compute::Kernels;

constexpr PackedForm k_uyvy8{Sampling::ycbcr422, 8};
constexpr PackedForm k_uyvy10{Sampling::ycbcr422, 10};

/// One body for every table that this CPU can run.
class PackedKernels : public testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels_ = *GetParam();
  std::mt19937_64 random_{11};

  std::vector<std::uint64_t> count(const PackedForm& form, const std::byte* groups, std::size_t n) {
    std::vector<std::uint32_t> tables(4 * form.levels(), 1);
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(groups);
    form == k_uyvy8 ? kernels_.count_uyvy_u8(bytes, n, tables.data())
                    : kernels_.count_uyvy_u10(bytes, n, tables.data());
    std::vector<std::uint64_t> counts(form.levels());
    for (std::size_t i = 0; i < tables.size(); ++i) counts[i % counts.size()] += tables[i] - 1;
    return counts;
  }

  void apply(const PackedForm& form, std::byte* groups, std::size_t n, const compute::Lut& lut) {
    auto* const bytes = reinterpret_cast<std::uint8_t*>(groups);
    const std::vector<std::uint8_t> narrow(lut.begin(), lut.end());
    form == k_uyvy8 ? kernels_.apply_uyvy_u8(bytes, n, narrow.data()) : kernels_.apply_uyvy_u10(bytes, n, lut.data());
  }
};
INSTANTIATE_TEST_SUITE_P(Isas, PackedKernels,
                         testing::ValuesIn(compute::available_kernels().begin(), compute::available_kernels().end()),
                         [](const auto& param) { return std::string(param.param->isa); });

/// All lengths up to some steps of the widest loop, at all addresses within a register: noise, flat, and runs.
TEST_P(PackedKernels, CountEveryLengthAtEveryAddress) {
  for (const PackedForm& form : {k_uyvy8, k_uyvy10}) {
    for (std::size_t n = 0; n < 70; ++n) {
      for (const std::size_t offset : {0u, 1u, 2u, 3u, 4u, 7u, 15u, 16u, 31u}) {
        Bytes groups = random_groups(form, n, static_cast<unsigned>((n + offset) % 3), random_);
        const auto expected = naive_counts(form, groups);
        groups.insert(groups.begin(), offset, std::byte{0x5a});
        groups.shrink_to_fit();
        ASSERT_EQ(count(form, groups.data() + offset, n), expected) << describe(form) << " " << n << " at " << offset;
      }
    }
  }
}

TEST_P(PackedKernels, ApplyEveryLengthAtEveryAddress) {
  for (const PackedForm& form : {k_uyvy8, k_uyvy10}) {
    const compute::Lut lut = random_lut(form.levels(), random_);
    for (std::size_t n = 0; n < 70; ++n) {
      for (const std::size_t offset : {0u, 1u, 2u, 3u, 4u, 7u, 15u, 16u, 31u}) {
        Bytes groups = random_groups(form, n, 0, random_);
        // Bytes behind the last pgroup, too, which stay.
        groups.insert(groups.end(), n % 3, std::byte{0x5a});
        Bytes expected = naive_applied(form, groups, lut);
        expected.resize(groups.size());
        groups.insert(groups.begin(), offset, std::byte{0x5a});
        groups.shrink_to_fit();
        apply(form, groups.data() + offset, n, lut);
        groups.erase(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(offset));
        ASSERT_EQ(groups, expected) << describe(form) << " " << n << " at " << offset;
      }
    }
  }
}

/// Every value in every place of a step, with all bits of the chroma beside it set and clear.
TEST_P(PackedKernels, MapEveryValueInEveryPlace) {
  constexpr std::size_t k_places = 96;  // steps take 12, 16 or 32
  for (const PackedForm& form : {k_uyvy8, k_uyvy10}) {
    const compute::Lut lut = random_lut(form.levels(), random_);
    for (const std::uint32_t around : {0u, form.levels() - 1}) {
      std::vector<std::uint32_t> samples(2 * k_places * form.levels(), around);
      for (std::size_t i = 0; i < samples.size() / 2; ++i)
        samples[2 * i + 1] = static_cast<std::uint32_t>(i / k_places + i % k_places * 7) % form.levels();
      Bytes groups = pack_bits(samples, form.depth_bits);
      const std::vector<std::uint64_t> expected(form.levels(), k_places);
      ASSERT_EQ(count(form, groups.data(), samples.size() / 4), expected) << describe(form);
      apply(form, groups.data(), samples.size() / 4, lut);
      for (std::size_t i = 1; i < samples.size(); i += 2) samples[i] = lut[samples[i]];
      ASSERT_EQ(groups, pack_bits(samples, form.depth_bits)) << describe(form);
    }
  }
}

TEST_P(PackedKernels, GiveTheSameForWholeFrames) {
  for (const PackedForm& form : {k_uyvy8, k_uyvy10}) {
    const compute::Lut lut = random_lut(form.levels(), random_);
    for (const unsigned kind : {0u, 1u, 2u}) {
      Bytes groups = random_groups(form, 5'011, kind, random_);
      ASSERT_EQ(count(form, groups.data(), 5'011), naive_counts(form, groups));
      const Bytes expected = naive_applied(form, groups, lut);
      apply(form, groups.data(), 5'011, lut);
      ASSERT_EQ(groups, expected);
    }
  }
}

}  // namespace
}  // namespace histod::test
