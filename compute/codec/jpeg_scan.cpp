// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_scan.hpp"

#include "compute/codec/jpeg_size.hpp"
#include "compute/codec/jpeg_zigzag.hpp"

namespace histod::compute::codec::jpeg {
namespace {

constexpr std::size_t k_chunk_bytes = 48u << 10;
constexpr std::size_t k_records = 128;  ///< MCUs within which codes are expected to fall into step

unsigned byte_at(Bytes data, std::size_t at) { return std::to_integer<unsigned>(data[at]); }

bool take_frame(Scan& scan, Bytes data) {
  if (!scan.components.empty() || data.size() < 6 || byte_at(data, 0) != 8) return false;
  scan.height = load_big<std::uint16_t>(data, 1);
  scan.width = load_big<std::uint16_t>(data, 3);
  const std::size_t count = byte_at(data, 5);
  if (scan.height == 0 || scan.width == 0 || (count != 1 && count != 3) || data.size() != 6 + 3 * count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned sampling = byte_at(data, 7 + 3 * i);
    ScanComponent component{.id = static_cast<std::uint8_t>(byte_at(data, 6 + 3 * i)),
                            .h = static_cast<std::uint8_t>(sampling >> 4),
                            .v = static_cast<std::uint8_t>(sampling & 15),
                            .quantization = static_cast<std::uint8_t>(byte_at(data, 8 + 3 * i))};
    if (component.h < 1 || component.h > 4 || component.v < 1 || component.v > 4 || component.quantization > 3)
      return false;
    if (count == 1) component.h = component.v = 1;
    for (const ScanComponent& other : scan.components)
      if (other.id == component.id) return false;
    scan.components.push_back(component);
  }
  return true;
}

bool take_quantizations(Scan& scan, Bytes data) {
  while (!data.empty()) {
    const unsigned number = byte_at(data, 0) & 15;
    const std::size_t each_bytes = byte_at(data, 0) >> 4 == 0 ? 1 : 2;
    if (number > 3 || data.size() < 1 + 64 * each_bytes) return false;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t at = 1 + i * each_bytes;
      const auto value = each_bytes == 1 ? byte_at(data, at) : load_big<std::uint16_t>(data, at);
      scan.quantizations[number][k_natural_order[i]] = static_cast<std::uint16_t>(value);
    }
    data = data.subspan(1 + 64 * each_bytes);
  }
  return true;
}

bool take_huffman_tables(Scan& scan, Bytes data) {
  while (!data.empty()) {
    const unsigned number = byte_at(data, 0) & 15;
    const unsigned kind = byte_at(data, 0) >> 4;
    if (number > 3 || kind > 1 || data.size() < 17) return false;
    HuffmanTable table;
    for (std::size_t i = 0; i < 16; ++i)
      table.symbol_count += table.counts[i] = std::to_integer<std::uint8_t>(data[1 + i]);
    if (table.symbol_count > 256 || data.size() < 17 + table.symbol_count) return false;
    for (std::size_t i = 0; i < table.symbol_count; ++i) table.symbols[i] = std::to_integer<std::uint8_t>(data[17 + i]);
    if (kind == 0)
      scan.dc[number] = HuffmanDecoder::make(table, Coefficients::dc);
    else
      scan.ac[number] = HuffmanDecoder::make(table, Coefficients::ac);
    data = data.subspan(17 + table.symbol_count);
  }
  return true;
}

/// All components, in the frame's order, all coefficients.
bool take_scan_header(Scan& scan, Bytes data) {
  const std::size_t count = scan.components.size();
  if (count == 0 || data.size() != 4 + 2 * count || byte_at(data, 0) != count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    ScanComponent& component = scan.components[i];
    const unsigned tables = byte_at(data, 2 + 2 * i);
    component.dc = static_cast<std::uint8_t>(tables >> 4);
    component.ac = static_cast<std::uint8_t>(tables & 15);
    if (byte_at(data, 1 + 2 * i) != component.id || component.dc > 3 || component.ac > 3) return false;
    if (!scan.dc[component.dc] || !scan.ac[component.ac] || scan.quantization(i)[0] == 0) return false;
    scan.blocks.insert(scan.blocks.end(), std::size_t{component.h} * component.v, static_cast<std::uint8_t>(i));
  }
  const Bytes range = data.subspan(1 + 2 * count);
  if (byte_at(range, 0) != 0 || byte_at(range, 1) != 63 || byte_at(range, 2) != 0) return false;
  if (scan.blocks.size() > k_mcu_blocks_max) return false;
  unsigned h = 1;
  unsigned v = 1;
  for (const ScanComponent& component : scan.components) {
    h = std::max<unsigned>(h, component.h);
    v = std::max<unsigned>(v, component.v);
  }
  scan.mcus_across = (scan.width + 8 * h - 1) / (8 * h);
  scan.mcus = scan.mcus_across * ((scan.height + 8 * v - 1) / (8 * v));
  return true;
}

/// Copies the data up to the end marker without what only keeps them apart from markers.
bool take_data(Scan& scan, Bytes stuffed) {
  scan.data = std::make_unique_for_overwrite<std::byte[]>(stuffed.size() + BitReader::k_padding_bytes);
  scan.intervals.push_back(0);
  std::byte* to = scan.data.get();
  for (std::size_t at = 0;;) {
    const void* found = std::memchr(stuffed.data() + at, 0xFF, stuffed.size() - at);
    if (found == nullptr) return false;
    const auto end = static_cast<std::size_t>(static_cast<const std::byte*>(found) - stuffed.data());
    std::memcpy(to, stuffed.data() + at, end - at);
    to += end - at;
    if (end + 1 >= stuffed.size()) return false;
    const unsigned code = byte_at(stuffed, end + 1);
    at = end + 2;
    if (code == 0xD9) break;
    if (code == 0) {
      *to++ = std::byte{0xFF};
      continue;
    }
    const std::size_t number = scan.intervals.size();
    if (scan.restart_interval == 0 || code != 0xD0 + (number - 1) % 8 || number >= scan.mcus) return false;
    scan.intervals.push_back(static_cast<std::size_t>(to - scan.data.get()));
  }
  scan.data_bytes = static_cast<std::size_t>(to - scan.data.get());
  std::memset(to, 0, BitReader::k_padding_bytes);
  const std::size_t each = scan.restart_interval == 0 ? scan.mcus : scan.restart_interval;
  return scan.intervals.size() == (scan.mcus + each - 1) / each;
}

bool take_segment(Scan& scan, unsigned marker, Bytes data) {
  switch (marker) {
    case 0xC0:
    case 0xC1:
      return take_frame(scan, data);
    case 0xC4:
      return take_huffman_tables(scan, data);
    case 0xDB:
      return take_quantizations(scan, data);
    case 0xDA:
      return take_scan_header(scan, data);
    case 0xDD:
      if (data.size() == 2) scan.restart_interval = load_big<std::uint16_t>(data, 0);
      return data.size() == 2;
    default:
      return marker == 0xFE || (marker >= 0xE0 && marker <= 0xEF);
  }
}

bool skim_mcu(const Scan& scan, BitReader& reader, Entry& at) {
  for (const std::uint8_t c : scan.blocks) {
    const ScanComponent& component = scan.components[c];
    if (!read_block(reader, *scan.dc[component.dc], *scan.ac[component.ac], at.dc[c], [](auto...) {})) return false;
    if (reader.position() > scan.data_bytes * 8) return false;
  }
  at.position = reader.position();
  ++at.mcu;
  return true;
}

/// What a thread that began to read at `begin`, as if an MCU did, has met.
struct Chunk {
  std::vector<Entry> first;  ///< the first MCUs, counted from its own beginning
  Entry last;                ///< the first behind the chunk
};

Chunk skim(const Scan& scan, std::uint64_t begin, std::uint64_t end) {
  Chunk chunk;
  BitReader reader(scan.data.get(), begin);
  chunk.last.position = begin;
  while (chunk.last.position < end) {
    if (chunk.first.size() < k_records) chunk.first.push_back(chunk.last);
    if (skim_mcu(scan, reader, chunk.last)) continue;
    chunk.first.clear();
    chunk.last = {.position = std::min(reader.position(), end) + 1};
    reader.seek(chunk.last.position);
  }
  return chunk;
}

/// Goes from a true state to the one at the end of the chunk. False for a broken scan.
bool follow(const Scan& scan, const Chunk& chunk, std::uint64_t end, Entry& now) {
  BitReader reader(scan.data.get(), now.position);
  auto record = chunk.first.begin();
  while (now.position < end) {
    while (record != chunk.first.end() && record->position < now.position) ++record;
    if (record != chunk.first.end() && record->position == now.position) {
      now.position = chunk.last.position;
      now.mcu += chunk.last.mcu - record->mcu;
      for (std::size_t c = 0; c < now.dc.size(); ++c) now.dc[c] += chunk.last.dc[c] - record->dc[c];
      return true;
    }
    if (!skim_mcu(scan, reader, now)) return false;
  }
  return true;
}

std::vector<Entry> interval_entries(const Scan& scan) {
  std::vector<Entry> entries;
  std::size_t next = 0;
  for (std::size_t i = 0; i < scan.intervals.size(); ++i) {
    if (scan.intervals[i] < next) continue;
    next = scan.intervals[i] + k_chunk_bytes;
    entries.push_back({scan.intervals[i] * 8, static_cast<std::uint32_t>(i * scan.restart_interval), {}});
  }
  return entries;
}

}  // namespace

bool usual(const Entry& at) {
  return std::all_of(at.dc.begin(), at.dc.end(), [](int dc) { return dc >= -k_dc_max && dc <= k_dc_max; });
}

std::unique_ptr<Scan> read_scan(Bytes file) {
  auto scan = std::make_unique<Scan>();
  for (std::size_t at = 2; at + 4 <= file.size();) {
    const unsigned marker = load_big<std::uint16_t>(file, at);
    const std::size_t length = load_big<std::uint16_t>(file, at + 2);
    if (marker < 0xFFC0 || length < 2 || length > file.size() - at - 2) return nullptr;
    if (!take_segment(*scan, marker & 0xFF, file.subspan(at + 4, length - 2))) return nullptr;
    at += 2 + length;
    if (marker == 0xFFDA) return take_data(*scan, file.subspan(at)) ? std::move(scan) : nullptr;
  }
  return nullptr;
}

std::size_t scan_bytes_max(std::size_t file_bytes, std::uint64_t mcus) {
  const std::size_t intervals = 2 * sizeof(std::size_t) * std::min<std::uint64_t>(mcus, file_bytes / 2 + 1);
  const std::size_t chunks = file_bytes / k_chunk_bytes + 2;
  return sizeof(Scan) + file_bytes + BitReader::k_padding_bytes + intervals + mcus * sizeof(std::uint64_t) +
         chunks * (2 * k_records * sizeof(Entry) + sizeof(Chunk) + 2 * sizeof(Entry)) + 4096;
}

bool restart(const Scan& scan, BitReader& reader, Entry& at) {
  if (scan.restart_interval == 0 || at.mcu % scan.restart_interval != 0) return true;
  const std::uint64_t begin = scan.intervals[at.mcu / scan.restart_interval] * 8;
  if (reader.position() > begin || begin - reader.position() >= 8) return false;
  reader.seek(begin);
  at.position = begin;
  at.dc = {};
  return true;
}

std::vector<Entry> entries_of(const Scan& scan, Arena& arena) {
  if (scan.restart_interval != 0) return interval_entries(scan);
  std::vector<Entry> entries{Entry{}};
  const std::size_t chunk_count = scan.data_bytes / k_chunk_bytes;
  if (chunk_count < 2 || arena.threads() < 2) return entries;
  const auto begin_of = [](std::size_t i) { return std::uint64_t{i} * k_chunk_bytes * 8; };
  std::vector<Chunk> chunks(chunk_count - 1);  // where the last one ends is of no interest
  arena.parallel_for(chunks.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) chunks[i] = skim(scan, begin_of(i), begin_of(i + 1));
  });
  Entry now;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (!follow(scan, chunks[i], begin_of(i + 1), now) || now.mcu >= scan.mcus || !usual(now)) return {};
    entries.push_back(now);
  }
  return entries;
}

}  // namespace histod::compute::codec::jpeg
