// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_plan.hpp"

#include <cmath>
#include <limits>
#include <string>

namespace histod::compute::codec::tiff {
namespace {

constexpr std::size_t k_strip_bytes = 256u << 10;

/// Makes entries in the byte order of the output.
struct EntryMaker {
  Format format;
  std::vector<OutEntry>& entries;

  void shorts(std::uint16_t tag, const std::vector<std::uint16_t>& values) {
    OutEntry entry{.tag = tag, .type = k_short, .count = values.size(), .borrowed = {}, .made = {}, .nested = {}};
    entry.made.resize(values.size() * 2);
    for (std::size_t i = 0; i < values.size(); ++i) store(entry.made, 2 * i, values[i], format.order);
    entries.push_back(std::move(entry));
  }

  void long_value(std::uint16_t tag, std::uint32_t value) {
    OutEntry entry{
        .tag = tag, .type = k_long, .count = 1, .borrowed = {}, .made = std::vector<std::byte>(4), .nested = {}};
    store(entry.made, 0, value, format.order);
    entries.push_back(std::move(entry));
  }

  void rational(std::uint16_t tag, double value) {
    OutEntry entry{
        .tag = tag, .type = k_rational, .count = 1, .borrowed = {}, .made = std::vector<std::byte>(8), .nested = {}};
    constexpr std::uint32_t k_denominator = 1000;
    store(entry.made, 0, static_cast<std::uint32_t>(std::lround(std::clamp(value, 0.0, 4e6) * k_denominator)),
          format.order);
    store(entry.made, 4, k_denominator, format.order);
    entries.push_back(std::move(entry));
  }

  void bytes(std::uint16_t tag, std::uint16_t type, std::vector<std::byte> data) {
    const std::uint64_t count = data.size();
    entries.push_back(
        {.tag = tag, .type = type, .count = count, .borrowed = {}, .made = std::move(data), .nested = {}});
  }
};

/// Statistics that equalization makes untrue.
bool tells_of_samples(std::uint16_t tag) {
  return tag == k_min_sample_value || tag == k_max_sample_value || tag == k_s_min_sample_value ||
         tag == k_s_max_sample_value;
}

/// Tags that the writer makes itself or leaves out.
bool rewritten(std::uint16_t tag) {
  switch (tag) {
    case k_image_width:
    case k_image_length:
    case k_bits_per_sample:
    case k_compression:
    case k_photometric:
    case k_fill_order:
    case k_strip_offsets:
    case k_samples_per_pixel:
    case k_rows_per_strip:
    case k_strip_byte_counts:
    case k_planar_configuration:
    case k_free_offsets:
    case k_free_byte_counts:
    case k_predictor:
    case k_color_map:
    case k_tile_width:
    case k_tile_length:
    case k_tile_offsets:
    case k_tile_byte_counts:
    case k_extra_samples:
    case k_sample_format:
      return true;
    default:
      return tells_of_samples(tag);
  }
}

/// GDAL's metadata without the items that hold statistics of the samples.
std::vector<std::byte> without_statistics(std::string_view xml) {
  std::string kept;
  std::size_t at = 0;
  while (at < xml.size()) {
    const std::size_t item = xml.find("<Item", at);
    const std::size_t open_end = item == std::string_view::npos ? item : xml.find('>', item);
    if (open_end == std::string_view::npos) break;
    constexpr std::string_view k_close = "</Item>";
    const bool closed_at_once = xml[open_end - 1] == '/';
    const std::size_t close = closed_at_once ? open_end + 1 : xml.find(k_close, open_end);
    if (close == std::string_view::npos) break;
    std::size_t end = closed_at_once ? close : close + k_close.size();
    const std::string_view tag = xml.substr(item, open_end - item);
    kept.append(xml.substr(at, item - at));
    if (tag.find("\"STATISTICS_") == std::string_view::npos && tag.find("'STATISTICS_") == std::string_view::npos)
      kept.append(xml.substr(item, end - item));
    else
      while (end < xml.size() && (xml[end] == '\n' || xml[end] == ' ' || xml[end] == '\r')) ++end;
    at = end;
  }
  kept.append(xml.substr(std::min(at, xml.size())));
  kept.push_back('\0');
  const Bytes bytes = as_bytes(kept);
  return {bytes.begin(), bytes.end()};
}

struct Copier {
  Bytes file;
  Format format;

  std::vector<OutEntry> directory(const Directory& source, bool nested) const {
    std::vector<OutEntry> entries;
    for (const Entry& entry : source.entries) {
      if (!nested && rewritten(entry.tag)) continue;
      entries.push_back({entry.tag, entry.type, entry.count, entry.data, {}, {}});
      OutEntry& copy = entries.back();
      if (entry.tag == k_gdal_metadata && entry.type == k_ascii) {
        copy.made = without_statistics(entry.text());
        copy.count = copy.made.size();
      }
      if (!points_at_directory(entry.tag)) continue;
      const auto offset = entry.number(0, format.order);
      auto below = offset ? read_directory(file, format, *offset) : Directory{};
      if (below) copy.nested = directory(*below, true);
      if (copy.nested.empty()) entries.pop_back();
    }
    return entries;
  }
};

std::vector<std::uint16_t> repeated(unsigned value, std::size_t count) {
  return std::vector<std::uint16_t>(count, static_cast<std::uint16_t>(value));
}

/// What each extra sample of the output means: as in the input where it has them, else alpha that is not premultiplied.
std::vector<std::uint16_t> extra_kinds(const Entry* source, const PixelFormat& pixel, std::size_t described,
                                       Format format) {
  std::vector<std::uint16_t> kinds(described, 0);
  for (std::size_t i = 0; i < described; ++i) {
    const bool alpha = pixel.alpha && i + pixel.extras == described;
    kinds[i] = alpha ? 2 : 0;
    if (source == nullptr || source->count < described - i) continue;
    kinds[i] = static_cast<std::uint16_t>(source->number(source->count - (described - i), format.order).value_or(0));
  }
  return kinds;
}

void add_structure(EntryMaker make, const OutPage& page, unsigned photometric, const Entry* extra, bool sample_format) {
  const Layout& layout = page.layout;
  const PixelFormat& pixel = page.view.format;
  make.long_value(k_image_width, layout.width);
  make.long_value(k_image_length, layout.height);
  make.shorts(k_bits_per_sample, repeated(layout.bits, layout.samples));
  make.shorts(k_compression, {static_cast<std::uint16_t>(layout.coding)});
  make.shorts(k_photometric, {static_cast<std::uint16_t>(photometric)});
  make.shorts(k_samples_per_pixel, {static_cast<std::uint16_t>(layout.samples)});
  make.shorts(k_planar_configuration, {page.planar});
  if (layout.tiled) {
    make.long_value(k_tile_width, layout.chunk_width);
    make.long_value(k_tile_length, layout.chunk_height);
  } else {
    make.long_value(k_rows_per_strip, layout.chunk_height);
  }
  if (layout.predictor) make.shorts(k_predictor, {2});
  const std::size_t described = photometric == 2 ? layout.samples - 3 : layout.samples - 1;
  if (described > 0) make.shorts(k_extra_samples, extra_kinds(extra, pixel, described, make.format));
  if (sample_format) make.shorts(k_sample_format, repeated(1, layout.samples));
}

void sort_by_tag(std::vector<OutEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const OutEntry& a, const OutEntry& b) { return a.tag < b.tag; });
}

OutPage page_like(const Page& source, const Directory& directory, const ImageView& view, const Copier& copier) {
  OutPage page{.layout = source.layout, .view = view, .entries = copier.directory(directory, false)};
  const bool keeps_bits = source.info.role == PageRole::mask && source.layout.bits == 1 && view.format.channels() == 1;
  page.layout.bits = keeps_bits ? 1 : view.format.depth_bits;
  page.layout.samples = view.format.channels();
  page.planar = source.planar;
  page.layout.separate = source.planar == 2 && page.layout.samples > 1;
  const bool rgb_now = view.format.colors == 3 && (source.photometric == 2 || source.palette());
  const bool gray_source = !source.palette() && source.photometric != 2;
  const unsigned photometric = rgb_now ? 2 : gray_source ? source.photometric : 1;
  page.invert = photometric == 0;
  const Entry* extra = source.palette() ? nullptr : directory.find(k_extra_samples);
  const bool sample_format = directory.find(k_sample_format) != nullptr;
  add_structure({copier.format, page.entries}, page, photometric, extra, sample_format);
  std::erase_if(page.entries, [&](const OutEntry& entry) {
    const bool recolored = view.format.colors != source.info.format.colors;
    if (entry.tag == k_icc_profile) return recolored && !icc_fits(entry.data(), view.format.colors);
    return entry.tag == k_transfer_function && (recolored || source.layout.bits != view.format.depth_bits);
  });
  sort_by_tag(page.entries);
  return page;
}

Plan plan_like(const Image& image) {
  Plan plan;
  const Limits limits{.pixels = std::numeric_limits<std::uint64_t>::max(),
                      .dimension = std::numeric_limits<std::uint32_t>::max(),
                      .pages = std::numeric_limits<std::uint32_t>::max(),
                      .decoded_bytes = std::numeric_limits<std::uint64_t>::max(),
                      .ratio = std::numeric_limits<std::uint64_t>::max(),
                      .ancillary_bytes = std::numeric_limits<std::uint64_t>::max()};
  LimitCheck check(limits, image.file.size());
  const auto container = read_container(image.file, limits, check);
  if (!container || container->pages.size() != image.pages.size()) return plan;
  plan.format = container->format;
  const Copier copier{image.file, container->format};
  for (std::size_t i = 0; i < image.pages.size(); ++i) {
    const auto source = read_page(container->pages[i], container->format, limits);
    if (!source) return {};
    plan.pages.push_back(page_like(*source, container->pages[i], image.pages[i], copier));
  }
  return plan;
}

void add_metadata(EntryMaker make, Metadata metadata) {
  if (metadata.orientation > 1) make.shorts(k_orientation, {static_cast<std::uint16_t>(metadata.orientation)});
  if (!metadata.xmp.empty()) make.bytes(k_xmp, k_byte, std::move(metadata.xmp));
  if (!metadata.icc.empty()) make.bytes(k_icc_profile, k_undefined, std::move(metadata.icc));
  if (!metadata.resolution) return;
  make.rational(k_x_resolution, metadata.resolution->x_per_meter * 0.0254);
  make.rational(k_y_resolution, metadata.resolution->y_per_meter * 0.0254);
  make.shorts(k_resolution_unit, {2});
}

Plan new_plan(const Image& image) {
  const std::size_t main = main_page(image.info);
  const ImageView& view = image.pages[main];
  Plan plan;
  OutPage page{.view = view, .levels = image.info.pages[main].levels, .entries = {}};
  page.layout = {.width = view.width,
                 .height = view.height,
                 .bits = view.format.depth_bits,
                 .samples = view.format.channels(),
                 .chunk_width = view.width,
                 .coding = Coding::deflate,
                 .predictor = true};
  const std::size_t rows = std::max<std::size_t>(1, k_strip_bytes / std::max<std::size_t>(1, view.row_bytes()));
  page.layout.chunk_height = static_cast<std::uint32_t>(std::min<std::size_t>(rows, view.height));
  EntryMaker make{plan.format, page.entries};
  add_structure(make, page, view.format.colors == 3 ? 2 : 1, nullptr, false);
  add_metadata(make, carried_metadata(image, view.format.colors));
  sort_by_tag(page.entries);
  plan.pages.push_back(std::move(page));
  return plan;
}

}  // namespace

bool stays_true(const Directory& directory) {
  for (const Entry& entry : directory.entries) {
    if (tells_of_samples(entry.tag)) return false;
    if (entry.tag == k_gdal_metadata && entry.text().find("STATISTICS_") != std::string_view::npos) return false;
  }
  return true;
}

Plan make_plan(const Image& image) {
  return image.info.format == FileFormat::tiff ? plan_like(image) : new_plan(image);
}

}  // namespace histod::compute::codec::tiff
