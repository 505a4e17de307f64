// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/raster.hpp"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;

/// A file at an even or an odd address, equalized where it lies by somebody who adds 1 to each sample of the colours.
struct InPlace {
  InPlace(const FileBytes& original, std::size_t address_offset) : memory(original.size() + address_offset) {
    file = std::span(memory).subspan(address_offset);
    std::ranges::copy(original, file.begin());
    auto probed = codec::probe(file, {});
    if (probed) info = *probed;
  }

  bool possible() const { return !info.rasters.empty(); }

  /// The samples of each page as they were opened; afterwards the file is the result.
  std::vector<Raster> raise() {
    const std::size_t needed = codec::raster_pixel_bytes(file, info);
    FileBytes pixels(needed + 64);
    const std::size_t skip = (64 - reinterpret_cast<std::uintptr_t>(pixels.data()) % 64) % 64;
    const codec::Image image =
        codec::open_rasters(file, info, std::span(pixels).subspan(skip).first(needed), test_arena());
    std::vector<Raster> opened;
    for (const compute::ImageView& view : image.pages) opened.push_back(raised(view));
    codec::close_rasters(image, file, test_arena());
    return opened;
  }

  static Raster raised(const compute::ImageView& view) {
    Raster before{view.width, view.height, view.format.channels(), view.format.depth_bits, {}};
    const std::size_t samples = view.pixels() * view.format.channels();
    for (std::size_t i = 0; i < samples; ++i) {
      unsigned value = 0;
      std::memcpy(&value, view.data + i * view.format.bytes_per_sample(), view.format.bytes_per_sample());
      before.samples.push_back(static_cast<std::uint16_t>(value));
      value += i % view.format.channels() < view.format.colors;
      std::memcpy(view.data + i * view.format.bytes_per_sample(), &value, view.format.bytes_per_sample());
    }
    return before;
  }

  std::vector<std::byte> memory;
  std::span<std::byte> file;
  codec::FileInfo info;
};

Raster raised(Raster raster, unsigned colors) {
  for (std::size_t i = 0; i < raster.samples.size(); ++i)
    if (i % raster.channels < colors)
      raster.samples[i] = static_cast<std::uint16_t>((raster.samples[i] + 1) & ((1u << raster.depth_bits) - 1));
  return raster;
}

FileBytes bytes_of(std::span<const std::byte> bytes) { return {bytes.begin(), bytes.end()}; }

/// How many bytes differ.
std::size_t changed(const FileBytes& a, std::span<const std::byte> b) {
  std::size_t count = a.size() == b.size() ? 0 : a.size() + b.size();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) count += a[i] != b[i];
  return count;
}

TEST(Rasters, netpbm_files_change_in_their_samples_only) {
  for (const std::uint32_t maxval : {255u, 65535u, 1000u})
    for (const char kind : {'5', '6', '7'})
      for (const std::size_t address : {0u, 1u}) {
        const unsigned channels = kind == '5' ? 1 : kind == '6' ? 3 : 5;
        Raster raster = make_raster(31, 7, channels, maxval > 255 ? 16 : 8);
        for (auto& sample : raster.samples) sample = static_cast<std::uint16_t>(sample % maxval);
        const FileBytes original = netpbm_file(raster, kind, maxval, " a comment");
        InPlace in_place(original, address);
        ASSERT_TRUE(in_place.possible());
        EXPECT_EQ(in_place.raise(), std::vector{raster});
        EXPECT_EQ(bytes_of(in_place.file), netpbm_file(raised(raster, channels), kind, maxval, " a comment"));
      }
}

TEST(Rasters, what_follows_the_samples_stays) {
  FileBytes original = netpbm_file(make_raster(4, 4, 1, 8), '5', 255);
  for (const char c : std::string_view("\nand more")) original.push_back(static_cast<std::byte>(c));
  InPlace in_place(original, 0);
  ASSERT_TRUE(in_place.possible());
  in_place.raise();
  EXPECT_EQ(changed(original, in_place.file), 16u);
}

TEST(Rasters, uncompressed_tiff_strips_change_in_their_samples_only) {
  for (const int bits : {8, 16})
    for (const unsigned channels : {1u, 3u, 4u})
      for (const unsigned rows_per_strip : {0u, 7u})
        for (const bool big_endian : {false, true})
          for (const bool big_tiff : {false, true})
            for (const std::size_t address : {0u, 1u}) {
              const Raster raster = make_raster(41, 23, channels, static_cast<unsigned>(bits));
              TiffSpec spec{.bits = bits,
                            .photometric = channels > 1 ? 2u : 1u,
                            .rows_per_strip = rows_per_strip,
                            .big_endian = big_endian,
                            .big_tiff = big_tiff};
              if (channels == 4) spec.extra_samples = {2};
              const FileBytes original = tiff_file({{raster, spec}});
              InPlace in_place(original, address);
              ASSERT_TRUE(in_place.possible());
              EXPECT_EQ(in_place.raise(), std::vector{raster});
              const unsigned colors = channels == 1 ? 1 : 3;
              EXPECT_EQ(read_tiff(bytes_of(in_place.file)), raised(raster, colors));
              EXPECT_LE(changed(original, in_place.file), raster.samples.size() * static_cast<unsigned>(bits) / 8);
            }
}

TEST(Rasters, all_pages_of_a_file_or_none) {
  const std::vector<TiffPage> pages = {{make_raster(40, 30, 1, 16), {.bits = 16}},
                                       {make_raster(20, 15, 3, 8), {.photometric = 2}},
                                       {make_raster(20, 15, 1, 16), {.bits = 16, .subfile = 1}}};
  for (const std::size_t address : {0u, 1u}) {
    InPlace in_place(tiff_file(pages), address);
    ASSERT_TRUE(in_place.possible());
    in_place.raise();
    for (unsigned i = 0; i < 3; ++i)
      EXPECT_EQ(read_tiff(bytes_of(in_place.file), i), raised(pages[i].raster, i == 1 ? 3 : 1)) << i;
  }
  std::vector<TiffPage> compressed = pages;
  compressed[1].spec.compression = 8;
  EXPECT_FALSE(InPlace(tiff_file(compressed), 0).possible());
}

TEST(Rasters, files_that_must_be_decoded_have_none) {
  const Raster gray = make_raster(32, 32, 1, 8), rgb = make_raster(32, 32, 3, 8);
  const std::vector<std::pair<const char*, FileBytes>> files = {
      {"ASCII", netpbm_file(gray, '2', 255)},
      {"PNG", png_file(gray, {})},
      {"compressed", tiff_file({{gray, {.compression = 32773}}})},
      {"tiles", tiff_file({{gray, {.tile = 16}}})},
      {"planes", tiff_file({{rgb, {.photometric = 2, .separate = true}}})},
      {"white is zero", tiff_file({{gray, {.photometric = 0}}})},
      {"a mask", tiff_file({{gray, {}}, {gray, {.subfile = 4}}})},
      {"statistics", tiff_file({{gray, {.geo = true}}})},
      {"1 bit", tiff_file({{make_raster(32, 32, 1, 1), {.bits = 1}}})},
  };
  for (const auto& [name, file] : files) {
    const InPlace in_place(file, 0);
    EXPECT_FALSE(in_place.info.pages.empty()) << name;
    EXPECT_FALSE(in_place.possible()) << name;
  }
}

/// The position of a SHORT or LONG entry's value in a little-endian classic TIFF.
std::size_t value_at(const FileBytes& file, std::uint16_t tag) {
  std::uint32_t directory = 0;
  std::memcpy(&directory, file.data() + 4, 4);
  for (std::size_t at = directory + 2; at + 12 <= file.size(); at += 12)
    if (std::memcmp(file.data() + at, &tag, 2) == 0) return at + 8;
  ADD_FAILURE() << "no tag " << tag;
  return 0;
}

TEST(Rasters, strips_that_lie_apart_or_on_the_header_are_decoded) {
  const FileBytes one_strip = tiff_file({{make_raster(16, 16, 1, 8), {}}});
  EXPECT_TRUE(InPlace(one_strip, 0).possible());
  FileBytes on_the_header = one_strip;
  const std::uint32_t zero = 0;
  std::memcpy(on_the_header.data() + value_at(one_strip, 273), &zero, 4);
  EXPECT_FALSE(InPlace(on_the_header, 0).possible());

  FileBytes swapped = tiff_file({{make_raster(16, 16, 1, 8), {.rows_per_strip = 8}}});
  std::uint32_t table = 0;
  std::memcpy(&table, swapped.data() + value_at(swapped, 273), 4);
  std::swap_ranges(swapped.begin() + table, swapped.begin() + table + 4, swapped.begin() + table + 4);
  const InPlace turned(swapped, 0);
  EXPECT_FALSE(turned.info.pages.empty());
  EXPECT_FALSE(turned.possible());
}

TEST(Rasters, two_pages_on_the_same_samples_are_decoded) {
  const Raster raster = make_raster(16, 16, 1, 8);
  FileBytes file = tiff_file({{raster, {}}, {raster, {}}});
  EXPECT_TRUE(InPlace(file, 0).possible());
  std::uint32_t first = 0, second = 0;
  std::memcpy(&first, file.data() + value_at(file, 273), 4);
  // The second directory's entry holds the second page's offset: the only other LONG of that value.
  for (std::size_t at = 8; at + 12 <= file.size(); ++at) {
    std::uint16_t tag = 0;
    std::memcpy(&tag, file.data() + at, 2);
    if (tag != 273 || at + 8 == value_at(file, 273)) continue;
    std::memcpy(&second, file.data() + at + 8, 4);
    std::memcpy(file.data() + at + 8, &first, 4);
  }
  ASSERT_NE(second, 0u);
  const InPlace doubled(file, 0);
  EXPECT_EQ(doubled.info.pages.size(), 2u);
  EXPECT_FALSE(doubled.possible());
}

TEST(Rasters, only_the_same_format_and_colours_stay_in_place) {
  const InPlace rgb(netpbm_file(make_raster(8, 8, 3, 8), '6', 255), 0);
  compute::ImageView view{nullptr, 8, 8, 24, rgb.info.pages[0].format};
  EXPECT_TRUE(codec::stays_in_place(rgb.info, std::span(&view, 1), FileFormat::ppm));
  EXPECT_FALSE(codec::stays_in_place(rgb.info, std::span(&view, 1), FileFormat::png));
  view.format.colors = 1;
  EXPECT_FALSE(codec::stays_in_place(rgb.info, std::span(&view, 1), FileFormat::ppm)) << "made gray";
}

}  // namespace
}  // namespace histod::test
