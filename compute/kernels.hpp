// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "compute/error.hpp"

namespace histod::compute {

/// A weighted sum of red, green and blue in fixed point: (r*R + g*G + b*B + half) >> shift. r + g + b == 1 << shift,
/// so that gray stays as it is; shift <= 16, g / 2 < 32768.
struct LumaWeights {
  std::uint32_t r, g, b, shift;
};
inline constexpr LumaWeights k_luma_ycrcb{4899, 9617, 1868, 14};     ///< OpenCV's RGB2YCrCb
inline constexpr LumaWeights k_luma_gray{9798, 19235, 3735, 15};     ///< OpenCV's RGB2GRAY
inline constexpr LumaWeights k_luma_pillow{19595, 38470, 7471, 16};  ///< Pillow's convert("L")

/// Entries that a caller of count_u8 provides: four tables of 256, to be summed at the end.
inline constexpr std::size_t k_count_tables_u8 = 4 * 256;
inline constexpr std::size_t k_count_tables_u16 = 65536;
/// Entries of count_pairs_u8: one for each pair of neighbours, the first of them in the low byte of the index.
inline constexpr std::size_t k_count_pairs_u8 = 65536;
/// count_pairs_u8 may take turns between so many places of a block.
inline constexpr std::size_t k_pair_block = 2048;
inline constexpr std::size_t k_pair_streams = 8;

/// The loops over samples, once for each instruction set; all give the same bytes. Nothing is aligned but to its
/// sample, n may be 0, and nothing beyond n samples is read or written. `step` is samples a pixel: >= 2 where there is
/// a `channel`, else >= 3. Input and output of apply may be the same pointer. Counts are added to what the tables hold:
/// fewer than 2^32 samples in all.
struct Kernels {
  std::string_view isa;
  void (*count_u8)(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables);
  /// Counts n / 2 pairs; n is even. Half the work of count_u8 where neighbours are near each other but not the same, as
  /// in photographs; but the table must be cleared and folded, which costs as much as counting some 60 000 samples.
  void (*count_pairs_u8)(const std::uint8_t* samples, std::size_t n, std::uint32_t* table);
  /// Half of the samples as count_u8 does, the others as pairs: the one waits for stores, the other for the cache. The
  /// faster way for noise and for images that repeat themselves.
  void (*count_mixed_u8)(const std::uint8_t* samples, std::size_t n, std::uint32_t* tables, std::uint32_t* pairs);
  /// The three channels of n packed pixels, each into its own four tables.
  void (*count_rgb_u8)(const std::uint8_t* pixels, std::size_t n, std::uint32_t* const* tables);
  void (*count_u16)(const std::uint16_t* samples, std::size_t n, std::uint32_t* table);
  void (*apply_u8)(const std::uint8_t* in, std::uint8_t* out, std::size_t n, const std::uint8_t* lut);
  void (*apply_u16)(const std::uint16_t* in, std::uint16_t* out, std::size_t n, const std::uint16_t* lut);
  /// One channel of n pixels, from between the others.
  void (*pick_u8)(const std::uint8_t* pixels, std::size_t step, std::size_t channel, std::size_t n, std::uint8_t* out);
  void (*pick_u16)(const std::uint16_t* pixels, std::size_t step, std::size_t channel, std::size_t n,
                   std::uint16_t* out);
  /// All channels, out[c] being n samples of channel c, and back.
  void (*split_u8)(const std::uint8_t* pixels, std::size_t step, std::size_t n, std::uint8_t* const* out);
  void (*split_u16)(const std::uint16_t* pixels, std::size_t step, std::size_t n, std::uint16_t* const* out);
  void (*join_u8)(const std::uint8_t* const* in, std::size_t step, std::size_t n, std::uint8_t* pixels);
  void (*join_u16)(const std::uint16_t* const* in, std::size_t step, std::size_t n, std::uint16_t* pixels);
  /// CLAHE between four tables: entry v holds the upper left, upper right, lower left and lower right table's value for
  /// sample v, from the lowest bits up. `right` has a weight for each sample, `below` is the row's; both within [0, 1].
  /// float32, no fused operations, and the result rounded half to even and at most the largest sample, as in OpenCV.
  void (*blend_u8)(const std::uint8_t* in, std::uint8_t* out, std::size_t n, const std::uint32_t* tables,
                   const float* right, float below);
  void (*blend_u16)(const std::uint16_t* in, std::uint16_t* out, std::size_t n, const std::uint64_t* tables,
                    const float* right, float below);
  void (*luma_u8)(const std::uint8_t* pixels, std::size_t step, std::size_t n, const LumaWeights& weights,
                  std::uint8_t* out);
  void (*luma_u16)(const std::uint16_t* pixels, std::size_t step, std::size_t n, const LumaWeights& weights,
                   std::uint16_t* out);
  /// Adds to[i] - from[i] to the three colors of pixel i, saturating at 0 and `top`.
  void (*shift_u8)(std::uint8_t* pixels, std::size_t step, std::size_t n, const std::uint8_t* from,
                   const std::uint8_t* to, std::uint8_t top);
  void (*shift_u16)(std::uint16_t* pixels, std::size_t step, std::size_t n, const std::uint16_t* from,
                    const std::uint16_t* to, std::uint16_t top);
  /// Copies the samples whose `keep` is not 0, in order; returns how many. `out` has room for n.
  std::size_t (*compact_u8)(const std::uint8_t* in, const std::uint8_t* keep, std::size_t n, std::uint8_t* out);
  std::size_t (*compact_u16)(const std::uint16_t* in, const std::uint8_t* keep, std::size_t n, std::uint16_t* out);
  /// The Y samples of n pgroups of video (compute/video/packed.hpp): Cb Y Cr Y, in four bytes at 8 bits and in five at
  /// 10. Counted into four tables of 256, or of 1024; a table's entries are samples of the depth.
  void (*count_uyvy_u8)(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables);
  void (*count_uyvy_u10)(const std::uint8_t* groups, std::size_t n, std::uint32_t* tables);
  void (*apply_uyvy_u8)(std::uint8_t* groups, std::size_t n, const std::uint8_t* lut);
  void (*apply_uyvy_u10)(std::uint8_t* groups, std::size_t n, const std::uint16_t* lut);
};

/// The tables that this CPU can run, plainest first.
std::span<const Kernels* const> available_kernels();

/// The table that is named ("scalar", "avx2"), or the best one for an empty name. Errc::bad_option for a name that is
/// unknown or that this CPU lacks. The caller knows where the name comes from (HISTOD_ISA, say): nothing is read here.
std::expected<const Kernels*, Error> select_kernels(std::string_view forced);

/// The process-wide choice: the best table until set_kernels() says otherwise. Both are thread-safe.
const Kernels& kernels();
void set_kernels(const Kernels& chosen);

const Kernels& scalar_kernels();
const Kernels& avx2_kernels();  ///< to be run only where available_kernels() has it

}  // namespace histod::compute
