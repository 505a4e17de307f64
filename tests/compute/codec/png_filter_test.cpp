// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_filter.hpp"

#include <random>

#include <gtest/gtest.h>

#include "compute/codec/png_unfilter.hpp"
#include "compute/kernels.hpp"

/// Filtering and unfiltering of single rows: one is the other's inverse, nothing beyond a row is touched, and all
/// instruction sets agree, ties among the filters included.
namespace histod::test {
namespace {

namespace png = compute::codec::png;
using Line = std::vector<std::byte>;

constexpr std::size_t k_steps[] = {1, 2, 3, 4, 6, 8};
constexpr std::byte k_guard{0xA5};

/// A row with the zeros before it that filter_row() asks for, and nothing behind it.
Line line_of(std::size_t bytes, unsigned values, std::mt19937& random) {
  Line line(png::k_bytes_per_pixel_max + bytes);
  for (std::size_t i = png::k_bytes_per_pixel_max; i < line.size(); ++i)
    line[i] = static_cast<std::byte>(random() % values * (255 / (values - 1)));
  return line;
}

Line filtered(const Line& line, const Line& above, std::size_t step) {
  const std::size_t bytes = line.size() - png::k_bytes_per_pixel_max;
  Line out(bytes + 2, k_guard);
  png::filter_row(line.data() + png::k_bytes_per_pixel_max, above.data() + png::k_bytes_per_pixel_max, bytes, step,
                  out.data());
  EXPECT_EQ(out.back(), k_guard);
  out.pop_back();
  return out;
}

Line unfiltered(const Line& in, const Line& above, std::size_t step) {
  const std::size_t bytes = in.size() - 1;
  Line out(bytes + 1, k_guard);
  png::unfilter_row(std::to_integer<unsigned>(in[0]), in.data() + 1, above.data() + png::k_bytes_per_pixel_max, bytes,
                    step, out.data());
  EXPECT_EQ(out.back(), k_guard);
  out.pop_back();
  return out;
}

class PngFilter : public testing::TestWithParam<const compute::Kernels*> {
 protected:
  void SetUp() override { compute::set_kernels(*GetParam()); }
  void TearDown() override { compute::set_kernels(*compute::available_kernels().back()); }
};

INSTANTIATE_TEST_SUITE_P(All, PngFilter, testing::ValuesIn(compute::available_kernels()),
                         [](const auto& instance) { return std::string(instance.param->isa); });

TEST_P(PngFilter, comes_back_from_every_filter_at_every_length) {
  std::mt19937 random(1);
  for (const std::size_t step : k_steps)
    for (std::size_t pixels = 1; pixels < 80; ++pixels)
      for (const unsigned values : {2u, 256u}) {
        const Line line = line_of(pixels * step, values, random), above = line_of(pixels * step, values, random);
        const Line back = unfiltered(filtered(line, above, step), above, step);
        EXPECT_TRUE(std::equal(back.begin(), back.end(), line.begin() + png::k_bytes_per_pixel_max))
            << step << " bytes a pixel, " << pixels << " pixels";
      }
}

TEST_P(PngFilter, unfilters_as_the_scalar_table_does) {
  std::mt19937 random(2);
  for (const std::size_t step : k_steps)
    for (std::size_t pixels = 1; pixels < 80; ++pixels)
      for (unsigned filter = 0; filter <= 4; ++filter) {
        Line in = line_of(pixels * step, 256, random);
        const Line above = line_of(pixels * step, 256, random);
        in.erase(in.begin(), in.begin() + png::k_bytes_per_pixel_max - 1);
        in[0] = static_cast<std::byte>(filter);
        const Line found = unfiltered(in, above, step);
        compute::set_kernels(compute::scalar_kernels());
        EXPECT_EQ(found, unfiltered(in, above, step)) << "filter " << filter << ", " << step << " bytes a pixel";
        compute::set_kernels(*GetParam());
      }
}

TEST_P(PngFilter, chooses_as_the_scalar_table_does_in_ties_too) {
  std::mt19937 random(3);
  for (const std::size_t step : k_steps)
    for (std::size_t pixels = 1; pixels < 200; pixels += 7)
      for (const unsigned values : {2u, 3u, 256u}) {
        const Line line = line_of(pixels * step, values, random), above = line_of(pixels * step, values, random);
        const Line found = filtered(line, above, step);
        compute::set_kernels(compute::scalar_kernels());
        EXPECT_EQ(found, filtered(line, above, step));
        compute::set_kernels(*GetParam());
      }
}

TEST_P(PngFilter, takes_the_first_of_equals) {
  const Line zeros(png::k_bytes_per_pixel_max + 100);
  EXPECT_EQ(filtered(zeros, zeros, 4)[0], std::byte{0});
  Line flat = zeros;
  std::fill(flat.begin() + png::k_bytes_per_pixel_max, flat.end(), std::byte{200});
  EXPECT_EQ(filtered(flat, flat, 1)[0], std::byte{2}) << "Up leaves nothing; Sub the first byte";
  EXPECT_EQ(filtered(flat, zeros, 1)[0], std::byte{1}) << "Sub and Paeth leave the first byte";
}

}  // namespace
}  // namespace histod::test
