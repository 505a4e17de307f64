// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <memory_resource>

#include "compute/codec/parts.hpp"
#include "compute/codec/tiff_chunks.hpp"
#include "compute/codec/tiff_plan.hpp"
#include "compute/codec/tiff_samples.hpp"

namespace histod::compute::codec::tiff {
namespace {

/// All strips and tiles must lie in the file; the largest sets the size of the scratch memory.
Result<void> check_chunks(Bytes file, const Page& page) {
  for (std::uint64_t i = 0; i < page.layout.chunks(); ++i) {
    const auto bytes = page.chunk_bytes(file, chunk_at(page.layout, i));
    if (!bytes) return std::unexpected(bytes.error());
  }
  return {};
}

/// Where the samples of a page lie, if they lie there as pixels do, row behind row. The chunks are known to lie in the
/// file.
std::optional<Raster> raster_of(Bytes file, const Page& page) {
  const Layout& layout = page.layout;
  const bool rows = !layout.tiled && !layout.separate && layout.bits >= 8 && layout.coding == Coding::none;
  if (!rows || page.palette() || page.white_is_zero() || page.info.role == PageRole::mask) return std::nullopt;
  const std::byte* next = nullptr;
  for (std::uint64_t i = 0; i < layout.chunks(); ++i) {
    const Chunk chunk = chunk_at(layout, i);
    const std::byte* const at = page.chunk_bytes(file, chunk)->data();
    if (next != nullptr && at != next) return std::nullopt;
    next = at + layout.chunk_row_bytes() * chunk.rows;
  }
  const bool swapped = layout.bits == 16 && layout.order != std::endian::native;
  return Raster{static_cast<std::size_t>(next - file.data()) - page.info.pixel_bytes(), swapped};
}

/// Changing the samples of one page must change nothing else.
bool lie_apart(const FileInfo& info, std::size_t header_bytes) {
  if (info.rasters.size() == 1) return info.rasters[0].offset >= header_bytes;
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (std::size_t i = 0; i < info.rasters.size(); ++i)
    ranges.emplace_back(info.rasters[i].offset, info.rasters[i].offset + info.pages[i].pixel_bytes());
  std::ranges::sort(ranges);
  std::size_t end = header_bytes;
  for (const auto& [begin, range_end] : ranges) {
    if (begin < end) return false;
    end = range_end;
  }
  return true;
}

/// The memory of a hand while it decodes; a row of shorts may lie at its beginning.
std::size_t hand_bytes(std::size_t chunk_bytes) {
  return (chunk_bytes + k_page_alignment_bytes - 1) / k_page_alignment_bytes * k_page_alignment_bytes;
}

/// Whether a chunk is decoded where its pixels are to lie.
bool in_its_place(const Page& source, const ImageView& page) {
  return chunk_is_rows(source.layout, page) && !source.palette();
}

Result<void> decode_chunk(Bytes file, const Page& source, std::uint64_t index, const ImageView& page,
                          std::byte* scratch) {
  const Layout& layout = source.layout;
  const Chunk chunk = chunk_at(layout, index);
  const auto bytes = source.chunk_bytes(file, chunk);
  if (!bytes) return std::unexpected(bytes.error());
  const bool direct = in_its_place(source, page);
  const std::span<std::byte> samples(direct ? page.row(chunk.y) : scratch, layout.chunk_row_bytes() * chunk.rows);
  if (auto done = decompress(layout.coding, *bytes, samples); !done) return done;
  restore_samples(layout, samples, chunk.rows);
  if (source.white_is_zero()) invert_colors(layout, chunk, page.format, samples);
  if (!direct) scatter(source, chunk, samples, page);
  return {};
}

/// The pages of the file, which must be those that were probed.
Result<std::vector<Page>> read_pages(const Container& container, const FileInfo& info, const Limits& limits) {
  std::vector<Page> sources;
  sources.reserve(info.pages.size());
  if (container.pages.size() != info.pages.size())
    return fail(Errc::corrupt, "the file is not the one that was probed");
  for (std::size_t i = 0; i < info.pages.size(); ++i) {
    auto page = read_page(container.pages[i], container.format, limits);
    if (!page) return std::unexpected(page.error());
    const PageInfo& probed = info.pages[i];
    if (page->info.width != probed.width || page->info.height != probed.height || page->info.format != probed.format)
      return fail(Errc::corrupt, "the file is not the one that was probed");
    sources.push_back(std::move(*page));
  }
  return sources;
}

}  // namespace

/// Directories of the usual length take no memory.
constexpr std::size_t k_directories_on_stack_bytes = 8192;

Result<FileInfo> probe(Bytes file, const Limits& limits, FileInfo used) {
  std::array<std::byte, k_directories_on_stack_bytes> stack;
  std::pmr::monotonic_buffer_resource memory(stack.data(), stack.size());
  LimitCheck check(limits, file.size());
  const auto container = read_container(file, limits, check, memory);
  if (!container) return std::unexpected(container.error());
  FileInfo info = emptied(std::move(used), FileFormat::tiff);
  bool in_place = true;
  std::size_t tags = 0;
  std::size_t tag_bytes = 0;
  std::size_t largest_chunk_bytes = 0;
  std::uint64_t chunks = 0;
  for (const Directory& directory : container->pages) {
    const auto page = read_page(directory, container->format, limits);
    if (!page) return std::unexpected(page.error());
    if (auto done = check.add_page(page->info, page->layout.stored_bytes()); !done)
      return std::unexpected(done.error());
    if (auto done = check_chunks(file, *page); !done) return std::unexpected(done.error());
    info.pages.push_back(page->info);
    in_place = in_place && stays_true(directory);
    const std::optional<Raster> raster = in_place ? raster_of(file, *page) : std::nullopt;
    in_place = raster.has_value();
    if (raster) info.rasters.push_back(*raster);
    tags += directory.entries.size();
    for (const Entry& entry : directory.entries) tag_bytes += entry.data.size();
    largest_chunk_bytes = std::max(largest_chunk_bytes, hand_bytes(page->layout.largest_chunk_bytes()));
    chunks += page->layout.chunks();
  }
  if (!in_place || !lie_apart(info, container->format.header_bytes())) info.rasters.clear();
  lay_out(info);
  info.scratch_bytes = hands_max(chunks, largest_chunk_bytes) * largest_chunk_bytes + chunks * 32 + tags * 512 +
                       3 * tag_bytes + info.pages.size() * 4096 + (512u << 10);
  return info;
}

Result<void> decode(Bytes file, const FileInfo& info, std::span<const ImageView> pages, const Limits& limits,
                    Arena& arena) {
  LimitCheck check(limits, file.size());
  const auto container = read_container(file, limits, check);
  if (!container) return std::unexpected(container.error());
  const auto sources = read_pages(*container, info, limits);
  if (!sources) return std::unexpected(sources.error());
  ChunkList chunks;
  std::size_t chunk_bytes = 0, scratch_bytes = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const Page& source = (*sources)[i];
    chunks.add_page(source.layout.chunks());
    chunk_bytes = std::max(chunk_bytes, hand_bytes(source.layout.largest_chunk_bytes()));
    if (!in_its_place(source, pages[i]))
      scratch_bytes = std::max(scratch_bytes, hand_bytes(source.layout.largest_chunk_bytes()));
  }
  const std::size_t hands = std::min<std::size_t>(hands_max(chunks.size(), chunk_bytes), arena.threads());
  const auto scratch = std::make_unique_for_overwrite<std::byte[]>(hands * scratch_bytes);
  FirstFailure failure;
  for_each_part(arena, chunks.size(), hands, [&](std::size_t hand, std::uint64_t index) {
    if (failure.is_before(index)) return;
    const auto [page, chunk] = chunks.at(index);
    auto done = decode_chunk(file, (*sources)[page], chunk, pages[page], scratch.get() + hand * scratch_bytes);
    if (!done) failure.note(index, std::move(done.error()));
  });
  return failure.result();
}

Metadata metadata(Bytes file) {
  Metadata found;
  const Limits limits;
  LimitCheck check(limits, file.size());
  const auto container = read_container(file, limits, check);
  if (!container) return found;
  const Directory& directory = container->pages[0];
  const std::endian order = container->format.order;
  if (const Entry* icc = directory.find(k_icc_profile)) found.icc.assign(icc->data.begin(), icc->data.end());
  if (const Entry* xmp = directory.find(k_xmp)) found.xmp.assign(xmp->data.begin(), xmp->data.end());
  const std::uint64_t orientation = directory.number_or(k_orientation, order, 0);
  found.orientation = orientation <= 8 ? static_cast<unsigned>(orientation) : 0;
  const Entry* x = directory.find(k_x_resolution);
  const Entry* y = directory.find(k_y_resolution);
  const std::uint64_t unit = directory.number_or(k_resolution_unit, order, 2);
  if (x == nullptr || y == nullptr || unit < 2 || unit > 3) return found;
  const double per_meter = unit == 2 ? 1 / 0.0254 : 100;
  const auto x_value = x->rational(order);
  const auto y_value = y->rational(order);
  if (x_value && y_value) found.resolution = Resolution{*x_value * per_meter, *y_value * per_meter};
  return found;
}

}  // namespace histod::compute::codec::tiff
