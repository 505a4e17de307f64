// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_huffman.hpp"

#include <vector>

namespace histod::compute::codec::jpeg {
namespace {

constexpr unsigned k_dc_size_max = 11;
constexpr unsigned k_ac_size_max = 10;

std::optional<Symbol> symbol_of(std::uint8_t byte, unsigned length, Coefficients kind) {
  const unsigned run = byte >> 4;
  const unsigned size = byte & 15;
  unsigned step = 0;
  if (kind == Coefficients::dc) {
    if (byte > k_dc_size_max) return {};
  } else {
    const bool zeros_only = size == 0;
    if (size > k_ac_size_max || (zeros_only && run != 0 && run != 15)) return {};
    step = byte == 0 ? k_end_of_block : run + 1;
  }
  return Symbol{static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(size), static_cast<std::uint8_t>(step),
                byte};
}

/// With the value that `bits` has behind the code: its own when its first bit is 1, else a negative one.
Step step_of(const Symbol& symbol, std::uint64_t bits) {
  int value = 0;
  if (symbol.size != 0) {
    const std::uint64_t rest = bits << symbol.length;
    value = static_cast<int>(rest >> (64 - symbol.size));
    if (static_cast<std::int64_t>(rest) >= 0) value += 1 - (1 << symbol.size);
  }
  return {static_cast<std::int16_t>(value), static_cast<std::uint8_t>(symbol.length + symbol.size), symbol.step};
}

/// A tree of Huffman's: joins the two rarest until one is left. The depth of each leaf that has a count.
std::array<unsigned, 257> depths_of(const std::array<std::uint64_t, 257>& counts) {
  struct Node {
    std::uint64_t count;
    std::size_t leaf;
  };
  std::array<unsigned, 257> depths{};
  std::array<std::size_t, 257> groups{};  // of each leaf
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    groups[i] = i;
    if (counts[i] > 0) nodes.push_back({counts[i], i});
  }
  const auto rarer = [](const Node& a, const Node& b) {
    return a.count != b.count ? a.count > b.count : a.leaf > b.leaf;
  };
  std::make_heap(nodes.begin(), nodes.end(), rarer);
  const auto take = [&] {
    std::pop_heap(nodes.begin(), nodes.end(), rarer);
    const Node node = nodes.back();
    nodes.pop_back();
    return node;
  };
  while (nodes.size() > 1) {
    const Node a = take();
    const Node b = take();
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (counts[i] == 0 || (groups[i] != a.leaf && groups[i] != b.leaf)) continue;
      ++depths[i];
      groups[i] = a.leaf;
    }
    nodes.push_back({a.count + b.count, a.leaf});
    std::push_heap(nodes.begin(), nodes.end(), rarer);
  }
  return depths;
}

/// Codes of more than 16 bits are none in JPEG: pairs of them go up, at the price of a shorter code, as annex K says.
void limit_lengths(std::array<unsigned, 258>& of_length) {
  for (std::size_t length = of_length.size() - 1; length > 16; --length) {
    while (of_length[length] > 0) {
      std::size_t shorter = length - 2;
      while (of_length[shorter] == 0) --shorter;
      of_length[length] -= 2;
      ++of_length[length - 1];
      of_length[shorter + 1] += 2;
      --of_length[shorter];
    }
  }
}

}  // namespace

HuffmanTable best_table(const SymbolCounts& counts) {
  // One more symbol, the rarest, gets the code that is all ones, which JPEG does not allow; it is then dropped.
  std::array<std::uint64_t, 257> with_reserve{};
  for (std::size_t i = 0; i < 256; ++i) with_reserve[i] = counts[i] * 2;
  with_reserve[256] = 1;
  const auto depths = depths_of(with_reserve);
  std::array<unsigned, 258> of_length{};
  for (const unsigned depth : depths) ++of_length[depth];
  of_length[0] = 0;
  limit_lengths(of_length);
  std::size_t longest = 16;
  while (longest > 0 && of_length[longest] == 0) --longest;
  HuffmanTable table;
  if (longest == 0) return table;
  --of_length[longest];
  for (std::size_t i = 0; i < 16; ++i) table.counts[i] = static_cast<std::uint8_t>(of_length[i + 1]);
  for (unsigned depth = 1; depth < 257; ++depth)
    for (std::size_t i = 0; i < 256; ++i)
      if (depths[i] == depth) table.symbols[table.symbol_count++] = static_cast<std::uint8_t>(i);
  return table;
}

std::optional<HuffmanDecoder> HuffmanDecoder::make(const HuffmanTable& table, Coefficients kind) {
  HuffmanDecoder decoder;
  std::uint32_t code = 0;  // of 16 bits
  std::size_t index = 0;
  for (unsigned length = 1; length <= 16; ++length) {
    decoder.firsts_[length] = code;
    decoder.indexes_[length] = static_cast<std::uint32_t>(index);
    const std::uint32_t step = 1u << (16 - length);
    for (unsigned i = 0; i < table.counts[length - 1]; ++i, ++index, code += step) {
      if (code + step > 0x10000 || index >= table.symbol_count) return {};
      const auto symbol = symbol_of(table.symbols[index], length, kind);
      if (!symbol) return {};
      decoder.symbols_[index] = *symbol;
      if (length > k_short_bits) continue;
      const std::size_t first = code >> (16 - k_short_bits);
      std::fill_n(decoder.short_.begin() + static_cast<std::ptrdiff_t>(first), 1u << (k_short_bits - length), *symbol);
    }
    decoder.ends_[length] = code;
  }
  for (std::size_t i = 0; i < decoder.short_.size(); ++i) {
    const Symbol& symbol = decoder.short_[i];
    if (symbol.length != 0 && symbol.length + symbol.size <= k_short_bits)
      decoder.steps_[i] = step_of(symbol, std::uint64_t{i} << (64 - k_short_bits));
  }
  return decoder;
}

Symbol HuffmanDecoder::find_long(std::uint64_t bits) const {
  const auto code = static_cast<std::uint32_t>(bits >> 48);
  for (unsigned length = k_short_bits + 1; length <= 16; ++length)
    if (code < ends_[length]) return symbols_[indexes_[length] + ((code - firsts_[length]) >> (16 - length))];
  return {};
}

Step HuffmanDecoder::find_long_step(std::uint64_t bits) const {
  const Symbol symbol = find(bits);
  return symbol.length != 0 ? step_of(symbol, bits) : Step{};
}

HuffmanEncoder::HuffmanEncoder(const HuffmanTable& table) {
  unsigned code = 0;
  std::size_t index = 0;
  for (unsigned length = 1; length <= 16; ++length, code <<= 1)
    for (unsigned i = 0; i < table.counts[length - 1]; ++i, ++index, ++code)
      codes[table.symbols[index]] = {static_cast<std::uint16_t>(code), static_cast<std::uint16_t>(length)};
}

void BitWriter::write_stuffed(std::uint32_t four) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    const auto byte = static_cast<std::byte>(four >> shift);
    *to_++ = byte;
    if (byte == std::byte{0xFF}) *to_++ = std::byte{0};
  }
}

std::byte* BitWriter::finish() {
  const unsigned missing = (8 - count_ % 8) % 8;
  held_ = held_ << missing | ((1u << missing) - 1);
  count_ += missing;
  while (count_ > 0) {
    count_ -= 8;
    const auto byte = static_cast<std::byte>(held_ >> count_);
    *to_++ = byte;
    if (byte == std::byte{0xFF}) *to_++ = std::byte{0};
  }
  return to_;
}

}  // namespace histod::compute::codec::jpeg
