// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "compute/codec/tiff_plan.hpp"
#include "compute/codec/tiff_samples.hpp"

namespace histod::compute::codec::tiff {
namespace {

constexpr std::size_t k_padding_bytes = 8;  // at most, in front of each directory, value and chunk

/// Where a directory got to.
struct Placed {
  std::uint64_t directory = 0;
  std::size_t next_at = 0;     ///< position of the link to the next directory
  std::size_t offsets_at = 0;  ///< positions of the tables of the chunks
  std::size_t counts_at = 0;
};

class Writer {
 public:
  Writer(const Format& format, std::span<std::byte> memory) : format_(format), memory_(memory), out_(memory) {}

  void header() {
    out_.put(format_.order == std::endian::little ? "II" : "MM");
    out_.put_number<std::uint16_t>(format_.big ? 43 : 42, format_.order);
    if (format_.big)
      out_.put_number<std::uint32_t>(8u << (format_.order == std::endian::little ? 0 : 16), format_.order);
    next_at_ = out_.size();
    offset(0);
  }

  void page(const OutPage& page);
  Result<std::size_t> finish() const {
    if (out_.full() || too_large_) return output_full(memory_.size());
    return out_.size();
  }

 private:
  Placed directory(std::span<const OutEntry> entries);
  void value(const OutEntry& entry, std::size_t value_at);
  void chunks(const OutPage& page, const Placed& placed);
  void chunk(const OutPage& page, const Chunk& chunk, FullDepthRows& rows);

  void align() {
    while (out_.size() % k_padding_bytes != 0 && !out_.full()) out_.put(std::string_view("\0", 1));
  }
  void offset(std::uint64_t value) {
    if (format_.big) {
      out_.put_number(value, format_.order);
    } else {
      too_large_ = too_large_ || value > std::numeric_limits<std::uint32_t>::max();
      out_.put_number(static_cast<std::uint32_t>(value), format_.order);
    }
  }
  void patch(std::size_t at, std::uint64_t value) {
    if (out_.full()) return;
    if (format_.big)
      store(memory_, at, value, format_.order);
    else
      store(memory_, at, static_cast<std::uint32_t>(value), format_.order);
    too_large_ = too_large_ || (!format_.big && value > std::numeric_limits<std::uint32_t>::max());
  }

  Format format_;
  std::span<std::byte> memory_;
  Output out_;
  std::size_t next_at_ = 0;
  bool too_large_ = false;  ///< an offset does not fit into the 32 bits of a classic TIFF
  std::vector<std::byte> scratch_;
};

/// The tables of the chunks, of zeros at first.
std::vector<OutEntry> with_tables(const OutPage& page, const Format& format) {
  std::vector<OutEntry> entries = page.entries;
  const std::uint64_t chunks = page.layout.chunks();
  for (const Tag tag : {page.layout.tiled ? k_tile_offsets : k_strip_offsets,
                        page.layout.tiled ? k_tile_byte_counts : k_strip_byte_counts}) {
    OutEntry entry{
        .tag = tag, .type = format.big ? k_long8 : k_long, .count = chunks, .borrowed = {}, .made = {}, .nested = {}};
    entry.made.resize(chunks * format.offset_bytes());
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const OutEntry& a, const OutEntry& b) { return a.tag < b.tag; });
  return entries;
}

void Writer::value(const OutEntry& entry, std::size_t value_at) {
  align();
  patch(value_at, out_.size());
  out_.put(entry.data());
}

Placed Writer::directory(std::span<const OutEntry> entries) {
  std::vector<std::uint64_t> nested;
  for (const OutEntry& entry : entries) nested.push_back(entry.nested.empty() ? 0 : directory(entry.nested).directory);
  align();
  Placed placed{.directory = out_.size()};
  if (format_.big)
    out_.put_number<std::uint64_t>(entries.size(), format_.order);
  else
    out_.put_number(static_cast<std::uint16_t>(entries.size()), format_.order);
  const std::size_t begin = out_.size();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const OutEntry& entry = entries[i];
    out_.put_number(entry.tag, format_.order);
    const auto pointer_type = static_cast<std::uint16_t>(format_.big ? k_ifd8 : k_long);
    out_.put_number(entry.nested.empty() ? entry.type : pointer_type, format_.order);
    offset(entry.count);
    if (!entry.nested.empty()) {
      offset(nested[i]);
    } else if (entry.data().size() <= format_.offset_bytes()) {
      out_.put(entry.data());
      out_.put(std::string_view("\0\0\0\0\0\0\0", format_.offset_bytes() - entry.data().size()));
    } else {
      offset(0);
    }
  }
  placed.next_at = out_.size();
  offset(0);
  for (std::size_t i = 0; i < entries.size() && !out_.full(); ++i) {
    const OutEntry& entry = entries[i];
    const std::size_t value_at = begin + i * format_.entry_bytes() + 4 + format_.offset_bytes();
    const bool inside = entry.data().size() <= format_.offset_bytes();
    if (!inside && entry.nested.empty()) value(entry, value_at);
    const std::size_t data_at = inside ? value_at : out_.size() - entry.data().size();
    if (entry.tag == k_strip_offsets || entry.tag == k_tile_offsets) placed.offsets_at = data_at;
    if (entry.tag == k_strip_byte_counts || entry.tag == k_tile_byte_counts) placed.counts_at = data_at;
  }
  return placed;
}

/// Strips of whole rows that need no stretching; everything else goes through gather().
void Writer::chunk(const OutPage& page, const Chunk& chunk, FullDepthRows& rows) {
  const Layout& layout = page.layout;
  const std::size_t bytes = layout.chunk_row_bytes() * chunk.rows;
  const bool uncompressed = layout.coding == Coding::none;
  std::byte* to = uncompressed ? out_.take(bytes) : scratch_.data();
  if (to == nullptr) return;
  const std::span<std::byte> samples(to, bytes);
  if (page.levels != 0) {
    for (std::uint32_t y = 0; y < chunk.rows; ++y)
      std::memcpy(to + y * layout.chunk_row_bytes(), rows.row(chunk.y + y), layout.chunk_row_bytes());
  } else {
    gather(layout, chunk, page.view, samples);
  }
  if (page.invert) invert_colors(layout, chunk, page.view.format, samples);
  difference_samples(layout, samples, chunk.rows);
  if (!uncompressed) compress(layout.coding, samples, layout.chunk_row_bytes(), out_);
}

void Writer::chunks(const OutPage& page, const Placed& placed) {
  FullDepthRows rows(page.view, page.levels);
  if (page.layout.coding != Coding::none) scratch_.resize(std::max(scratch_.size(), page.layout.largest_chunk_bytes()));
  for (std::uint64_t i = 0; i < page.layout.chunks() && !out_.full(); ++i) {
    align();
    const std::size_t begin = out_.size();
    chunk(page, chunk_at(page.layout, i), rows);
    patch(placed.offsets_at + i * format_.offset_bytes(), begin);
    patch(placed.counts_at + i * format_.offset_bytes(), out_.size() - begin);
  }
}

void Writer::page(const OutPage& page) {
  const std::vector<OutEntry> entries = with_tables(page, format_);
  const Placed placed = directory(entries);
  patch(next_at_, placed.directory);
  next_at_ = placed.next_at;
  chunks(page, placed);
}

std::size_t directory_bytes(std::span<const OutEntry> entries, const Format& format) {
  std::size_t bytes = k_padding_bytes + format.count_bytes() + format.offset_bytes();
  for (const OutEntry& entry : entries) {
    bytes += format.entry_bytes() + k_padding_bytes + entry.data().size();
    if (!entry.nested.empty()) bytes += directory_bytes(entry.nested, format);
  }
  return bytes;
}

}  // namespace

std::size_t encoded_bytes_max(const Image& image) {
  const Plan plan = make_plan(image);
  std::size_t bytes = plan.format.header_bytes();
  for (const OutPage& page : plan.pages) {
    const Layout& layout = page.layout;
    bytes += directory_bytes(page.entries, plan.format);
    bytes += 2 * (plan.format.entry_bytes() + k_padding_bytes + layout.chunks() * plan.format.offset_bytes());
    const std::size_t chunk_bytes_max =
        compressed_bytes_max(layout.coding, layout.stored_rows(0), layout.chunk_row_bytes());
    bytes += layout.chunks() * (k_padding_bytes + chunk_bytes_max);
  }
  return bytes;
}

Result<std::size_t> encode(const Image& image, std::span<std::byte> out) {
  const Plan plan = make_plan(image);
  if (plan.pages.empty()) return fail(Errc::corrupt, "the TIFF that was decoded cannot be read again");
  Writer writer(plan.format, out);
  writer.header();
  for (const OutPage& page : plan.pages) writer.page(page);
  return writer.finish();
}

}  // namespace histod::compute::codec::tiff
