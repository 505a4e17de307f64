// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"
#include "tests/support/counted_malloc.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;

Raster noisy(std::uint32_t width, std::uint32_t height, unsigned channels) {
  Raster raster{width, height, channels, 8, {}};
  std::mt19937 random(width);
  for (std::size_t i = 0; i < std::size_t{width} * height * channels; ++i)
    raster.samples.push_back(static_cast<std::uint16_t>(i / 3 % 200 + random() % 50));
  return raster;
}

struct Kind {
  unsigned channels;
  JpegSpec spec;
  std::uint32_t width, height;
};
void PrintTo(const Kind& k, std::ostream* out) {
  *out << k.channels << " components " << k.spec.h << "x" << k.spec.v << (k.spec.progressive ? " progressive " : " ")
       << k.width << "x" << k.height << " restart " << k.spec.restart_rows;
}

class JpegMemory : public testing::TestWithParam<Kind> {};

TEST_P(JpegMemory, is_what_probe_promised) {
  if (HISTOD_OWN_MALLOC == 0) GTEST_SKIP() << "a sanitizer has malloc";
  const FileBytes file = jpeg_file(noisy(GetParam().width, GetParam().height, GetParam().channels), GetParam().spec);
  compute::Arena arena({.cpus = {}, .threads = 4});
  arena.parallel_for(64, 1, [](std::size_t, std::size_t) {});  // what TBB allocates once is not an image's
  for (const bool luma : {false, true}) {
    const auto info = codec::probe(file, {}, {.jpeg_luma_plane = luma});
    ASSERT_TRUE(info.has_value());
    const std::unique_ptr<std::byte, decltype(&std::free)> pixels(
        static_cast<std::byte*>(std::aligned_alloc(64, (info->pixel_bytes + 63) / 64 * 64)), std::free);
    FileBytes out;
    const std::size_t before = in_use;
    most = before;
    const auto image = codec::decode(file, *info, {pixels.get(), info->pixel_bytes}, {}, arena);
    ASSERT_TRUE(image.has_value());
    EXPECT_LE(most - before, info->scratch_bytes) << "decode";
    const codec::EncodeOptions options{.format = FileFormat::jpeg, .quality = {}};
    const std::size_t kept = in_use - before;
    out.resize(codec::encoded_bytes_max(*image, options));
    const std::size_t again = in_use - kept;
    most = in_use.load();
    ASSERT_TRUE(codec::encode(*image, options, out, arena).has_value());
    EXPECT_LE(most - again, info->scratch_bytes) << "encode";
    EXPECT_GT(most - again, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, JpegMemory,
    testing::Values(Kind{1, {}, 1600, 1200}, Kind{1, {}, 33, 20000}, Kind{1, {.restart_rows = 1}, 9, 20000},
                    Kind{1, {.progressive = true}, 1600, 1200}, Kind{3, {.h = 1, .v = 1}, 1600, 1200},
                    Kind{3, {.h = 2, .v = 1}, 1600, 1200}, Kind{3, {.h = 2, .v = 2}, 1600, 1200},
                    Kind{3, {.h = 2, .v = 2}, 12000, 100}, Kind{3, {.h = 2, .v = 2, .restart_rows = 1}, 17, 20000},
                    Kind{3, {.h = 4, .v = 2}, 1600, 1200}, Kind{3, {.h = 2, .v = 2, .progressive = true}, 1600, 1200},
                    Kind{3, {.h = 1, .v = 1, .rgb = true}, 1600, 1200}, Kind{3, {.h = 1, .v = 1}, 16, 16}));

}  // namespace
}  // namespace histod::test
