// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "compute/arena.hpp"
#include "compute/error.hpp"
#include "compute/pixels.hpp"

/// Image files to pixels and back. All functions are pure: bytes in, bytes out, no files, no globals, no logging.
/// The order of calls is sniff -> probe -> decode -> (equalize) -> encode; the caller owns all large memory, whose
/// sizes probe() and encoded_bytes_max() tell from the declared headers, so that limits hold before anything is
/// allocated.
namespace histod::compute::codec {

enum class FileFormat : std::uint8_t { pgm, ppm, pam, png, jpeg, tiff };

std::string_view name(FileFormat format);                           ///< "png"
std::string_view media_type(FileFormat format);                     ///< "image/png"
std::string_view extension(FileFormat format);                      ///< "png", "jpg", "tif", ...
std::optional<FileFormat> format_from_name(std::string_view name);  ///< names and extensions, any case

/// By the first bytes only; never by a name or a declared type.
std::optional<FileFormat> sniff(std::span<const std::byte> file);

struct Limits {
  std::uint64_t pixels = 200'000'000;  ///< summed over all pages
  std::uint32_t dimension = 65'500;    ///< width or height
  std::uint32_t pages = 1'000;
  std::uint64_t decoded_bytes = 2ull << 30;
  std::uint64_t ratio = 1'100;  ///< decoded bytes per file byte (deflate itself cannot exceed 1 032)
  std::uint32_t jpeg_scans = 500;
  std::uint64_t ancillary_bytes = 16u << 20;  ///< ICC + EXIF + text + tags, summed
};

enum class PageRole : std::uint8_t { image, overview, mask };

struct PageInfo {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  PixelFormat format{};      ///< what decode() delivers (palette and 1-4 bit expanded to 8 bit, tRNS to alpha)
  std::uint32_t levels = 0;  ///< L that the file declares (netpbm maxval + 1); 0: the whole depth
  PageRole role = PageRole::image;
  std::optional<double> nodata{};  ///< GDAL_NODATA where the file has one
  std::size_t pixel_bytes() const { return std::size_t{width} * height * format.bytes_per_pixel(); }
};

struct DecodeOptions {
  /// For a YCbCr JPEG: deliver its own Y plane as one gray page (luma equalization needs no more); encode() to JPEG
  /// then keeps the file's chroma coefficients. Ignored by the other formats and by gray JPEGs.
  bool jpeg_luma_plane = false;
};

/// Samples that lie in the file as they do in memory: rows of the page's format, one behind the other.
struct Raster {
  std::size_t offset = 0;
  bool swapped = false;  ///< 16-bit samples are not in host order
};

struct FileInfo {
  FileFormat format = FileFormat::pgm;
  std::vector<PageInfo> pages{};
  /// One for each page of an uncompressed file whose container stays true whatever its samples are: see raster.hpp.
  /// Empty: it must be decoded.
  std::vector<Raster> rasters{};
  DecodeOptions options{};        ///< what probe() was asked for
  std::size_t pixel_bytes = 0;    ///< bytes that decode() needs for all pages, each page 64-byte aligned
  std::size_t scratch_bytes = 0;  ///< further memory that decode() and encode() take from malloc, at most
};

/// Reads headers and directories only, and checks every limit. Allocates O(pages), and uses what memory `used` has.
Result<FileInfo> probe(std::span<const std::byte> file, const Limits& limits, const DecodeOptions& options = {},
                       FileInfo used = {});

/// What a codec keeps between decode() and encode(); counted in FileInfo::scratch_bytes.
struct Kept {
  virtual ~Kept() = default;
};

/// Decoded pixels, plus what is needed to write the file again with its metadata. Does not own `file` or pixels: both
/// must outlive it. Move-only.
struct Image {
  FileInfo info;
  std::span<const std::byte> file;  ///< the encoded input: encode() copies its metadata from here
  std::vector<ImageView> pages;     ///< views into the caller's pixel memory; equalize() may rewrite their format
  std::unique_ptr<Kept> kept{};
};

/// `pixels` holds at least info.pixel_bytes and is 64-byte aligned. `info` must come from probe() of the same bytes.
/// Errors: truncated, corrupt, unsupported_feature, limits that only show while decoding (scans, ratio).
Result<Image> decode(std::span<const std::byte> file, const FileInfo& info, std::span<std::byte> pixels,
                     const Limits& limits, Arena& arena);

struct EncodeOptions {
  FileFormat format = FileFormat::png;
  /// JPEG, 1..100; empty: the input's own quantization tables when it is a JPEG, else 90.
  std::optional<int> quality;
  bool png_small = false;  ///< PNG: as small as can be rather than at once
};

/// Whether `format` can hold what `pages` are (JPEG: 8 bit, gray or RGB, no alpha, one page; PNG and netpbm: one page;
/// ...). Errc::bad_option with a sentence that says what does not fit, for `format=` chosen by the caller.
Result<void> check_encodable(const FileInfo& info, std::span<const ImageView> pages, FileFormat format);

/// An upper bound of the encoded size, metadata included.
std::size_t encoded_bytes_max(const Image& image, const EncodeOptions& options);

/// Told now and then while a file is made: how many of its first bytes are as they will stay. The number grows from
/// call to call; the calls come from the arena's threads, one after the other, and the last of them before the whole
/// file.
using Grown = std::function<void(std::size_t bytes)>;

/// Writes the file into `out` and returns its length. Same format as the input: all metadata are kept (stale statistics
/// dropped); another format: ICC profile, EXIF, XMP and resolution where it can hold them. `grown`, where there is one,
/// is told of PNG and JPEG files that are made in several bands; the others are not as they stay before they are whole.
Result<std::size_t> encode(const Image& image, const EncodeOptions& options, std::span<std::byte> out, Arena& arena,
                           const Grown& grown = {});

}  // namespace histod::compute::codec
