// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_encode.hpp"

#include <cmath>

#include "compute/codec/jpeg_bands.hpp"
#include "compute/codec/jpeg_size.hpp"
#include "compute/codec/parts.hpp"

namespace histod::compute::codec::jpeg {
namespace {

constexpr int k_default_quality = 90;
constexpr unsigned k_app1 = 0xE1;
constexpr unsigned k_app2 = 0xE2;
constexpr unsigned k_app14 = 0xEE;
constexpr std::size_t k_segment_bytes_max = 65533;
constexpr std::size_t k_icc_part_bytes = 65519;

OwnedSegment prefixed(unsigned marker, std::string_view prefix, Bytes data) {
  OwnedSegment segment{marker, {}, {}};
  const Bytes head = as_bytes(prefix);
  segment.made.assign(head.begin(), head.end());
  segment.made.insert(segment.made.end(), data.begin(), data.end());
  return segment;
}

void add_icc(std::vector<OwnedSegment>& segments, Bytes icc) {
  const std::size_t parts = (icc.size() + k_icc_part_bytes - 1) / k_icc_part_bytes;
  if (parts > 255) return;
  for (std::size_t i = 0; i < parts; ++i) {
    const Bytes part = icc.subspan(i * k_icc_part_bytes, std::min(k_icc_part_bytes, icc.size() - i * k_icc_part_bytes));
    const char numbers[2] = {static_cast<char>(i + 1), static_cast<char>(parts)};
    segments.push_back(prefixed(k_app2, std::string(k_icc_prefix) + std::string(numbers, 2), part));
  }
}

std::vector<OwnedSegment> converted_segments(const Image& image, const PixelFormat& pixel) {
  const Metadata metadata = carried_metadata(image, pixel.colors);
  std::vector<OwnedSegment> segments;
  if (!metadata.exif.empty() && metadata.exif.size() + k_exif_prefix.size() <= k_segment_bytes_max)
    segments.push_back(prefixed(k_app1, k_exif_prefix, metadata.exif));
  if (!metadata.xmp.empty() && metadata.xmp.size() + k_xmp_prefix.size() <= k_segment_bytes_max)
    segments.push_back(prefixed(k_app1, k_xmp_prefix, metadata.xmp));
  add_icc(segments, metadata.icc);
  return segments;
}

/// Tables and sampling factors of the input. Its file is open in `source`.
void keep_coding(jpeg_compress_struct& compress, const jpeg_decompress_struct& source) {
  for (int i = 0; i < compress.num_components; ++i) {
    jpeg_component_info& to = compress.comp_info[i];
    const jpeg_component_info& from = source.comp_info[i];
    to.h_samp_factor = compress.num_components == 1 ? 1 : from.h_samp_factor;
    to.v_samp_factor = compress.num_components == 1 ? 1 : from.v_samp_factor;
    const JQUANT_TBL* table = source.quant_tbl_ptrs[from.quant_tbl_no];
    if (table == nullptr) continue;
    JQUANT_TBL*& slot = compress.quant_tbl_ptrs[from.quant_tbl_no];
    if (slot == nullptr) slot = jpeg_alloc_quant_table(reinterpret_cast<j_common_ptr>(&compress));
    std::copy(std::begin(table->quantval), std::end(table->quantval), std::begin(slot->quantval));
    to.quant_tbl_no = from.quant_tbl_no;
  }
}

void write_rows(jpeg_compress_struct& compress, FullDepthRows& rows, std::uint32_t first) {
  while (compress.next_scanline < compress.image_height) {
    const std::byte* row = rows.row(first + compress.next_scanline);
    JSAMPROW pointer = reinterpret_cast<JSAMPROW>(const_cast<std::byte*>(row));
    jpeg_write_scanlines(&compress, &pointer, 1);
  }
}

void set_density(jpeg_compress_struct& compress, const std::optional<Resolution>& resolution) {
  if (!resolution) return;
  const auto dots = [](double per_meter) {
    return static_cast<UINT16>(std::lround(std::clamp(per_meter * 0.0254, 1.0, 65535.0)));
  };
  compress.density_unit = 1;
  compress.X_density = dots(resolution->x_per_meter);
  compress.Y_density = dots(resolution->y_per_meter);
}

/// What all bands of an image have in common.
struct Pixels {
  const Image& image;
  const ImageView& page;
  const EncodeOptions& options;
  std::vector<OwnedSegment> segments;
  std::optional<Resolution> resolution;
  const jpeg_decompress_struct* source = nullptr;  ///< the input, when it is a JPEG

  Pixels(const Image& from, const EncodeOptions& how)
      : image(from), page(from.pages[main_page(from.info)]), options(how) {
    segments = output_segments(image, page.format);
    if (image.info.format != FileFormat::jpeg) resolution = carried_metadata(image, page.format.colors).resolution;
  }
};

void set_parameters(jpeg_compress_struct& compress, const Pixels& pixels, std::uint32_t rows) {
  compress.image_width = pixels.page.width;
  compress.image_height = rows;
  compress.input_components = pixels.page.format.colors;
  compress.in_color_space = pixels.page.format.colors == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&compress);
  jpeg_set_quality(&compress, pixels.options.quality.value_or(k_default_quality), TRUE);
  compress.dct_method = JDCT_ISLOW;
  set_density(compress, pixels.resolution);
  if (pixels.source != nullptr) {
    if (pixels.page.format.colors == 3 && pixels.source->jpeg_color_space == JCS_RGB)
      jpeg_set_colorspace(&compress, JCS_RGB);
    if (!pixels.options.quality) keep_coding(compress, *pixels.source);
    compress.write_JFIF_header = compress.write_Adobe_marker = FALSE;
  }
  one_scan_each(compress);
}

/// One scan for all components is what can be cut.
Cut cut_of(const jpeg_compress_struct& compress) {
  if (compress.num_scans > 0) return {.rows = compress.image_height};
  unsigned h = 1;
  unsigned v = 1;
  for (int i = 0; i < compress.num_components && compress.num_components > 1; ++i) {
    h = std::max(h, static_cast<unsigned>(compress.comp_info[i].h_samp_factor));
    v = std::max(v, static_cast<unsigned>(compress.comp_info[i].v_samp_factor));
  }
  return cut_into_bands(compress.image_width, compress.image_height, 8 * h, 8 * v);
}

/// A whole file of the band that begins at row `first`. Of all but the first only the data are wanted: no segments.
Result<std::size_t> encode_band(const Pixels& pixels, const Cut& cut, std::uint32_t first, std::span<std::byte> out) {
  FullDepthRows rows(pixels.page, pixels.image.info.pages[main_page(pixels.image.info)].levels);
  LibraryState state;
  Compressor compressor;
  Destination destination;
  const bool done = guarded(state.jump, [&] {
    jpeg_compress_struct& compress = compressor.object;
    open(compress, state, destination, out);
    set_parameters(compress, pixels, std::min(cut.rows, pixels.page.height - first));
    compress.restart_interval = cut.interval_mcus;
    jpeg_start_compress(&compress, TRUE);
    if (first == 0) write_segments(compress, pixels.segments);
    write_rows(compress, rows, first);
    jpeg_finish_compress(&compress);
  });
  if (!done && state.code == Errc::output_full) return output_full(out.size());
  if (!done) return state.failure();
  return destination.size();
}

/// The entropy-coded data of a file of one scan; its frame header is made to say `height`.
Bytes scan_data(std::span<std::byte> file, std::uint32_t height) {
  std::size_t at = 2;
  for (;;) {
    const unsigned marker = load_big<std::uint16_t>(file, at);
    const std::size_t length = load_big<std::uint16_t>(file, at + 2);
    if (marker == 0xFFC0 || marker == 0xFFC1)
      store<std::uint16_t>(file, at + 5, static_cast<std::uint16_t>(height), std::endian::big);
    at += 2 + length;
    if (marker == 0xFFDA) return Bytes(file).subspan(at, file.size() - 2 - at);
  }
}

/// Of the file that encode_band() writes; without segments.
std::size_t band_bytes_max(const PixelFormat& format, std::uint32_t width, std::uint32_t rows) {
  // 4:4:4 is the most; one more MCU of 32x32 in each direction is padding.
  return 4096 + pixel_data_bytes_max((std::uint64_t{width} + 32) * (std::uint64_t{rows} + 32) * format.colors);
}

Result<std::size_t> encode_bands(const Pixels& pixels, const Cut& cut, std::span<std::byte> out, Arena& arena,
                                 const Grown& grown) {
  const ImageView& page = pixels.page;
  const std::size_t slot_bytes = band_bytes_max(page.format, page.width, cut.rows);
  const std::size_t others_bytes = slot_bytes * (cut.bands - 1);
  if (out.size() < others_bytes) return output_full(out.size());
  const std::size_t first_bytes = out.size() - others_bytes;
  std::vector<Result<Bytes>> parts(cut.bands);
  BandJoin join(out);
  Result<void> joined;
  InOrder in_file(cut.bands, [&](std::size_t i) {
    if (!parts[i] && joined) joined = std::unexpected(std::move(parts[i].error()));
    if (!joined) return;
    const std::size_t end = join.add(*parts[i]);
    if (grown) grown(end);
  });
  for_each_part(arena, cut.bands, cut.bands, [&](std::size_t, std::uint64_t i) {
    const std::span<std::byte> slot =
        i == 0 ? out.first(first_bytes) : out.subspan(first_bytes + (i - 1) * slot_bytes, slot_bytes);
    const auto size = encode_band(pixels, cut, static_cast<std::uint32_t>(i) * cut.rows, slot);
    if (size)
      parts[i] = scan_data(slot.first(*size), page.height);
    else
      parts[i] = std::unexpected(size.error());
    in_file.made(i);
  });
  if (!joined) return std::unexpected(std::move(joined.error()));
  return join.finish();
}

Result<std::size_t> encode_pixels(const Image& image, const EncodeOptions& options, std::span<std::byte> out,
                                  Arena& arena, const Grown& grown) {
  Pixels pixels(image, options);
  LibraryState state;
  Decompressor source;
  Compressor model;
  Destination nowhere;
  Cut cut;
  const bool done = guarded(state.jump, [&] {
    if (image.info.format == FileFormat::jpeg) {
      open(source.object, state, image.file);
      pixels.source = &source.object;
    }
    open(model.object, state, nowhere, {});
    set_parameters(model.object, pixels, pixels.page.height);
    cut = cut_of(model.object);
  });
  if (!done) return state.failure();
  if (cut.bands == 1) return encode_band(pixels, cut, 0, out);
  return encode_bands(pixels, cut, out, arena, grown);
}

}  // namespace

std::vector<OwnedSegment> output_segments(const Image& image, const PixelFormat& pixel) {
  if (image.info.format != FileFormat::jpeg) return converted_segments(image, pixel);
  std::vector<OwnedSegment> segments;
  const auto header = read_markers(image.file);
  if (!header) return segments;
  const bool same_colors = image.info.options.jpeg_luma_plane || pixel.colors == header->components;
  const bool icc_stays = same_colors || icc_fits(joined_icc(header->kept), pixel.colors);
  for (const Segment& segment : header->kept) {
    const bool adobe = segment.marker == k_app14 && starts_with(segment.data, "Adobe");
    // Offsets to further pictures behind this one, which do not come along.
    const bool multi_picture = segment.marker == k_app2 && starts_with(segment.data, std::string_view("MPF\0", 4));
    if (multi_picture || (adobe && !same_colors) || (is_icc(segment) && !icc_stays)) continue;
    segments.push_back({segment.marker, segment.data, {}});
  }
  return segments;
}

void write_segments(jpeg_compress_struct& compress, std::span<const OwnedSegment> segments) {
  for (const OwnedSegment& segment : segments) {
    const Bytes data = segment.data();
    jpeg_write_marker(&compress, static_cast<int>(segment.marker), reinterpret_cast<const JOCTET*>(data.data()),
                      static_cast<unsigned>(data.size()));
  }
}

void one_scan_each(jpeg_compress_struct& compress) {
  static constexpr jpeg_scan_info k_scans[] = {
      {1, {0, 0, 0, 0}, 0, 63, 0, 0}, {1, {1, 0, 0, 0}, 0, 63, 0, 0}, {1, {2, 0, 0, 0}, 0, 63, 0, 0}};
  unsigned blocks = 0;
  for (int i = 0; i < compress.num_components; ++i)
    blocks += static_cast<unsigned>(compress.comp_info[i].h_samp_factor * compress.comp_info[i].v_samp_factor);
  if (compress.num_components != 3 || blocks <= k_mcu_blocks_max) return;
  compress.scan_info = k_scans;
  compress.num_scans = 3;
}

std::size_t encoded_bytes_max(const Image& image, const EncodeOptions&) {
  const ImageView& page = image.pages[main_page(image.info)];
  std::size_t bytes = 4096;
  for (const OwnedSegment& segment : output_segments(image, page.format)) bytes += 4 + segment.data().size();
  if (!image.info.options.jpeg_luma_plane) {
    const std::uint32_t bands = band_count(page.width, page.height);
    const std::uint32_t rows = bands == 1 ? page.height : band_rows(page.width);
    return bytes + bands * band_bytes_max(page.format, page.width, rows);
  }
  const auto header = read_markers(image.file);
  if (!header) return bytes;
  const std::uint64_t samples = header->padded_samples();
  const std::uint64_t blocks = mcu_blocks(*header);
  const std::uint64_t mcus = samples / 64 / blocks;
  const std::uint64_t luma = mcus * header->sampling[0].h * header->sampling[0].v * 64;
  return bytes + pixel_data_bytes_max(luma) + copied_data_bytes_max(samples - luma, image.file.size()) +
         samples / 64 * 4 + scan_bands_max(mcus, blocks) * luma_band_bytes_max(0, 0, 1);
}

Result<std::size_t> encode(const Image& image, const EncodeOptions& options, std::span<std::byte> out, Arena& arena,
                           const Grown& grown) {
  if (!image.info.options.jpeg_luma_plane) return encode_pixels(image, options, out, arena, grown);
  if (options.quality)
    return fail(Errc::bad_option, "the luma plane of a JPEG can only be written with the quantization it has");
  return encode_luma(image, out, arena);
}

}  // namespace histod::compute::codec::jpeg
