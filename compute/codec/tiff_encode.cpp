// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "compute/codec/tiff_pack.hpp"

namespace histod::compute::codec::tiff {
namespace {

constexpr std::size_t k_padding_bytes = 8;        ///< at most, in front of each directory, value and chunk
constexpr std::size_t k_task_bytes = 256u << 10;  ///< enough to pay for a task

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

  /// `packed` holds the chunks of page `index`, if it is compressed.
  void page(std::size_t index, const OutPage& page, const PackedChunks& packed, Arena& arena);
  Result<std::size_t> finish() const {
    if (out_.full() || too_large_) return output_full(memory_.size());
    return out_.size();
  }

 private:
  Placed directory(std::span<const OutEntry> entries);
  void value(const OutEntry& entry, std::size_t value_at);
  /// Places a chunk, and returns where.
  std::byte* place(std::uint64_t index, std::size_t bytes, const Placed& placed);
  void raw_chunks(const OutPage& page, const Placed& placed, Arena& arena);

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

std::byte* Writer::place(std::uint64_t index, std::size_t bytes, const Placed& placed) {
  align();
  patch(placed.offsets_at + index * format_.offset_bytes(), out_.size());
  patch(placed.counts_at + index * format_.offset_bytes(), bytes);
  return out_.take(bytes);
}

/// All are placed before any is made: the arena's threads fill them.
void Writer::raw_chunks(const OutPage& page, const Placed& placed, Arena& arena) {
  const Layout& layout = page.layout;
  const FullDepthRows rows(page.view, page.levels);
  std::vector<std::byte*> places(layout.chunks());
  const auto bytes_of = [&](const Chunk& chunk) { return layout.chunk_row_bytes() * chunk.rows; };
  for (std::uint64_t i = 0; i < places.size(); ++i) places[i] = place(i, bytes_of(chunk_at(layout, i)), placed);
  const std::size_t grain = k_task_bytes / std::max<std::size_t>(1, layout.largest_chunk_bytes());
  arena.parallel_for(places.size(), grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const Chunk chunk = chunk_at(layout, i);
      make_samples(page, rows, chunk, {places[i], bytes_of(chunk)});
    }
  });
}

void Writer::page(std::size_t index, const OutPage& page, const PackedChunks& packed, Arena& arena) {
  const std::vector<OutEntry> entries = with_tables(page, format_);
  const Placed placed = directory(entries);
  patch(next_at_, placed.directory);
  next_at_ = placed.next_at;
  if (page.layout.coding == Coding::none) return raw_chunks(page, placed, arena);
  for (std::uint64_t i = 0; i < page.layout.chunks(); ++i) {
    const Bytes chunk = packed.chunk(index, i);
    std::memmove(place(i, chunk.size(), placed), chunk.data(), chunk.size());
  }
}

std::size_t directory_bytes(std::span<const OutEntry> entries, const Format& format) {
  std::size_t bytes = k_padding_bytes + format.count_bytes() + format.offset_bytes();
  for (const OutEntry& entry : entries) {
    bytes += format.entry_bytes() + k_padding_bytes + entry.data().size();
    if (!entry.nested.empty()) bytes += directory_bytes(entry.nested, format);
  }
  return bytes;
}

/// All of the file but its compressed chunks.
std::size_t front_bytes(const Plan& plan) {
  std::size_t bytes = plan.format.header_bytes();
  for (const OutPage& page : plan.pages) {
    const Layout& layout = page.layout;
    bytes += directory_bytes(page.entries, plan.format);
    bytes += 2 * (plan.format.entry_bytes() + k_padding_bytes + layout.chunks() * plan.format.offset_bytes());
    if (layout.coding == Coding::none) bytes += layout.chunks() * (k_padding_bytes + layout.largest_chunk_bytes());
  }
  return bytes + k_padding_bytes;
}

}  // namespace

std::size_t encoded_bytes_max(const Image& image) {
  const Plan plan = make_plan(image);
  return front_bytes(plan) + PackedChunks(plan).memory_bytes();
}

Result<std::size_t> encode(const Image& image, std::span<std::byte> out, Arena& arena) {
  const Plan plan = make_plan(image);
  if (plan.pages.empty()) return fail(Errc::corrupt, "the TIFF that was decoded cannot be read again");
  PackedChunks packed(plan);
  const std::size_t front = front_bytes(plan);
  if (out.size() < front + packed.memory_bytes()) return output_full(out.size());
  packed.pack(out.subspan(front), arena);
  Writer writer(plan.format, out);
  writer.header();
  for (std::size_t i = 0; i < plan.pages.size(); ++i) writer.page(i, plan.pages[i], packed, arena);
  return writer.finish();
}

}  // namespace histod::compute::codec::tiff
