// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/codec.hpp"

#include <string>

#include "compute/codec/internal.hpp"

namespace histod::compute::codec {
namespace {

std::unexpected<Error> misfit(FileFormat format, std::string_view why, std::uint64_t value, std::uint64_t limit = 0) {
  return fail(Errc::bad_option, std::string(name(format)) + " " + std::string(why), value, limit);
}

Result<void> check_pages(const FileInfo& info, FileFormat format) {
  std::size_t images = 0;
  std::size_t masks = 0;
  for (const PageInfo& page : info.pages) {
    images += page.role == PageRole::image;
    masks += page.role == PageRole::mask;
  }
  if (images > 1) return misfit(format, "holds one page, and the image has more", images, 1);
  if (masks > 0) return misfit(format, "cannot hold the mask pages of the image", masks);
  return {};
}

Result<void> check_format(const PixelFormat& pixel, FileFormat format) {
  const bool gray_or_rgb = pixel.colors == 1 || pixel.colors == 3;
  const bool one_alpha = pixel.extras == 0 || (pixel.extras == 1 && pixel.alpha);
  if (format == FileFormat::pgm && pixel.colors != 1)
    return misfit(format, "holds gray images only, and this one has more colours", pixel.colors, 1);
  if (format == FileFormat::ppm && pixel.colors != 3)
    return misfit(format, "holds RGB images only, and this one has another number of colours", pixel.colors, 3);
  if ((format == FileFormat::pgm || format == FileFormat::ppm || format == FileFormat::jpeg) && pixel.extras > 0)
    return misfit(format, "cannot hold alpha or other extra samples", pixel.extras);
  if (format == FileFormat::jpeg && pixel.depth_bits != 8)
    return misfit(format, "holds 8 bits for each sample, and this image has more", pixel.depth_bits, 8);
  if ((format == FileFormat::jpeg || format == FileFormat::png) && !gray_or_rgb)
    return misfit(format, "holds gray or RGB images, and this one has another number of bands", pixel.colors, 3);
  if (format == FileFormat::png && !one_alpha)
    return misfit(format, "cannot hold extra samples other than one alpha", pixel.extras, 1);
  return {};
}

}  // namespace

Result<FileInfo> probe(std::span<const std::byte> file, const Limits& limits, const DecodeOptions& options,
                       FileInfo used) {
  const std::optional<FileFormat> format = sniff(file);
  if (!format) return fail(Errc::unknown_format, "the first bytes are those of no image format that is taken here");
  switch (*format) {
    case FileFormat::png:
      return png::probe(file, limits);
    case FileFormat::jpeg:
      return jpeg::probe(file, limits, options);
    case FileFormat::tiff:
      return tiff::probe(file, limits, std::move(used));
    default:
      return netpbm::probe(file, limits, std::move(used));
  }
}

Result<Image> decode(std::span<const std::byte> file, const FileInfo& info, std::span<std::byte> pixels,
                     const Limits& limits, Arena& arena) {
  assert(pixels.size() >= info.pixel_bytes);
  assert(reinterpret_cast<std::uintptr_t>(pixels.data()) % k_page_alignment_bytes == 0);
  Image image{.info = info, .file = file, .pages = page_views(info, pixels)};
  Result<void> done;
  switch (info.format) {
    case FileFormat::png:
      done = png::decode(file, info, image.pages, limits, arena);
      break;
    case FileFormat::jpeg:
      done = jpeg::decode(image, limits, arena);
      break;
    case FileFormat::tiff:
      done = tiff::decode(file, info, image.pages, limits, arena);
      break;
    default:
      done = netpbm::decode(file, info, image.pages);
      break;
  }
  if (!done) return std::unexpected(std::move(done.error()));
  return image;
}

Result<void> check_encodable(const FileInfo& info, std::span<const ImageView> pages, FileFormat format) {
  if (info.options.jpeg_luma_plane && format != FileFormat::jpeg)
    return fail(Errc::bad_option, "the luma plane of a JPEG can only be written as a JPEG again");
  if (format == FileFormat::tiff) return {};
  if (auto fits = check_pages(info, format); !fits) return fits;
  const std::size_t main = main_page(info);
  return main < pages.size() ? check_format(pages[main].format, format) : Result<void>{};
}

std::size_t encoded_bytes_max(const Image& image, const EncodeOptions& options) {
  switch (options.format) {
    case FileFormat::png:
      return png::encoded_bytes_max(image, options);
    case FileFormat::jpeg:
      return jpeg::encoded_bytes_max(image, options);
    case FileFormat::tiff:
      return tiff::encoded_bytes_max(image);
    default:
      return netpbm::encoded_bytes_max(image, options.format);
  }
}

Result<std::size_t> encode(const Image& image, const EncodeOptions& options, std::span<std::byte> out, Arena& arena,
                           const Grown& grown) {
  if (auto fits = check_encodable(image.info, image.pages, options.format); !fits)
    return std::unexpected(std::move(fits.error()));
  if (options.quality && (*options.quality < 1 || *options.quality > 100))
    return fail(Errc::bad_option, "quality is not between 1 and 100", static_cast<std::uint64_t>(*options.quality),
                100);
  switch (options.format) {
    case FileFormat::png:
      return png::encode(image, options, out, arena, grown);
    case FileFormat::jpeg:
      return jpeg::encode(image, options, out, arena, grown);
    case FileFormat::tiff:
      return tiff::encode(image, out, arena);
    default:
      return netpbm::encode(image, options.format, out);
  }
}

}  // namespace histod::compute::codec
