// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_page.hpp"

#include <charconv>
#include <cmath>
#include <string>

namespace histod::compute::codec::tiff {
namespace {

constexpr unsigned k_samples_max = 255;

std::unexpected<Error> unsupported(std::string what, std::uint64_t value) {
  return fail(Errc::unsupported_feature, std::move(what), value);
}

struct PageReader {
  const Directory& directory;
  const Format& format;
  const Limits& limits;
  Page page;

  std::uint64_t number(std::uint16_t tag, std::uint64_t otherwise) const {
    return directory.number_or(tag, format.order, otherwise);
  }

  Result<void> read_size();
  Result<void> read_samples();
  Result<void> read_coding();
  Result<void> read_geometry();
  Result<void> read_chunk_tables();
  Result<void> read_color_map();
  void read_role_and_nodata();
  PixelFormat pixel_format() const;
};

Result<void> PageReader::read_size() {
  const std::uint64_t width = number(k_image_width, 0);
  const std::uint64_t height = number(k_image_length, 0);
  if (width == 0 || height == 0) return fail(Errc::corrupt, "width or height of a TIFF page is 0 or not given");
  const std::uint64_t side = std::max(width, height);
  if (side > limits.dimension)
    return fail(Errc::dimension_over_limit, "width or height in pixels", side, limits.dimension);
  page.layout.width = static_cast<std::uint32_t>(width);
  page.layout.height = static_cast<std::uint32_t>(height);
  if (number(k_image_depth, 1) != 1) return unsupported("depth of a volume in a TIFF page", number(k_image_depth, 1));
  return {};
}

Result<void> PageReader::read_samples() {
  const std::uint64_t samples = number(k_samples_per_pixel, 1);
  if (samples == 0 || samples > k_samples_max) return unsupported("samples of each pixel in the TIFF", samples);
  const std::uint64_t bits = number(k_bits_per_sample, 1);
  if (const Entry* entry = directory.find(k_bits_per_sample)) {
    for (std::uint64_t i = 1; i < std::min(samples, entry->count); ++i)
      if (entry->number(i, format.order) != bits)
        return unsupported("the samples of the TIFF differ in their bits", bits);
  }
  if (const Entry* entry = directory.find(k_sample_format)) {
    for (std::uint64_t i = 0; i < std::min(samples, entry->count); ++i) {
      const std::uint64_t kind = entry->number(i, format.order).value_or(0);
      if (kind != 1 && kind != 4) return unsupported("sample format of the TIFF (signed, float or complex)", kind);
    }
  }
  const bool packed = (bits == 1 || bits == 2 || bits == 4) && samples == 1;
  if (!packed && bits != 8 && bits != 16) return unsupported("bits of each sample in the TIFF", bits);
  page.layout.bits = static_cast<unsigned>(bits);
  page.layout.samples = static_cast<unsigned>(samples);
  page.layout.order = format.order;
  const std::uint64_t photometric = number(k_photometric, samples >= 3 ? 2 : 1);
  const bool mask = photometric == 4 && samples == 1;
  if (photometric > 3 && !mask)
    return unsupported("photometric interpretation of the TIFF (CMYK, YCbCr, Lab, ...)", photometric);
  if (photometric == 2 && samples < 3)
    return fail(Errc::corrupt, "an RGB page of the TIFF has too few samples", samples);
  if (photometric == 3 && (samples != 1 || bits > 8)) return unsupported("samples or bits of a palette page", samples);
  page.photometric = static_cast<unsigned>(photometric);
  return {};
}

Result<void> PageReader::read_coding() {
  const std::uint64_t compression = number(k_compression, 1);
  const std::optional<Coding> coding = coding_of(compression);
  if (!coding) return unsupported("compression of the TIFF (taken are none, LZW, Deflate and PackBits)", compression);
  page.layout.coding = *coding;
  const std::uint64_t predictor = number(k_predictor, 1);
  const bool differs = *coding == Coding::lzw || *coding == Coding::deflate || *coding == Coding::old_deflate;
  if (differs && predictor != 1 && (predictor != 2 || page.layout.bits < 8))
    return unsupported("predictor of the TIFF", predictor);
  page.layout.predictor = differs && predictor == 2;
  if (number(k_fill_order, 1) != 1) return unsupported("fill order of the TIFF", number(k_fill_order, 1));
  const std::uint64_t planar = number(k_planar_configuration, 1);
  if (planar != 1 && planar != 2) return unsupported("planar configuration of the TIFF", planar);
  page.planar = static_cast<std::uint16_t>(planar);
  page.layout.separate = planar == 2 && page.layout.samples > 1;
  return {};
}

Result<void> PageReader::read_geometry() {
  Layout& layout = page.layout;
  layout.tiled = directory.find(k_tile_width) != nullptr;
  if (directory.find(k_strip_row_counts) != nullptr) return unsupported("the TIFF has strips of different heights", 0);
  const std::uint64_t width = layout.tiled ? number(k_tile_width, 0) : layout.width;
  std::uint64_t height = layout.tiled ? number(k_tile_length, 0) : number(k_rows_per_strip, layout.height);
  if (!layout.tiled) height = std::min<std::uint64_t>(height, layout.height);
  if (width == 0 || height == 0) return fail(Errc::corrupt, "the strips or tiles of the TIFF are empty");
  const std::uint64_t side = std::max(width, height);
  if (side > limits.dimension) return fail(Errc::dimension_over_limit, "tile side in pixels", side, limits.dimension);
  layout.chunk_width = static_cast<std::uint32_t>(width);
  layout.chunk_height = static_cast<std::uint32_t>(height);
  const std::uint64_t stored = layout.stored_bytes();
  if (stored > limits.decoded_bytes)
    return fail(Errc::bytes_over_limit, "bytes of all strips or tiles of a page", stored, limits.decoded_bytes);
  return {};
}

Result<void> PageReader::read_chunk_tables() {
  const Layout& layout = page.layout;
  const Entry* offsets = directory.find(layout.tiled ? k_tile_offsets : k_strip_offsets);
  const Entry* counts = directory.find(layout.tiled ? k_tile_byte_counts : k_strip_byte_counts);
  if (offsets == nullptr) return fail(Errc::corrupt, "a TIFF page has no strip or tile offsets");
  if (counts == nullptr && layout.coding != Coding::none)
    return fail(Errc::corrupt, "a compressed TIFF page has no strip or tile byte counts");
  if (offsets->count < layout.chunks() || (counts != nullptr && counts->count < layout.chunks()))
    return fail(Errc::corrupt, "a TIFF page has fewer strips or tiles than it needs", offsets->count, layout.chunks());
  page.offsets = *offsets;
  if (counts != nullptr) page.byte_counts = *counts;
  return {};
}

Result<void> PageReader::read_color_map() {
  if (!page.palette()) return {};
  const Entry* map = directory.find(k_color_map);
  const std::uint64_t values = std::uint64_t{3} << page.layout.bits;
  if (map == nullptr || map->type != k_short || map->count != values)
    return fail(Errc::corrupt, "the colour map of a palette page is missing or has another size", map ? map->count : 0,
                values);
  page.color_map = map->data;
  return {};
}

PixelFormat PageReader::pixel_format() const {
  const Layout& layout = page.layout;
  PixelFormat pixel{
      .colors = 1, .extras = 0, .alpha = false, .depth_bits = static_cast<std::uint8_t>(std::max(layout.bits, 8u))};
  if (page.palette()) {
    pixel.colors = 3;
    return pixel;
  }
  unsigned colors = page.photometric == 2 ? 3 : 1;
  const Entry* extra = directory.find(k_extra_samples);
  // ExtraSamples describes the last samples of a pixel.
  const std::uint64_t declared = extra == nullptr ? 0 : std::min<std::uint64_t>(extra->count, layout.samples);
  const auto kind = [&](unsigned sample) -> std::uint64_t {
    const std::uint64_t first = layout.samples - declared;
    return sample < first ? 0 : extra->number(sample - first, format.order).value_or(0);
  };
  // Samples of no meaning after a gray one are bands of their own; after RGB they are left alone.
  if (colors == 1)
    while (colors < layout.samples && kind(colors) == 0) ++colors;
  pixel.colors = static_cast<std::uint8_t>(colors);
  pixel.extras = static_cast<std::uint8_t>(layout.samples - colors);
  pixel.alpha = pixel.extras > 0 && (kind(colors) == 1 || kind(colors) == 2);
  return pixel;
}

void PageReader::read_role_and_nodata() {
  const std::uint64_t subfile = number(k_new_subfile_type, 0);
  if ((subfile & 4) != 0 || page.photometric == 4)
    page.info.role = PageRole::mask;
  else if ((subfile & 1) != 0)
    page.info.role = PageRole::overview;
  const Entry* entry = directory.find(k_gdal_nodata);
  if (entry == nullptr) return;
  std::string_view text = entry->text();
  while (text.starts_with(' ')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !std::isfinite(value)) return;
  page.info.nodata = page.white_is_zero() ? page.info.format.bins() - 1 - value : value;
}

}  // namespace

std::uint64_t Layout::stored_bytes() const {
  const std::uint64_t rows = tiled ? down() * chunk_height : height;
  return across() * planes() * rows * chunk_row_bytes();
}

Chunk chunk_at(const Layout& layout, std::uint64_t index) {
  const std::uint64_t in_plane = index % (layout.across() * layout.down());
  const std::uint64_t row = in_plane / layout.across();
  Chunk chunk{.index = index, .plane = static_cast<unsigned>(index / (layout.across() * layout.down()))};
  chunk.x = static_cast<std::uint32_t>(in_plane % layout.across() * layout.chunk_width);
  chunk.y = static_cast<std::uint32_t>(row * layout.chunk_height);
  chunk.rows = layout.stored_rows(row);
  chunk.live_rows = std::min(layout.chunk_height, layout.height - chunk.y);
  chunk.live_width = std::min(layout.chunk_width, layout.width - chunk.x);
  return chunk;
}

Result<Bytes> Page::chunk_bytes(Bytes file, const Chunk& chunk) const {
  const std::uint64_t needed = layout.chunk_row_bytes() * chunk.rows;
  const auto offset = offsets.number(chunk.index, layout.order);
  const auto count = byte_counts.data.empty() ? std::optional(needed) : byte_counts.number(chunk.index, layout.order);
  if (!offset || !count) return fail(Errc::corrupt, "strip or tile offsets of the TIFF are not unsigned integers");
  if (*count == 0)
    return fail(Errc::unsupported_feature, "a strip or tile of the TIFF is missing (sparse file)", chunk.index);
  if (*offset > file.size() || *count > file.size() - *offset)
    return fail(Errc::truncated, "a strip or tile of the TIFF lies beyond the end of the file", *offset, file.size());
  if (layout.coding == Coding::none && *count < needed)
    return fail(Errc::corrupt, "a strip or tile of the TIFF has too few bytes", *count, needed);
  return file.subspan(*offset, *count);
}

Result<Page> read_page(const Directory& directory, const Format& format, const Limits& limits) {
  PageReader reader{directory, format, limits, {}};
  for (auto step : {&PageReader::read_size, &PageReader::read_samples, &PageReader::read_coding,
                    &PageReader::read_geometry, &PageReader::read_chunk_tables, &PageReader::read_color_map}) {
    if (auto done = (reader.*step)(); !done) return std::unexpected(done.error());
  }
  reader.page.info.width = reader.page.layout.width;
  reader.page.info.height = reader.page.layout.height;
  reader.page.info.format = reader.pixel_format();
  reader.read_role_and_nodata();
  return std::move(reader.page);
}

}  // namespace histod::compute::codec::tiff
