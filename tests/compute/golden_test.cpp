// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "compute/equalize.hpp"
#include "tests/support/naive_equalize.hpp"
#include "tests/support/naive_image.hpp"

namespace histod::compute {
namespace {

namespace fs = std::filesystem;
using test::NaiveImage;
using test::Texture;

std::string netpbm_of(const NaiveImage& image) {
  const bool narrow = image.format().depth_bits == 8;
  std::string file = (image.format().colors == 1 ? "P5\n" : "P6\n") + std::to_string(image.width()) + " " +
                     std::to_string(image.height()) + "\n" + (narrow ? "255\n" : "65535\n");
  for (const std::uint32_t sample : image.samples()) {
    if (!narrow) file.push_back(static_cast<char>(sample >> 8));
    file.push_back(static_cast<char>(sample & 0xff));
  }
  return file;
}

std::vector<std::uint32_t> raw_samples(const fs::path& path, unsigned depth) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::uint32_t> samples;
  for (std::size_t i = 0; i < bytes.size(); i += depth / 8) {
    std::uint32_t sample = static_cast<unsigned char>(bytes[i]);
    if (depth == 16) sample |= std::uint32_t{static_cast<unsigned char>(bytes[i + 1])} << 8;
    samples.push_back(sample);
  }
  return samples;
}

/// Images of which the real libraries have been asked, once for all tests.
class Golden : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string pattern = (fs::temp_directory_path() / "histod_golden_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const unsigned depth : {8u, 16u}) {
      for (const Texture texture : test::k_textures) {
        for (const auto& [width, height] : {std::pair{1u, 1u}, {37u, 23u}, {311u, 200u}}) {
          add(next_name(), naive_image(test::gray_format(depth), width, height, texture, 1u << depth, images_.size()));
        }
      }
      // 12 bits of 16, and values that fit a byte: vips ends its histogram there.
      add(next_name(), naive_image(test::gray_format(depth), 90, 80, Texture::narrow, 200, 600));
      if (depth == 16) add(next_name(), naive_image(test::gray_format(16), 90, 80, Texture::uniform, 4096, 601));
      for (const std::uint32_t level : {0u, 1u, 255u}) add_constant(next_name(), depth, level);
    }
    add("c1", naive_image(test::rgb_format(8), 301, 200, Texture::uniform, 256, 1));
    add("c2", naive_image(test::rgb_format(8), 57, 90, Texture::gradient, 256, 2));
    const std::string command =
        std::string(HISTOD_TEST_PYTHON) + " " + HISTOD_TEST_GOLDEN_SCRIPT + " " + folder_.string();
    const int status = std::system(command.c_str());
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << command << "\nneeds python3-pil, python3-numpy, libvips-tools";
  }
  static void TearDownTestSuite() {
    images_.clear();
    fs::remove_all(folder_);
  }

  static std::string next_name() { return "g" + std::to_string(images_.size()); }
  static void add(const std::string& name, NaiveImage image) {
    const char* extension = image.format().colors == 1 ? ".pgm" : ".ppm";
    std::ofstream(folder_ / (name + extension), std::ios::binary) << netpbm_of(image);
    images_.emplace(name, std::move(image));
  }
  static void add_constant(const std::string& name, unsigned depth, std::uint32_t level) {
    NaiveImage image(test::gray_format(depth), 12, 11);
    for (std::uint32_t i = 0; i < 132; ++i) image.set(i % 12, i / 12, 0, level);
    add(name, std::move(image));
  }

  /// Compares each gray image of the depth under `rule` with the library's file; how many there were.
  int compare(Rule rule, unsigned depth, const std::string& extension) {
    int compared = 0;
    for (const auto& [name, original] : images_) {
      if (original.format().colors != 1 || original.format().depth_bits != depth) continue;
      NaiveImage image = original;
      EqualizePage page{.image = image.view()};
      EXPECT_TRUE(equalize(std::span(&page, 1), {.rule = rule}, arena_));
      EXPECT_EQ(image.samples(), raw_samples(folder_ / (name + extension), depth))
          << name << " " << image.width() << "x" << image.height() << " of " << original.get(0, 0);
      ++compared;
    }
    return compared;
  }

  Arena arena_{{.cpus = {}, .threads = 2}};
  static inline fs::path folder_;
  static inline std::map<std::string, NaiveImage> images_;
};

TEST_F(Golden, PillowIsImageOpsEqualize) { EXPECT_GE(compare(Rule::pillow, 8, ".pillow"), 20); }
TEST_F(Golden, VipsIsHistEqualAt8Bit) { EXPECT_GE(compare(Rule::vips, 8, ".vips"), 20); }
TEST_F(Golden, VipsIsHistEqualAt16Bit) { EXPECT_GE(compare(Rule::vips, 16, ".vips"), 20); }
TEST_F(Golden, ReferenceIsTheMaskedArrayOfNumpy) { EXPECT_GE(compare(Rule::reference, 8, ".reference"), 20); }

TEST_F(Golden, GrayUnderReferenceIsPillowsL) {
  for (const std::string name : {"c1", "c2"}) {
    NaiveImage image = images_.at(name);
    const std::vector<std::uint32_t> gray = raw_samples(folder_ / (name + ".gray"), 8);
    EqualizePage page{.image = image.view()};
    const auto report = equalize(std::span(&page, 1), {.rule = Rule::reference, .color = Color::gray}, arena_);
    ASSERT_TRUE(report);
    std::vector<std::uint32_t> expected;
    for (const std::uint32_t sample : gray) expected.push_back(report->planes[0].lut[sample]);
    EXPECT_EQ(test::samples_of(page.image), expected);
    std::vector<std::uint64_t> counts(256);
    for (const std::uint32_t sample : gray) ++counts[sample];
    EXPECT_TRUE(std::equal(counts.begin(), counts.end(), report->planes[0].before.counts().begin()));
  }
}

}  // namespace
}  // namespace histod::compute
