// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compute/codec/bytes.hpp"
#include "compute/codec/codec.hpp"

/// What the codecs share with one another and with codec.cpp; private to this folder.
namespace histod::compute::codec {

/// Adds up what the headers declare, and stops at the first limit that is passed.
class LimitCheck {
 public:
  LimitCheck(const Limits& limits, std::size_t file_bytes) : limits_(limits), file_bytes_(file_bytes) {}

  /// `stored_bytes` is what the compressor of the file unfolds to. The ratio is that of the compressor alone: the
  /// expansion of 1-bit samples or of a palette is no sign of a bomb, and the other limits bound it.
  Result<void> add_page(const PageInfo& page, std::uint64_t stored_bytes);
  Result<void> add_ancillary(std::uint64_t bytes);
  Result<void> scans(std::uint64_t count) const;

 private:
  const Limits& limits_;
  std::uint64_t file_bytes_;
  std::uint64_t pages_ = 0;
  std::uint64_t pixels_ = 0;
  std::uint64_t decoded_bytes_ = 0;
  std::uint64_t stored_bytes_ = 0;
  std::uint64_t ancillary_bytes_ = 0;
};

constexpr std::size_t k_page_alignment_bytes = 64;

/// Fills info.pixel_bytes from info.pages.
void lay_out(FileInfo& info);
/// One view for each page in `pixels`, as lay_out() placed them.
std::vector<ImageView> page_views(const FileInfo& info, std::span<std::byte> pixels);

struct Resolution {
  double x_per_meter = 0;
  double y_per_meter = 0;
};

/// Metadata in the form that all formats share; what a conversion carries over.
struct Metadata {
  std::vector<std::byte> icc;
  std::vector<std::byte> exif;  ///< a TIFF structure, without "Exif\0\0"
  std::vector<std::byte> xmp;   ///< the packet, without a prefix
  std::optional<Resolution> resolution;
  unsigned orientation = 0;  ///< TIFF tag 274; 0: not known (an EXIF block may still say it)
};

constexpr std::size_t k_converted_block_bytes_max = 16u << 20;  ///< a larger ICC, EXIF or XMP is not carried over

/// Orientation in an EXIF block; 0 when it has none.
unsigned exif_orientation(Bytes exif);
/// An EXIF block that says the orientation and nothing else.
std::vector<std::byte> orientation_exif(unsigned orientation);
/// Whether a profile is one for images of `colors` colours (PNG, TIFF and JPEG must not carry another).
bool icc_fits(Bytes icc, unsigned colors);
/// The metadata of `image.file` as a file of `colors` colours may carry them.
Metadata carried_metadata(const Image& image, unsigned colors);

/// The page that a format of one page holds: the first that is an image.
std::size_t main_page(const FileInfo& info);

/// Rows of a view whose values are stretched from the declared levels to the whole depth, for a format that cannot
/// declare levels. Costs nothing when there is nothing to stretch.
class FullDepthRows {
 public:
  FullDepthRows(const ImageView& view, std::uint32_t levels);
  const std::byte* row(std::uint32_t y);
  /// Writes the row to `to`; for several threads at once.
  void copy_row(std::uint32_t y, std::byte* to) const;

 private:
  const ImageView& view_;
  std::vector<std::uint16_t> table_;
  std::vector<std::byte> row_;
};

inline std::unexpected<Error> output_full(std::size_t capacity_bytes) {
  return fail(Errc::output_full, "the encoded image does not fit into the output memory", 0, capacity_bytes);
}

/// A FileInfo of that format in the memory of another.
FileInfo emptied(FileInfo used, FileFormat format);

namespace netpbm {
Result<FileInfo> probe(Bytes file, const Limits& limits, FileInfo used);
Result<void> decode(Bytes file, const FileInfo& info, std::span<const ImageView> pages);
std::size_t encoded_bytes_max(const Image& image, FileFormat format);
Result<std::size_t> encode(const Image& image, FileFormat format, std::span<std::byte> out);
}  // namespace netpbm

namespace png {
Result<FileInfo> probe(Bytes file, const Limits& limits);
/// Of a file of that size of which only the beginning is in. Errc::truncated: more of it must be; any other error: it
/// cannot be decoded in pieces, or not at all.
Result<FileInfo> probe_beginning(Bytes beginning, std::uint64_t file_bytes, const Limits& limits);
Result<void> decode(Bytes file, const FileInfo& info, std::span<const ImageView> pages, const Limits& limits,
                    Arena& arena);
std::size_t encoded_bytes_max(const Image& image, const EncodeOptions& options);
Result<std::size_t> encode(const Image& image, const EncodeOptions& options, std::span<std::byte> out, Arena& arena,
                           const Grown& grown);
Metadata metadata(Bytes file);
}  // namespace png

namespace jpeg {
Result<FileInfo> probe(Bytes file, const Limits& limits, const DecodeOptions& options);
Result<void> decode(Image& image, const Limits& limits, Arena& arena);
std::size_t encoded_bytes_max(const Image& image, const EncodeOptions& options);
Result<std::size_t> encode(const Image& image, const EncodeOptions& options, std::span<std::byte> out, Arena& arena,
                           const Grown& grown);
Metadata metadata(Bytes file);
}  // namespace jpeg

namespace tiff {
Result<FileInfo> probe(Bytes file, const Limits& limits, FileInfo used);
Result<void> decode(Bytes file, const FileInfo& info, std::span<const ImageView> pages, const Limits& limits,
                    Arena& arena);
std::size_t encoded_bytes_max(const Image& image);
Result<std::size_t> encode(const Image& image, std::span<std::byte> out, Arena& arena);
Metadata metadata(Bytes file);
}  // namespace tiff

}  // namespace histod::compute::codec
