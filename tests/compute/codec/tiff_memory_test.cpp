// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/compute/codec/codec_run.hpp"
#include "tests/support/counted_malloc.hpp"

namespace histod::test {
namespace {

using codec::FileFormat;

class TiffMemory : public testing::TestWithParam<TiffSpec> {};

TEST_P(TiffMemory, is_what_probe_promised) {
  if (HISTOD_OWN_MALLOC == 0) GTEST_SKIP() << "a sanitizer has malloc";
  const FileBytes file = tiff_file({{make_raster(1500, 1100, 3, 8), GetParam()}});
  for (const unsigned threads : {1u, 4u}) {
    compute::Arena arena({.cpus = {}, .threads = threads});
    arena.parallel_for(64, 1, [](std::size_t, std::size_t) {});  // what TBB allocates once is not an image's
    const auto info = codec::probe(file, {});
    ASSERT_TRUE(info.has_value());
    const std::unique_ptr<std::byte, decltype(&std::free)> pixels(
        static_cast<std::byte*>(std::aligned_alloc(64, (info->pixel_bytes + 63) / 64 * 64)), std::free);
    const std::size_t before = in_use;
    most = before;
    const auto image = codec::decode(file, *info, {pixels.get(), info->pixel_bytes}, {}, arena);
    ASSERT_TRUE(image.has_value());
    EXPECT_LE(most - before, info->scratch_bytes) << "decode, " << threads << " threads";
    const codec::EncodeOptions options{.format = FileFormat::tiff, .quality = {}};
    FileBytes out(codec::encoded_bytes_max(*image, options));
    const std::size_t again = in_use;
    most = again;
    ASSERT_TRUE(codec::encode(*image, options, out, arena).has_value());
    EXPECT_LE(most - again, info->scratch_bytes) << "encode, " << threads << " threads";
    EXPECT_LT(most - again, info->pixel_bytes / 4) << "nothing that grows with the image";
  }
}

TiffSpec kind(unsigned compression, unsigned tile, unsigned rows, bool separate = false, bool big = false) {
  return {.photometric = 2,
          .compression = compression,
          .predictor = compression == 8 && rows % 2 == 0 ? 2u : 1u,
          .separate = separate,
          .tile = tile,
          .rows_per_strip = rows,
          .big_tiff = big};
}

INSTANTIATE_TEST_SUITE_P(Kinds, TiffMemory,
                         testing::Values(kind(1, 256, 0), kind(1, 0, 1, true, true), kind(5, 0, 64), kind(5, 0, 1),
                                         kind(5, 16, 0, true), kind(8, 0, 64), kind(8, 256, 0), kind(8, 0, 1),
                                         kind(8, 0, 0), kind(8, 1024, 0, true), kind(32773, 0, 32),
                                         kind(32773, 16, 0, false, true)));

/// The output's memory holds a slot for each chunk, but no workspace for each.
TEST(TiffMemory, of_the_output_is_a_few_chunks_more_than_the_chunks) {
  for (const unsigned compression : {5u, 8u, 32773u}) {
    CodecRun run(tiff_file({{make_raster(4000, 3000, 1, 8), {.compression = compression, .rows_per_strip = 16}}}));
    ASSERT_TRUE(run.decoded());
    EXPECT_LT(codec::encoded_bytes_max(run.image(), {.format = FileFormat::tiff, .quality = {}}),
              12'000'000u * 2 + (24u << 20));
  }
}

}  // namespace
}  // namespace histod::test
