// SPDX-License-Identifier: Apache-2.0
#include <numeric>

#include <gtest/gtest.h>

#include "compute/video/packed.hpp"
#include "tests/compute/video_support.hpp"
#include "tests/support/naive_image.hpp"

namespace histod::test {
namespace {

using compute::ImageView;
using compute::video::field_of;
using compute::video::LumaCounter;
using compute::video::LumaMap;
using compute::video::write_gray;

constexpr std::uint32_t k_blank = 0x5b;

NaiveImage blank(std::uint32_t width, std::uint32_t height, unsigned depth) {
  NaiveImage image(gray_format(depth), width, height, 6);
  for (std::uint32_t y = 0; y < height; ++y) {
    for (std::uint32_t x = 0; x < width; ++x) image.set(x, y, 0, k_blank);
  }
  return image;
}

std::uint32_t gray_value(const PackedForm& form, std::uint32_t luma, unsigned depth) {
  return depth == 8 ? luma >> (form.depth_bits - 8) : luma;
}

/// Returns how many pixels were inside.
std::uint64_t naive_write(const PackedForm& form, std::span<const std::byte> groups, std::uint64_t line,
                          std::uint64_t column, NaiveImage& image) {
  std::uint64_t written = 0;
  for (const NaivePixel& pixel : naive_pixels(form, naive_samples(form, groups))) {
    const std::uint64_t x = column + pixel.x, y = line + pixel.y;
    if (x >= image.width() || y >= image.height()) continue;
    image.set(static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y), 0,
              gray_value(form, pixel.luma, image.format().depth_bits));
    ++written;
  }
  return written;
}

class GrayOfEveryForm : public testing::TestWithParam<PackedForm> {
 protected:
  const PackedForm form_ = GetParam();
  std::mt19937_64 random_{23};
};
INSTANTIATE_TEST_SUITE_P(Forms, GrayOfEveryForm, testing::ValuesIn(all_forms()),
                         form_name<testing::TestParamInfo<PackedForm>>);

/// Where a packet says that it belongs is not to be believed.
TEST_P(GrayOfEveryForm, StaysInThePicture) {
  for (const unsigned depth : {8u, 16u}) {
    for (int round = 0; round < 60; ++round) {
      const auto width = static_cast<std::uint32_t>(1 + random_() % 90),
                 height = static_cast<std::uint32_t>(1 + random_() % 5);
      NaiveImage image = blank(width, height, depth), expected = blank(width, height, depth);
      const std::uint32_t positions[] = {0, 1, 2, 7, 30, width - 1, width, 0x7fffffff, 0xfffffffe, 0xffffffff};
      for (int span = 0; span < 4; ++span) {
        const auto line = random_() % 8 == 0 ? 0xffffffff : static_cast<std::uint32_t>(random_() % 6);
        const std::uint32_t column = positions[random_() % std::size(positions)];
        Bytes groups = random_groups(form_, random_() % 60, 0, random_);
        groups.resize(groups.size() - std::min<std::size_t>(groups.size(), random_() % 3));
        groups.shrink_to_fit();
        const std::uint64_t written = write_gray(form_, groups, line, column, image.view());
        ASSERT_EQ(written, naive_write(form_, groups, line, column, expected));
      }
      ASSERT_EQ(image.samples(), expected.samples()) << round;
      ASSERT_TRUE(image.padding_is_untouched());
    }
  }
}

/// Lines longer than what is taken at a time.
TEST_P(GrayOfEveryForm, WritesLongLines) {
  const std::uint32_t width = 64 * form_.group_columns() * 3 + 2 * form_.group_columns();
  NaiveImage image = blank(width, 2, 16), expected = blank(width, 2, 16);
  const Bytes groups = random_groups(form_, width / form_.group_columns(), 0, random_);
  EXPECT_EQ(write_gray(form_, groups, 0, 0, image.view()), std::uint64_t{width} * form_.group_lines());
  naive_write(form_, groups, 0, 0, expected);
  EXPECT_EQ(image.samples(), expected.samples());
}

/// A packet of a frame that is to be sent, as net/ would cut it.
struct Piece {
  std::uint32_t line, column, columns;
  Bytes groups;
};

/// A frame with an odd last column and line, of which the sender has filled the pgroups up.
std::vector<Piece> pieces_of(const PackedForm& form, std::uint32_t width, std::uint32_t height,
                             std::mt19937_64& random) {
  std::vector<Piece> pieces;
  const std::uint32_t step = form.group_columns();
  for (std::uint32_t line = 0; line < height; line += form.group_lines()) {
    for (std::uint32_t column = 0; column < width;) {
      const std::uint32_t left = (width - column + step - 1) / step;
      const auto groups = std::min(left, static_cast<std::uint32_t>(1 + random() % 9));
      const std::uint32_t columns = std::min(groups * step, width - column);
      pieces.push_back({line, column, columns, random_groups(form, groups, static_cast<unsigned>(line % 3), random)});
      column += groups * step;
    }
  }
  return pieces;
}

/// Packets come in any order, and some do not: what came is counted, mapped and put together exactly.
TEST_P(GrayOfEveryForm, PutsAFrameTogetherFromWhatCame) {
  constexpr std::uint32_t k_width = 53, k_height = 7;
  std::vector<Piece> pieces = pieces_of(form_, k_width, k_height, random_);
  std::shuffle(pieces.begin(), pieces.end(), random_);
  pieces.resize(pieces.size() - pieces.size() / 5);
  const compute::Lut lut = random_lut(form_.levels(), random_);
  LumaMap map(form_);
  map.set(lut);
  LumaCounter counter(form_);
  NaiveImage image = blank(k_width, k_height, 16), expected = blank(k_width, k_height, 16);
  std::vector<std::uint64_t> counts(form_.levels());
  std::uint64_t written = 0, pixels = 0;
  for (Piece& piece : pieces) {
    const Extent seen{piece.columns, k_height - piece.line};
    for (const NaivePixel& pixel : naive_pixels(form_, naive_samples(form_, piece.groups))) {
      if (pixel.x >= seen.columns || pixel.y >= seen.lines) continue;
      counts[pixel.luma] += pixel.counts;
      ++pixels;
    }
    naive_write(form_, naive_applied(form_, piece.groups, lut, seen), piece.line, piece.column, expected);
    counter.count(piece.groups, seen);
    map.apply(piece.groups, seen);
    written += write_gray(form_, piece.groups, piece.line, piece.column, image.view());
  }
  compute::Histogram histogram(form_.levels());
  counter.fold_into(histogram);
  EXPECT_EQ(values_of(histogram), counts);
  EXPECT_EQ(written, pixels);
  EXPECT_EQ(image.samples(), expected.samples());
  EXPECT_TRUE(image.padding_is_untouched());
}

TEST(FieldOf, IsEverySecondLine) {
  for (std::uint32_t height = 0; height <= 5; ++height) {
    NaiveImage image = blank(4, std::max(1u, height), 8);
    ImageView frame = image.view();
    frame.height = height;
    for (const bool second : {false, true}) {
      const ImageView field = field_of(frame, second);
      ASSERT_EQ(field.height, (height + (second ? 0 : 1)) / 2);
      for (std::uint32_t y = 0; y < field.height; ++y) ASSERT_EQ(field.row(y), frame.row(2 * y + (second ? 1 : 0)));
    }
  }
}

TEST(FieldOf, PutsTwoFieldsTogether) {
  const PackedForm form{Sampling::ycbcr422, 8};
  NaiveImage image = blank(2, 5, 8);
  for (std::uint32_t line = 0; line < 5; ++line) {
    const auto luma = static_cast<std::byte>(line);
    const Bytes group{std::byte{1}, luma, std::byte{2}, luma};
    EXPECT_EQ(write_gray(form, group, line / 2, 0, field_of(image.view(), line % 2 != 0)), 2u);
  }
  EXPECT_EQ(image.samples(), (std::vector<std::uint32_t>{0, 0, 1, 1, 2, 2, 3, 3, 4, 4}));
}

}  // namespace
}  // namespace histod::test
