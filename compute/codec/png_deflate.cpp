// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/png_deflate.hpp"

#include <array>

#include <emmintrin.h>

#include "compute/codec/huffman.hpp"
#include "compute/count_words.hpp"
#include "compute/kernels.hpp"

namespace histod::compute::codec::png {
namespace {

constexpr std::size_t k_block_literals_max = 32u << 10;
constexpr std::size_t k_block_runs_max = 8u << 10;
constexpr std::size_t k_run_bytes_min = 5;  ///< measured: shorter runs cost more than their literals
constexpr std::size_t k_run_bytes_max = 258;
constexpr std::size_t k_mask_bytes = 16;
constexpr unsigned k_code_bits_max = 12;  ///< four codes fit into the bit buffer at once; Deflate itself allows 15
constexpr unsigned k_order_bits_max = 7;
constexpr std::size_t k_literal_codes = 286;
constexpr std::size_t k_distance_codes = 2;
constexpr std::size_t k_end_of_block = 256;
constexpr std::size_t k_stored_bytes_max = 65'535;
/// Of the codes of one block: 14 bits of counts, 19 of 3 bits, and at most 7 + 7 for each length.
constexpr std::size_t k_block_header_bytes_max = 640;
constexpr std::size_t k_word_bytes = 8;  ///< the bit buffer is stored whole

/// Bytes that repeat the one before them.
struct Run {
  std::uint32_t at, bytes;
};

/// How Deflate writes a length: a code, and bits behind it.
struct Length {
  std::uint16_t code = 0;
  std::uint8_t bits = 0, extra = 0;
};

constexpr auto k_lengths = [] {
  std::array<Length, k_run_bytes_max + 1> table{};
  std::size_t bytes = 3;
  for (unsigned code = 0; code < 28; ++code) {
    const unsigned bits = code < 8 ? 0 : code / 4 - 1;
    for (unsigned extra = 0; extra < 1u << bits; ++extra)
      table[bytes++] = {static_cast<std::uint16_t>(k_end_of_block + 1 + code), static_cast<std::uint8_t>(bits),
                        static_cast<std::uint8_t>(extra)};
  }
  table[k_run_bytes_max] = {k_literal_codes - 1, 0, 0};
  return table;
}();

class BitWriter {
 public:
  explicit BitWriter(std::byte* out) : at_(out) {}

  /// At most 57 bits between two calls of flush().
  void add(std::uint64_t value, unsigned bits) {
    buffer_ |= value << count_;
    count_ += bits;
  }
  /// Stores whole bytes; up to eight bytes are overwritten.
  void flush() {
    store(std::span(at_, k_word_bytes), 0, buffer_, std::endian::little);
    at_ += count_ >> 3;
    buffer_ >>= count_ & ~7u;
    count_ &= 7;
  }
  void put(std::uint64_t value, unsigned bits) {
    add(value, bits);
    flush();
  }
  void align() {
    count_ = (count_ + 7) & ~7u;
    flush();
  }
  void put_bytes(Bytes bytes) {
    std::memmove(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  std::byte* at() const { return at_; }

 private:
  std::byte* at_;
  std::uint64_t buffer_ = 0;
  unsigned count_ = 0;
};

/// Bit i stays when `length` bits of the mask are set from i on.
template <std::size_t length>
unsigned run_starts(unsigned mask) {
  if constexpr (length == 1)
    return mask;
  else
    return run_starts<length / 2>(mask) & run_starts<length - length / 2>(mask >> (length / 2));
}

unsigned equal_mask(const std::byte* a, const std::byte* b) {
  const __m128i left = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
  const __m128i right = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(left, right)));
}

std::size_t equal_bytes(const std::byte* a, const std::byte* b, std::size_t limit) {
  std::size_t n = 0;
  for (; n + 16 <= limit; n += 16) {
    const unsigned mask = equal_mask(a + n, b + n);
    if (mask != 0xffff) return n + static_cast<std::size_t>(std::countr_one(mask));
  }
  while (n < limit && a[n] == b[n]) ++n;
  return n;
}

/// One block: where its runs are, and how often each code is written.
class Block {
 public:
  /// Goes through `raw` from `begin` to where the block is full.
  Block(Bytes raw, std::size_t begin);
  std::size_t end() const { return end_; }
  void write(BitWriter& out, bool last);

 private:
  void find_runs();
  void add_run(std::size_t at, std::size_t bytes);
  void count_literals(std::size_t to);
  void write_literals(BitWriter& out, std::size_t from, std::size_t to) const;
  void write_coded(BitWriter& out) const;
  void write_stored(BitWriter& out, bool last) const;
  std::size_t coded_bits() const;

  const Bytes raw_;
  const std::size_t begin_;
  std::size_t end_;
  std::size_t counted_;  ///< literals before it are in the counts
  std::size_t literals_ = 0;
  std::size_t runs_ = 0;
  std::array<Run, k_block_runs_max> run_;
  std::array<std::uint32_t, k_literal_codes> counts_{};
  std::array<std::uint32_t, k_count_tables_u8> literal_counts_{};
  std::array<std::uint8_t, k_literal_codes + k_distance_codes> bits_{};
  std::array<std::uint16_t, k_literal_codes> codes_;
};

Block::Block(Bytes raw, std::size_t begin) : raw_(raw), begin_(begin), end_(raw.size()), counted_(begin) {
  find_runs();
  count_literals(end_);
  for (std::size_t i = 0; i < literal_counts_.size(); ++i) counts_[i % 256] += literal_counts_[i];
  counts_[k_end_of_block] = 1;
}

void Block::count_literals(std::size_t to) {
  const std::byte* raw = raw_.data();
  std::size_t i = counted_;
  for (; i + 8 <= to; i += 8) count_eight(word_at(raw + i), literal_counts_.data());
  for (; i < to; ++i) ++literal_counts_[std::to_integer<std::size_t>(raw[i])];
  literals_ += to - counted_;
  counted_ = to;
}

void Block::add_run(std::size_t at, std::size_t bytes) {
  count_literals(at);
  counted_ = at + bytes;
  run_[runs_++] = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(bytes)};
  ++counts_[k_lengths[bytes].code];
}

void Block::find_runs() {
  const std::byte* raw = raw_.data();
  std::size_t at = std::max<std::size_t>(begin_, 1);
  while (at + k_mask_bytes <= raw_.size()) {
    if (literals_ + at - counted_ >= k_block_literals_max || runs_ == k_block_runs_max) {
      end_ = at;
      return;
    }
    const unsigned starts = run_starts<k_run_bytes_min>(equal_mask(raw + at, raw + at - 1));
    if (starts == 0) {
      at += k_mask_bytes - k_run_bytes_min + 1;
      continue;
    }
    at += static_cast<std::size_t>(std::countr_zero(starts));
    const std::size_t bytes = equal_bytes(raw + at, raw + at - 1, std::min(k_run_bytes_max, raw_.size() - at));
    add_run(at, bytes);
    at += bytes;
  }
}

constexpr std::array<std::uint8_t, 19> k_order{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

/// The lengths of the codes of a block as its header tells them: repetitions are symbols of their own.
struct CodeLengths {
  struct Symbol {
    std::uint8_t symbol, extra_bits, extra;
  };
  std::array<Symbol, k_literal_codes + k_distance_codes> symbols;
  std::size_t size = 0;
  std::array<std::uint32_t, 19> counts{};
  std::array<std::uint8_t, 19> bits;
  std::array<std::uint16_t, 19> codes;
  std::size_t told = 19;  ///< of k_order

  explicit CodeLengths(std::span<const std::uint8_t> lengths) {
    for (std::size_t i = 0; i < lengths.size();) {
      std::size_t same = 1;
      while (i + same < lengths.size() && lengths[i + same] == lengths[i]) ++same;
      i += same;
      add_run(lengths[i - 1], same);
    }
    huffman_lengths(counts, k_order_bits_max, bits);
    huffman_codes(bits, codes);
    while (bits[k_order[told - 1]] == 0) --told;
  }

  std::size_t bit_count() const {
    std::size_t sum = 3 * told;
    for (std::size_t i = 0; i < size; ++i) sum += bits[symbols[i].symbol] + symbols[i].extra_bits;
    return sum;
  }

 private:
  void add(unsigned symbol, unsigned extra_bits = 0, std::size_t extra = 0) {
    ++counts[symbol];
    symbols[size++] = {static_cast<std::uint8_t>(symbol), static_cast<std::uint8_t>(extra_bits),
                       static_cast<std::uint8_t>(extra)};
  }
  void add_run(unsigned length, std::size_t same) {
    if (length != 0) {
      add(length);
      --same;
    }
    while (same >= 3) {
      const std::size_t part = std::min<std::size_t>(same, length != 0 ? 6 : 138);
      if (length != 0)
        add(16, 2, part - 3);
      else if (part <= 10)
        add(17, 3, part - 3);
      else
        add(18, 7, part - 11);
      same -= part;
    }
    for (; same > 0; --same) add(length);
  }
};

void Block::write(BitWriter& out, bool last) {
  huffman_lengths(counts_, k_code_bits_max, std::span(bits_).first(k_literal_codes));
  huffman_codes(std::span(bits_).first(k_literal_codes), codes_);
  // The code of distance 1, and another that is never used: a code of one symbol is not taken by all decoders.
  std::fill_n(bits_.begin() + k_literal_codes, k_distance_codes, std::uint8_t{1});
  const CodeLengths lengths(bits_);
  const std::size_t raw_bytes = end_ - begin_;
  const std::size_t stored_bytes = raw_bytes + 5 * (raw_bytes / k_stored_bytes_max + 1);
  if ((lengths.bit_count() + coded_bits()) / 8 + 1 >= stored_bytes) return write_stored(out, last);
  out.add(last ? 1 : 0, 1);
  out.add(2, 2);
  out.add(k_literal_codes - 257, 5);
  out.add(k_distance_codes - 1, 5);
  out.put(lengths.told - 4, 4);
  for (std::size_t i = 0; i < lengths.told; ++i) out.put(lengths.bits[k_order[i]], 3);
  for (std::size_t i = 0; i < lengths.size; ++i) {
    const auto& symbol = lengths.symbols[i];
    out.add(lengths.codes[symbol.symbol], lengths.bits[symbol.symbol]);
    out.put(symbol.extra, symbol.extra_bits);
  }
  write_coded(out);
}

std::size_t Block::coded_bits() const {
  std::size_t bits = 3 + 14;
  for (std::size_t i = 0; i < k_literal_codes; ++i) bits += std::size_t{counts_[i]} * bits_[i];
  for (std::size_t i = 0; i < runs_; ++i) bits += k_lengths[run_[i].bytes].bits + 1;
  return bits;
}

void Block::write_literals(BitWriter& out, std::size_t from, std::size_t to) const {
  const std::byte* raw = raw_.data();
  // A copy: what is written might lie over `out` itself, for all that the compiler knows, which would go to memory.
  BitWriter writer = out;
  const auto add = [&](std::byte literal) {
    const auto symbol = std::to_integer<std::size_t>(literal);
    writer.add(codes_[symbol], bits_[symbol]);
  };
  for (; from + 4 <= to; from += 4) {
    add(raw[from]);
    add(raw[from + 1]);
    add(raw[from + 2]);
    add(raw[from + 3]);
    writer.flush();
  }
  for (; from < to; ++from) {
    add(raw[from]);
    writer.flush();
  }
  out = writer;
}

void Block::write_coded(BitWriter& out) const {
  std::size_t at = begin_;
  for (std::size_t i = 0; i < runs_; ++i) {
    const Run& run = run_[i];
    write_literals(out, at, run.at);
    at = std::size_t{run.at} + run.bytes;
    const Length& length = k_lengths[run.bytes];
    out.add(codes_[length.code], bits_[length.code]);
    out.add(length.extra, length.bits);
    out.put(0, 1);  // distance 1
  }
  write_literals(out, at, end_);
  out.put(codes_[k_end_of_block], bits_[k_end_of_block]);
}

void Block::write_stored(BitWriter& out, bool last) const {
  for (std::size_t at = begin_; at < end_;) {
    const std::size_t bytes = std::min(k_stored_bytes_max, end_ - at);
    out.put(last && at + bytes == end_ ? 1 : 0, 3);
    out.align();
    out.put(bytes | (~bytes & 0xffff) << 16, 32);
    out.put_bytes(raw_.subspan(at, bytes));
    at += bytes;
  }
}

}  // namespace

std::size_t deflate_lead_bytes(std::size_t raw_bytes) {
  // A block is never longer than its bytes stored, but within it literals of 12 bits may come first, before what repays
  // them. Stored pieces begin with 3 bits, up to 7 to the next byte, and 32.
  return std::min(raw_bytes, k_block_literals_max + 2 * k_mask_bytes) / 2 + k_block_header_bytes_max +
         8 * (raw_bytes / k_block_literals_max + 2) + k_word_bytes;
}

std::size_t deflate_bytes_max(std::size_t raw_bytes) { return raw_bytes + deflate_lead_bytes(raw_bytes); }

std::byte* deflate_rows(Bytes raw, bool last, std::byte* out) {
  BitWriter writer(out);
  for (std::size_t at = 0; at < raw.size();) {
    Block block(raw, at);
    at = block.end();
    block.write(writer, last && at == raw.size());
  }
  if (!last) {
    writer.put(0, 3);
    writer.align();
    writer.put(0xffff0000, 32);
  }
  writer.align();
  return writer.at();
}

}  // namespace histod::compute::codec::png
