// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "compute/codec/netpbm_header.hpp"

namespace histod::compute::codec::netpbm {
namespace {

bool is_netpbm(FileFormat format) {
  return format == FileFormat::pgm || format == FileFormat::ppm || format == FileFormat::pam;
}

FileFormat format_of(char kind) {
  if (kind == '7') return FileFormat::pam;
  return kind == '3' || kind == '6' ? FileFormat::ppm : FileFormat::pgm;
}

Result<void> check_raster(Bytes file, const Header& header, const PageInfo& page) {
  const std::size_t have_bytes = file.size() - header.data_offset;
  const std::size_t samples = std::size_t{page.width} * page.height * header.channels;
  // The shortest ASCII raster: one digit for each sample, and one blank between two.
  const std::size_t need_bytes = header.ascii() ? 2 * samples - 1 : samples * header.sample_bytes();
  if (have_bytes < need_bytes)
    return fail(Errc::truncated, "bytes of the raster that are there", have_bytes, need_bytes);
  if (header.ascii()) return {};
  const Bytes rest = file.subspan(header.data_offset + need_bytes);
  if (sniff(rest).has_value()) return fail(Errc::unsupported_feature, "the file holds more than one netpbm image");
  return {};
}

Result<void> check_range(const ImageView& page, std::uint32_t maxval) {
  const std::size_t samples = std::size_t{page.width} * page.height * page.format.channels();
  std::uint32_t largest = 0;
  if (page.format.depth_bits == 8) {
    for (std::size_t i = 0; i < samples; ++i) largest = std::max(largest, std::to_integer<std::uint32_t>(page.data[i]));
  } else {
    const auto* values = reinterpret_cast<const std::uint16_t*>(page.data);
    for (std::size_t i = 0; i < samples; ++i) largest = std::max<std::uint32_t>(largest, values[i]);
  }
  if (largest > maxval) return fail(Errc::corrupt, "a sample is above the maxval of the file", largest, maxval);
  return {};
}

Result<void> decode_ascii(Bytes file, const Header& header, const ImageView& page) {
  const std::string_view text = as_text(file);
  std::size_t at = header.data_offset;
  const std::size_t samples = std::size_t{page.width} * page.height * header.channels;
  for (std::size_t i = 0; i < samples; ++i) {
    while (at < text.size() && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r'))) ++at;
    if (at == text.size()) return fail(Errc::truncated, "samples of the raster that are there", i, samples);
    std::uint32_t value = 0;
    const std::size_t begin = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && value <= 65535; ++at)
      value = value * 10 + static_cast<std::uint32_t>(text[at] - '0');
    if (at == begin || value > header.maxval)
      return fail(Errc::corrupt, "the raster has something other than a number up to maxval", value, header.maxval);
    if (page.format.depth_bits == 8)
      page.data[i] = static_cast<std::byte>(value);
    else
      reinterpret_cast<std::uint16_t*>(page.data)[i] = static_cast<std::uint16_t>(value);
  }
  return {};
}

void append_line(std::string& header, std::string_view word, std::string_view value) {
  header.append(word).append(" ").append(value).append("\n");
}

std::string tuple_type(const Image& image, const PixelFormat& pixel) {
  if (image.info.format == FileFormat::pam && pixel == image.info.pages[0].format) {
    const auto header = read_header(image.file);
    if (header) return std::string(header->tuple_type);
  }
  if (pixel.colors != 1 && pixel.colors != 3) return {};
  return std::string(pixel.colors == 1 ? "GRAYSCALE" : "RGB") + (pixel.alpha ? "_ALPHA" : "");
}

std::uint32_t output_maxval(const Image& image, const PixelFormat& pixel) {
  const std::uint32_t levels = image.info.pages[main_page(image.info)].levels;
  return levels > 1 && is_netpbm(image.info.format) ? levels - 1 : pixel.bins() - 1;
}

std::string header_text(const Image& image, const ImageView& page, FileFormat format) {
  const std::string maxval = std::to_string(output_maxval(image, page.format));
  std::string text = format == FileFormat::pgm ? "P5\n" : format == FileFormat::ppm ? "P6\n" : "P7\n";
  if (is_netpbm(image.info.format)) {
    if (const auto source = read_header(image.file))
      for (const std::string_view comment : source->comments) text.append(comment).append("\n");
  }
  if (format != FileFormat::pam)
    return text + std::to_string(page.width) + " " + std::to_string(page.height) + "\n" + maxval + "\n";
  append_line(text, "WIDTH", std::to_string(page.width));
  append_line(text, "HEIGHT", std::to_string(page.height));
  append_line(text, "DEPTH", std::to_string(page.format.channels()));
  append_line(text, "MAXVAL", maxval);
  if (const std::string type = tuple_type(image, page.format); !type.empty()) append_line(text, "TUPLTYPE", type);
  return text + "ENDHDR\n";
}

}  // namespace

Result<FileInfo> probe(Bytes file, const Limits& limits, FileInfo used) {
  const auto header = read_header(file);
  if (!header) return std::unexpected(header.error());
  LimitCheck check(limits, file.size());
  std::uint64_t comment_bytes = header->tuple_type.size();
  for (const std::string_view comment : header->comments) comment_bytes += comment.size() + 1;
  if (auto done = check.add_ancillary(comment_bytes); !done) return std::unexpected(done.error());
  FileInfo info = emptied(std::move(used), format_of(header->kind));
  info.pages.push_back({.width = header->width,
                        .height = header->height,
                        .format = header->pixel_format(),
                        .levels = header->maxval == 255 || header->maxval == 65535 ? 0 : header->maxval + 1});
  if (auto done = check.add_page(info.pages[0], info.pages[0].pixel_bytes()); !done)
    return std::unexpected(done.error());
  if (auto done = check_raster(file, *header, info.pages[0]); !done) return std::unexpected(done.error());
  lay_out(info);
  info.scratch_bytes = 4 * comment_bytes + 64 * header->comments.size() + 4096;
  const bool swapped = header->sample_bytes() == 2 && std::endian::native != std::endian::big;
  if (!header->ascii()) info.rasters.push_back({header->data_offset, swapped});
  return info;
}

Result<void> decode(Bytes file, const FileInfo& info, std::span<const ImageView> pages) {
  const auto header = read_header(file);
  if (!header) return std::unexpected(header.error());
  const ImageView& page = pages[0];
  if (header->width != page.width || header->height != page.height || header->pixel_format() != info.pages[0].format)
    return fail(Errc::corrupt, "the file is not the one that was probed");
  if (header->ascii()) return decode_ascii(file, *header, page);
  const std::byte* raster = file.data() + header->data_offset;
  const std::size_t bytes = info.pages[0].pixel_bytes();
  if (header->sample_bytes() == 2)
    copy_swapped16(page.data, raster, bytes / 2);
  else
    std::memcpy(page.data, raster, bytes);
  return header->maxval == 255 || header->maxval == 65535 ? Result<void>{} : check_range(page, header->maxval);
}

std::size_t encoded_bytes_max(const Image& image, FileFormat format) {
  const ImageView& page = image.pages[main_page(image.info)];
  return header_text(image, page, format).size() + page.height * page.row_bytes();
}

Result<std::size_t> encode(const Image& image, FileFormat format, std::span<std::byte> out) {
  const ImageView& page = image.pages[main_page(image.info)];
  Output output(out);
  output.put(header_text(image, page, format));
  FullDepthRows rows(page, output_maxval(image, page.format) + 1 == page.format.bins()
                               ? image.info.pages[main_page(image.info)].levels
                               : 0);
  for (std::uint32_t y = 0; y < page.height; ++y) {
    std::byte* to = output.take(page.row_bytes());
    if (to == nullptr) return output_full(out.size());
    if (page.format.depth_bits == 16)
      copy_swapped16(to, rows.row(y), page.row_bytes() / 2);
    else
      std::memcpy(to, rows.row(y), page.row_bytes());
  }
  if (output.full()) return output_full(out.size());
  return output.size();
}

}  // namespace histod::compute::codec::netpbm
