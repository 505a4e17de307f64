// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "compute/codec/jpeg_encode.hpp"
#include "compute/codec/jpeg_size.hpp"

namespace histod::compute::codec::jpeg {
namespace {

constexpr JDIMENSION k_rows_at_once = 16;

void read_rows(jpeg_decompress_struct& decompress, const ImageView& page) {
  decompress.out_color_space = page.format.colors == 1 ? JCS_GRAYSCALE : JCS_RGB;
  decompress.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&decompress);
  while (decompress.output_scanline < decompress.output_height) {
    JSAMPROW rows[k_rows_at_once];
    const JDIMENSION first = decompress.output_scanline;
    const JDIMENSION count = std::min(k_rows_at_once, decompress.output_height - first);
    for (JDIMENSION i = 0; i < count; ++i) rows[i] = reinterpret_cast<JSAMPROW>(page.row(first + i));
    jpeg_read_scanlines(&decompress, rows, count);
  }
  jpeg_finish_decompress(&decompress);
}

/// On all threads, if the file is one of those that read_scan() takes and is whole.
bool decode_scan(Image& image, Arena& arena) {
  const ImageView& page = image.pages[0];
  auto scan = read_scan(image.file);
  if (!scan || scan->width != page.width || scan->height != page.height) return false;
  const ScanCut cut = cut_scan(scan->mcus, scan->blocks.size(), scan->restart_interval);
  auto kept = std::make_unique<KeptScan>(std::move(scan), cut);
  if (!decode_luma(*kept->scan, page, kept->places, arena)) return false;
  if (image.info.options.jpeg_luma_plane) image.kept = std::move(kept);
  return true;
}

/// Whatever JPEG can be, on one thread.
Result<void> decode_by_library(const Image& image, const Limits& limits) {
  const ImageView& page = image.pages[0];
  LibraryState state;
  state.scans_max = static_cast<int>(std::min<std::uint32_t>(limits.jpeg_scans, std::numeric_limits<int>::max()));
  jpeg_progress_mgr progress{};
  Decompressor decompressor;
  bool same = false;
  const bool done = guarded(state.jump, [&] {
    jpeg_decompress_struct& object = decompressor.object;
    open(object, state, image.file);
    object.mem->max_memory_to_use = static_cast<long>(image.info.scratch_bytes);
    watch_scans(object, progress);
    same = object.image_width == page.width && object.image_height == page.height;
    if (same) read_rows(object, page);
  });
  if (!done) return state.failure();
  if (!same) return fail(Errc::corrupt, "the frame headers of the JPEG contradict one another");
  return {};
}

}  // namespace

Result<FileInfo> probe(Bytes file, const Limits& limits, const DecodeOptions& options) {
  const auto header = read_markers(file);
  if (!header) return std::unexpected(header.error());
  LimitCheck check(limits, file.size());
  FileInfo info{.format = FileFormat::jpeg};
  info.options.jpeg_luma_plane = options.jpeg_luma_plane && header->ycc && header->full_luma();
  const bool gray = header->components == 1 || info.options.jpeg_luma_plane;
  info.pages.push_back({.width = header->width,
                        .height = header->height,
                        .format = {.colors = static_cast<std::uint8_t>(gray ? 1 : 3)}});
  const std::uint64_t stored_bytes = std::uint64_t{header->width} * header->height * header->components;
  if (auto done = check.add_page(info.pages[0], stored_bytes); !done) return std::unexpected(done.error());
  if (auto done = check.scans(header->scans); !done) return std::unexpected(done.error());
  if (auto done = check.add_ancillary(header->ancillary_bytes); !done) return std::unexpected(done.error());
  lay_out(info);
  info.scratch_bytes = scratch_bytes(*header, info.options.jpeg_luma_plane, file.size());
  return info;
}

Result<void> decode(Image& image, const Limits& limits, Arena& arena) {
  if (image.pages[0].format.colors == 1 && decode_scan(image, arena)) return {};
  return decode_by_library(image, limits);
}

Metadata metadata(Bytes file) {
  Metadata found;
  const auto header = read_markers(file);
  if (!header) return found;
  found.icc = joined_icc(header->kept);
  for (const Segment& segment : header->kept) {
    const Bytes data = segment.data;
    const auto after = [&](std::string_view prefix) {
      const Bytes rest = data.subspan(prefix.size());
      return std::vector<std::byte>(rest.begin(), rest.end());
    };
    if (segment.marker == 0xE1 && starts_with(data, k_exif_prefix) && found.exif.empty())
      found.exif = after(k_exif_prefix);
    if (segment.marker == 0xE1 && starts_with(data, k_xmp_prefix) && found.xmp.empty()) found.xmp = after(k_xmp_prefix);
    const bool jfif = segment.marker == 0xE0 && data.size() >= 12 && starts_with(data, std::string_view("JFIF\0", 5));
    const unsigned unit = jfif ? std::to_integer<unsigned>(data[7]) : 0;
    if (unit != 1 && unit != 2) continue;
    const double per_meter = unit == 1 ? 1 / 0.0254 : 100;
    found.resolution =
        Resolution{load_big<std::uint16_t>(data, 8) * per_meter, load_big<std::uint16_t>(data, 10) * per_meter};
  }
  return found;
}

}  // namespace histod::compute::codec::jpeg
