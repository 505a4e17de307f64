// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <bit>

#include "compute/codec/jpeg_encode.hpp"
#include "compute/codec/jpeg_size.hpp"
#include "compute/codec/jpeg_zigzag.hpp"

/// Luma equalization of a baseline JPEG by all threads: Y is made anew from its plane, while the codes of Cb and Cr go
/// from the input's Huffman tables to those of the output without becoming an array of coefficients in between.
namespace histod::compute::codec::jpeg {
namespace {

/// Of luma, then of chroma.
struct Tables {
  std::array<HuffmanTable, 2> dc;
  std::array<HuffmanTable, 2> ac;
};
struct Counts {
  std::array<SymbolCounts, 2> dc{};
  std::array<SymbolCounts, 2> ac{};
};

/// Writes what leads the data, into memory that has room.
class HeaderWriter {
 public:
  explicit HeaderWriter(std::span<std::byte> out) : out_(out) {}
  void byte(std::size_t value) { out_[at_++] = static_cast<std::byte>(value); }
  void word(std::size_t value) {
    byte(value >> 8);
    byte(value & 0xFF);
  }
  /// `bytes`: what follows the length.
  void segment(unsigned marker, std::size_t bytes) {
    at_ = put_marker(out_, at_, marker);
    word(bytes + 2);
  }
  void start() { at_ = put_marker(out_, at_, 0xD8); }
  void copy(Bytes data) {
    std::memcpy(out_.data() + at_, data.data(), data.size());
    at_ += data.size();
  }
  std::size_t size() const { return at_; }

 private:
  std::span<std::byte> out_;
  std::size_t at_ = 0;
};

constexpr std::size_t k_tables_bytes_max = 3072;  ///< all that leads the data but APPn and COM

bool is_wide(const Quantization& table) {
  return std::any_of(table.begin(), table.end(), [](unsigned value) { return value > 255; });
}

void write_quantizations(HeaderWriter& to, const Scan& scan) {
  unsigned written = 0;
  for (std::size_t c = 0; c < scan.components.size(); ++c) {
    const unsigned number = scan.components[c].quantization;
    if ((written >> number & 1) != 0) continue;
    written |= 1u << number;
    const Quantization& table = scan.quantizations[number];
    const bool wide = is_wide(table);
    to.segment(0xDB, 1 + (wide ? 128 : 64));
    to.byte((wide ? 0x10 : 0) + number);
    for (const std::uint8_t place : k_natural_order) wide ? to.word(table[place]) : to.byte(table[place]);
  }
}

void write_frame(HeaderWriter& to, const Scan& scan) {
  bool wide = false;
  for (std::size_t c = 0; c < scan.components.size(); ++c) wide = wide || is_wide(scan.quantization(c));
  to.segment(wide ? 0xC1 : 0xC0, 6 + 3 * scan.components.size());
  to.byte(8);
  to.word(scan.height);
  to.word(scan.width);
  to.byte(scan.components.size());
  for (const ScanComponent& component : scan.components) {
    to.byte(component.id);
    to.byte(component.h * 16u + component.v);
    to.byte(component.quantization);
  }
}

void write_huffman_table(HeaderWriter& to, const HuffmanTable& table, unsigned kind_and_number) {
  to.segment(0xC4, 17 + table.symbol_count);
  to.byte(kind_and_number);
  to.copy(std::as_bytes(std::span(table.counts)));
  to.copy(std::as_bytes(std::span(table.symbols).first(table.symbol_count)));
}

void write_scan_header(HeaderWriter& to, const Scan& scan) {
  to.segment(0xDA, 4 + 2 * scan.components.size());
  to.byte(scan.components.size());
  for (std::size_t c = 0; c < scan.components.size(); ++c) {
    to.byte(scan.components[c].id);
    to.byte(c == 0 ? 0x00 : 0x11);
  }
  to.byte(0);
  to.byte(63);
  to.byte(0);
}

/// Returns how long it is; nothing when it does not fit.
std::size_t write_header(const Scan& scan, const ScanCut& cut, const Tables& tables,
                         std::span<const OwnedSegment> segments, std::span<std::byte> out) {
  std::size_t needed = k_tables_bytes_max;
  for (const OwnedSegment& segment : segments) needed += 4 + segment.data().size();
  if (needed > out.size()) return 0;
  HeaderWriter to(out);
  to.start();
  for (const OwnedSegment& segment : segments) {
    to.segment(segment.marker, segment.data().size());
    to.copy(segment.data());
  }
  write_quantizations(to, scan);
  write_frame(to, scan);
  for (unsigned i = 0; i < 2; ++i) {
    write_huffman_table(to, tables.dc[i], i);
    write_huffman_table(to, tables.ac[i], 0x10 + i);
  }
  if (cut.interval_mcus != 0) {
    to.segment(0xDD, 2);
    to.word(cut.interval_mcus);
  }
  write_scan_header(to, scan);
  return to.size();
}

/// For each row of a block and each set of its columns: the places of a file that these are.
constexpr auto k_places_of = [] {
  std::array<std::array<std::uint64_t, 256>, 8> places{};
  for (std::size_t place = 0; place < 64; ++place) {
    const std::size_t row = k_natural_order[place] / 8;
    const std::size_t column = k_natural_order[place] % 8;
    for (std::size_t set = 0; set < 256; ++set)
      if ((set >> column & 1) != 0) places[row][set] |= std::uint64_t{1} << place;
  }
  return places;
}();

/// Bits of a value behind its code: its own, or one less for a negative one.
std::uint32_t value_bits(int value, unsigned size) {
  return static_cast<std::uint32_t>(value + (value >> 31)) & ((1u << size) - 1);
}
unsigned size_of(int value) {
  return static_cast<unsigned>(std::bit_width(static_cast<unsigned>(value < 0 ? -value : value)));
}

/// Where symbols go, each with the bits of its value: into a table of counts ...
struct Counter {
  SymbolCounts& dc_counts;
  SymbolCounts& ac_counts;
  void dc(unsigned symbol, std::uint32_t) { ++dc_counts[symbol]; }
  void ac(unsigned symbol, std::uint32_t) { ++ac_counts[symbol]; }
};
/// ... or into the file.
struct Coder {
  const HuffmanEncoder& dc_codes;
  const HuffmanEncoder& ac_codes;
  BitWriter& to;
  void put(HuffmanEncoder::Code code, unsigned size, std::uint32_t bits) {
    to.put(std::uint64_t{code.bits} << size | bits, code.length + size);
  }
  void dc(unsigned symbol, std::uint32_t bits) { put(dc_codes.codes[symbol], symbol, bits); }
  void ac(unsigned symbol, std::uint32_t bits) { put(ac_codes.codes[symbol], symbol & 15, bits); }
};

void put_dc(auto& to, int difference) {
  const unsigned size = size_of(difference);
  to.dc(size, value_bits(difference, size));
}

/// `nonzero` as the forward DCT tells it.
void put_block(auto& to, const std::int16_t* coefficients, std::uint64_t nonzero, int& prediction) {
  put_dc(to, coefficients[0] - prediction);
  prediction = coefficients[0];
  std::uint64_t places = 0;
  for (std::size_t row = 0; row < 8; ++row) places |= k_places_of[row][nonzero >> (8 * row) & 0xFF];
  unsigned last = 0;
  for (places &= ~std::uint64_t{1}; places != 0; places &= places - 1) {
    const auto place = static_cast<unsigned>(std::countr_zero(places));
    unsigned run = place - last - 1;
    for (; run > 15; run -= 16) to.ac(0xF0, 0);
    const int value = coefficients[k_natural_order[place]];
    const unsigned size = size_of(value);
    to.ac(run << 4 | size, value_bits(value, size));
    last = place;
  }
  if (last != 63) to.ac(0, 0);
}

/// A block of `from` as it is. False for a scan that was not what decode() found.
bool copy_block(auto& to, BitReader& from, const HuffmanDecoder& from_dc, const HuffmanDecoder& from_ac,
                int& from_prediction, int& prediction) {
  from.refill();
  const Step first = from_dc.find_step(from.bits());
  if (first.total == 0) return false;
  from_prediction += first.value;
  from.skip(first.total);
  put_dc(to, from_prediction - prediction);
  prediction = from_prediction;
  for (unsigned place = 1; place < 64;) {
    from.refill();
    const Symbol symbol = from_ac.find(from.bits());
    if (symbol.length == 0) return false;
    to.ac(symbol.byte, static_cast<std::uint32_t>(from.bits() << symbol.length >> 1 >> (63 - symbol.size)));
    from.skip(unsigned{symbol.length} + symbol.size);
    place += symbol.step;
  }
  return true;
}

struct Job {
  const ImageView& page;
  const Scan& scan;
  const ScanCut& cut;
  const Places& places;
  Quantizer quantizer;
  ForwardDct forward;
};

/// Beyond the image its last column and row go on, as in libjpeg.
void put_edge_block(const Job& job, auto& to, std::uint32_t x, std::uint32_t y, int& prediction) {
  const ImageView& page = job.page;
  if (x >= page.width || y >= page.height) {  // nobody sees it: the cheapest there is
    put_dc(to, 0);
    to.ac(0, 0);
    return;
  }
  std::uint8_t samples[64];
  for (std::uint32_t i = 0; i < 64; ++i)
    samples[i] = std::to_integer<std::uint8_t>(
        page.row(std::min(y + i / 8, page.height - 1))[std::min(x + i % 8, page.width - 1)]);
  std::int16_t coefficients[64];
  const std::uint64_t nonzero = job.forward(samples, 8, job.quantizer, coefficients);
  put_block(to, coefficients, nonzero, prediction);
}

void put_luma_block(const Job& job, auto& to, std::uint32_t x, std::uint32_t y, int& prediction) {
  const ImageView& page = job.page;
  if (x + 8 > page.width || y + 8 > page.height) return put_edge_block(job, to, x, y, prediction);
  std::int16_t coefficients[64];
  const auto* samples = reinterpret_cast<const std::uint8_t*>(page.row(y)) + x;
  const std::uint64_t nonzero = job.forward(samples, page.stride_bytes, job.quantizer, coefficients);
  put_block(to, coefficients, nonzero, prediction);
}

/// `at` is the input's state, `predictions` the output's.
bool put_mcu(const Job& job, auto& luma_to, auto& chroma_to, Entry& at, std::array<int, 3>& predictions) {
  const Scan& scan = job.scan;
  const ScanComponent& luma = scan.components[0];
  const std::uint32_t x = at.mcu % scan.mcus_across * 8 * luma.h;
  const std::uint32_t y = at.mcu / scan.mcus_across * 8 * luma.v;
  for (std::uint32_t block = 0; block < std::uint32_t{luma.h} * luma.v; ++block)
    put_luma_block(job, luma_to, x + 8 * (block % luma.h), y + 8 * (block / luma.h), predictions[0]);
  if (scan.restart_interval != 0 && at.mcu % scan.restart_interval == 0) at.dc = {};
  BitReader from(scan.data.get(), job.places.chromas[at.mcu]);
  for (std::size_t i = std::size_t{luma.h} * luma.v; i < scan.blocks.size(); ++i) {
    const std::uint8_t c = scan.blocks[i];
    const ScanComponent& component = scan.components[c];
    if (!copy_block(chroma_to, from, *scan.dc[component.dc], *scan.ac[component.ac], at.dc[c], predictions[c]))
      return false;
  }
  ++at.mcu;
  return true;
}

std::unexpected<Error> not_the_same() { return fail(Errc::corrupt, "the JPEG is not the one that was decoded"); }

/// Of an image in bands an eighth of each is counted: that is as good as all.
constexpr std::uint32_t k_counted_part = 8;

/// Counts the symbols of the band that begins at `at`, or of a part of them.
bool count_band(const Job& job, Entry at, Counts& counts) {
  const std::uint32_t part = job.cut.bands == 1 ? job.cut.band_mcus : job.cut.band_mcus / k_counted_part + 1;
  const std::uint32_t end = std::min(job.scan.mcus, at.mcu + part);
  Counter luma{counts.dc[0], counts.ac[0]};
  Counter chroma{counts.dc[1], counts.ac[1]};
  std::array<int, 3> predictions{};
  while (at.mcu < end) {
    if (job.cut.interval_mcus != 0 && at.mcu % job.cut.interval_mcus == 0) predictions = {};
    if (!put_mcu(job, luma, chroma, at, predictions)) return false;
  }
  return true;
}

/// What was not met in the parts that were counted may still come.
void count_all_once(Counts& counts) {
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t size = 0; size <= 11; ++size) ++counts.dc[i][size];
    for (std::size_t run = 0; run < 16; ++run)
      for (std::size_t size = 1; size <= 10; ++size) ++counts.ac[i][run << 4 | size];
    ++counts.ac[i][0];
    ++counts.ac[i][0xF0];
  }
}

Result<Tables> best_tables(const Job& job, std::span<const Entry> bands, Arena& arena) {
  std::vector<Counts> counts(bands.size());
  std::atomic<bool> good = true;
  arena.parallel_for(bands.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      if (!count_band(job, bands[i], counts[i])) good = false;
  });
  if (!good) return not_the_same();
  Counts& sum = counts[0];
  for (std::size_t band = 1; band < bands.size(); ++band) {
    for (std::size_t i = 0; i < 512; ++i) {
      sum.dc[i / 256][i % 256] += counts[band].dc[i / 256][i % 256];
      sum.ac[i / 256][i % 256] += counts[band].ac[i / 256][i % 256];
    }
  }
  if (bands.size() > 1) count_all_once(sum);
  return Tables{{best_table(sum.dc[0]), best_table(sum.dc[1])}, {best_table(sum.ac[0]), best_table(sum.ac[1])}};
}

void copy_table(HuffmanTable& to, const JHUFF_TBL& from) {
  for (std::size_t i = 0; i < 16; ++i) to.symbol_count += to.counts[i] = from.bits[i + 1];
  std::copy_n(std::begin(from.huffval), to.symbol_count, to.symbols.begin());
}

/// The tables of the standard's annex K, as libjpeg has them.
Result<Tables> standard_tables() {
  Tables tables;
  LibraryState state;
  Compressor compressor;
  Destination nowhere;
  const bool done = guarded(state.jump, [&] {
    jpeg_compress_struct& compress = compressor.object;
    open(compress, state, nowhere, {});
    compress.input_components = 3;
    compress.in_color_space = JCS_RGB;
    jpeg_set_defaults(&compress);
    for (std::size_t i = 0; i < 2; ++i) {
      copy_table(tables.dc[i], *compress.dc_huff_tbl_ptrs[i]);
      copy_table(tables.ac[i], *compress.ac_huff_tbl_ptrs[i]);
    }
  });
  if (!done) return state.failure();
  return tables;
}

struct Encoders {
  std::array<HuffmanEncoder, 2> dc;
  std::array<HuffmanEncoder, 2> ac;
  explicit Encoders(const Tables& tables)
      : dc{HuffmanEncoder(tables.dc[0]), HuffmanEncoder(tables.dc[1])},
        ac{HuffmanEncoder(tables.ac[0]), HuffmanEncoder(tables.ac[1])} {}
};

/// The data of the band that begins at `at`, with the restart markers inside of it.
Result<Bytes> encode_band(const Job& job, const Encoders& codes, Entry at, std::span<std::byte> out) {
  const std::uint32_t first = at.mcu;
  const std::uint32_t end = std::min(job.scan.mcus, first + job.cut.band_mcus);
  BitWriter to(out.data());
  Coder luma{codes.dc[0], codes.ac[0], to};
  Coder chroma{codes.dc[1], codes.ac[1], to};
  std::array<int, 3> predictions{};
  while (at.mcu < end) {
    if (out.data() + out.size() - to.end() < static_cast<std::ptrdiff_t>(k_mcu_bytes_max))
      return output_full(out.size());
    if (job.cut.interval_mcus != 0 && at.mcu != first && at.mcu % job.cut.interval_mcus == 0) {
      const auto here = static_cast<std::size_t>(to.finish() - out.data());
      to = BitWriter(out.data() + put_marker(out, here, 0xD0 + (at.mcu / job.cut.interval_mcus - 1) % 8));
      predictions = {};
    }
    if (!put_mcu(job, luma, chroma, at, predictions)) return not_the_same();
  }
  return Bytes(out).first(static_cast<std::size_t>(to.finish() - out.data()));
}

std::size_t slot_bytes(const KeptScan& kept, std::size_t band) {
  const Scan& scan = *kept.scan;
  const Entry& begin = kept.places.bands[band];
  const std::uint64_t end =
      band + 1 < kept.places.bands.size() ? kept.places.bands[band + 1].position : scan.data_bytes * 8;
  const std::uint64_t mcus = std::min(kept.cut.band_mcus, scan.mcus - begin.mcu);
  const std::uint64_t luma = mcus * scan.components[0].h * scan.components[0].v;
  return luma_band_bytes_max(luma, mcus * scan.blocks.size() - luma, (end - begin.position) / 8 + 1);
}

Result<std::size_t> encode_with(const Job& job, const Tables& tables, const KeptScan& kept,
                                std::span<const OwnedSegment> segments, std::span<std::byte> out, Arena& arena) {
  const std::size_t header_bytes = write_header(job.scan, job.cut, tables, segments, out);
  std::vector<std::span<std::byte>> slots;
  std::size_t at = header_bytes;
  for (std::size_t i = 0; i < kept.places.bands.size(); ++i) {
    const std::size_t bytes = slot_bytes(kept, i);
    if (header_bytes == 0 || bytes > out.size() - at) return output_full(out.size());
    slots.push_back(out.subspan(at, bytes));
    at += bytes;
  }
  const Encoders codes(tables);
  std::vector<Result<Bytes>> parts(slots.size());
  arena.parallel_for(slots.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) parts[i] = encode_band(job, codes, kept.places.bands[i], slots[i]);
  });
  BandJoin join(out, job.cut.interval_mcus == 0 ? 1 : job.cut.band_mcus / job.cut.interval_mcus);
  for (Result<Bytes>& part : parts) {
    if (!part) return std::unexpected(std::move(part.error()));
    join.add(*part);
  }
  return join.finish();
}

}  // namespace

Result<std::size_t> encode_luma_bands(const Image& image, const KeptScan& kept, std::span<std::byte> out,
                                      Arena& arena) {
  const ImageView& page = image.pages[0];
  const std::vector<OwnedSegment> segments = output_segments(image, page.format);
  const Job job{page, *kept.scan, kept.cut, kept.places, Quantizer(kept.scan->quantization(0)), dct().forward};
  auto tables = best_tables(job, kept.places.bands, arena);
  if (!tables) return std::unexpected(tables.error());
  auto size = encode_with(job, *tables, kept, segments, out, arena);
  if (size || size.error().code != Errc::output_full) return size;
  // An image that is quite another one where it was not counted: the bound is that of these tables.
  tables = standard_tables();
  if (!tables) return std::unexpected(tables.error());
  return encode_with(job, *tables, kept, segments, out, arena);
}

}  // namespace histod::compute::codec::jpeg
