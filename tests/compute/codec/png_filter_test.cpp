// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_filter.hpp"

#include <algorithm>
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

/// Rows behind the numbers of their filters, of which every third is `most`.
Line lines_of(std::size_t rows, std::size_t bytes, unsigned most, std::mt19937& random) {
  Line lines;
  for (std::size_t y = 0; y < rows; ++y) {
    const Line line = line_of(bytes, y % 2 == 0 ? 256 : 3, random);
    lines.push_back(static_cast<std::byte>(random() % 3 == 0 ? random() % 5 : most));
    lines.insert(lines.end(), line.begin() + png::k_bytes_per_pixel_max, line.end());
  }
  return lines;
}

/// Row by row, by the scalar table; the rows lie `stride` bytes apart, guards in between.
Line unfiltered_singly(const Line& lines, const Line& above, std::size_t bytes, std::size_t step, std::size_t stride) {
  const compute::Kernels& before = compute::kernels();
  compute::set_kernels(compute::scalar_kernels());
  const std::size_t rows = lines.size() / (bytes + 1);
  Line out(rows * stride, k_guard);
  for (std::size_t y = 0; y < rows; ++y) {
    const std::byte* const line = lines.data() + y * (bytes + 1);
    png::unfilter_row(std::to_integer<unsigned>(*line), line + 1, y == 0 ? above.data() : &out[(y - 1) * stride], bytes,
                      step, &out[y * stride]);
  }
  compute::set_kernels(before);
  return out;
}

TEST_P(PngFilter, unfilters_many_rows_as_one_by_one) {
  std::mt19937 random(4);
  for (const std::size_t step : k_steps)
    for (std::size_t pixels = 1; pixels < 40; ++pixels)
      for (const std::size_t rows : {1uz, 2uz, 3uz, 4uz, 7uz, 8uz, 9uz, 17uz, 30uz})
        for (const unsigned most : {1u, 3u, 4u}) {
          const std::size_t bytes = pixels * step, stride = bytes + random() % 3;
          const Line lines = lines_of(rows, bytes, most, random);
          Line above = line_of(bytes, 256, random);
          above.erase(above.begin(), above.begin() + png::k_bytes_per_pixel_max);
          Line out(rows * stride, k_guard);
          ASSERT_EQ(png::unfilter_rows(lines, above.data(), bytes, step, out.data(), stride), rows);
          ASSERT_EQ(out, unfiltered_singly(lines, above, bytes, step, stride))
              << rows << " rows of " << pixels << " pixels of " << step << " bytes";
        }
}

TEST_P(PngFilter, unfilters_up_to_a_filter_that_does_not_exist) {
  std::mt19937 random(5);
  const Line above(60);
  for (const std::size_t step : k_steps)
    for (std::size_t bad = 0; bad < 20; ++bad)
      for (const unsigned filter : {5u, 255u}) {
        Line lines = lines_of(20, 48, 4, random);
        const Line expected = unfiltered_singly(lines, above, 48, step, 48);
        lines[bad * 49] = static_cast<std::byte>(filter);
        Line out(20 * 48, k_guard);
        ASSERT_EQ(png::unfilter_rows(lines, above.data(), 48, step, out.data(), 48), bad);
        ASSERT_TRUE(std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(bad * 48), expected.begin()));
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
