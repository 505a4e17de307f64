// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/compute/codec/codec_run.hpp"

/// FileInfo::scratch_bytes is a promise to who counts memory: here all that is allocated is counted, by whomever.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HISTOD_OWN_MALLOC 0
#else
#define HISTOD_OWN_MALLOC 1
#endif

namespace {

std::atomic<std::size_t> in_use{0};
std::atomic<std::size_t> most{0};

[[maybe_unused]] void* counted(void* memory) {
  if (memory == nullptr) return memory;
  const std::size_t bytes = malloc_usable_size(memory);
  const std::size_t now = in_use.fetch_add(bytes) + bytes;
  std::size_t before = most.load();
  while (before < now && !most.compare_exchange_weak(before, now)) {
  }
  return memory;
}

}  // namespace

#if HISTOD_OWN_MALLOC
extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT(bugprone-reserved-identifier) the C library's own
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void*, std::size_t);         // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT(bugprone-reserved-identifier)
void __libc_free(void*);                          // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t bytes) { return counted(__libc_malloc(bytes)); }
void* calloc(std::size_t count, std::size_t bytes) { return counted(__libc_calloc(count, bytes)); }
void* memalign(std::size_t alignment, std::size_t bytes) { return counted(__libc_memalign(alignment, bytes)); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return counted(__libc_memalign(alignment, bytes)); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
  *memory = counted(__libc_memalign(alignment, bytes));
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  if (memory != nullptr) in_use -= malloc_usable_size(memory);
  __libc_free(memory);
}
void* realloc(void* memory, std::size_t bytes) {
  if (memory != nullptr) in_use -= malloc_usable_size(memory);
  return counted(__libc_realloc(memory, bytes));
}
}
#endif

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
