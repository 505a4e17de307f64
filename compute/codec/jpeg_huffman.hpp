// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "compute/codec/bytes.hpp"

/// Huffman coding of baseline JPEG: tables, and readers and writers of bits.
namespace histod::compute::codec::jpeg {

/// A table as DHT gives it: how many codes there are of each length, and their symbols, shortest first.
struct HuffmanTable {
  std::array<std::uint8_t, 16> counts{};
  std::array<std::uint8_t, 256> symbols{};
  std::size_t symbol_count = 0;
};

/// What a code stands for: zeros, then a value of `size` bits that follow the code.
struct Symbol {
  std::uint8_t length = 0;  ///< bits of the code; 0: no such code
  std::uint8_t size = 0;
  std::uint8_t step = 0;  ///< AC: places to go on, the value's own included
  std::uint8_t byte = 0;  ///< as DHT has it
};

/// The same with the value, for codes that are short enough together with it.
struct Step {
  std::int16_t value = 0;
  std::uint8_t total = 0;  ///< bits of code and value; 0: not here
  std::uint8_t step = 0;
};

/// Added to a block's place by an end-of-block code: tells an end from a run over the end.
constexpr unsigned k_end_of_block = 128;

enum class Coefficients : bool { dc, ac };

class HuffmanDecoder {
 public:
  /// Nothing for a table that is no prefix code, or has symbols that 8-bit samples do not need.
  static std::optional<HuffmanDecoder> make(const HuffmanTable& table, Coefficients kind);

  /// `bits` has the code at its top.
  Symbol find(std::uint64_t bits) const {
    const Symbol symbol = short_[bits >> (64 - k_short_bits)];
    return symbol.length != 0 ? symbol : find_long(bits);
  }
  /// The same with the value; total 0: no such code.
  Step find_step(std::uint64_t bits) const {
    const Step step = steps_[bits >> (64 - k_short_bits)];
    return step.total != 0 ? step : find_long_step(bits);
  }

 private:
  static constexpr unsigned k_short_bits = 10;
  Symbol find_long(std::uint64_t bits) const;
  Step find_long_step(std::uint64_t bits) const;

  std::array<Step, 1u << k_short_bits> steps_{};
  std::array<Symbol, 1u << k_short_bits> short_{};
  std::array<Symbol, 256> symbols_{};
  std::array<std::uint32_t, 17> ends_{};    ///< codes of each length end before this, counted at 16 bits
  std::array<std::uint32_t, 17> firsts_{};  ///< the first code of each length
  std::array<std::uint32_t, 17> indexes_{};
};

/// Bits of entropy-coded data without stuffing, from `position` on. Behind the data there must be k_padding_bytes.
class BitReader {
 public:
  static constexpr std::size_t k_padding_bytes = 512;  ///< more than a block can have

  BitReader(const std::byte* data, std::uint64_t position) : data_(data) { seek(position); }
  std::uint64_t bits() const { return bits_; }
  /// Makes at least 56 bits valid: those of two codes with their values.
  void refill() {
    std::uint64_t big;
    std::memcpy(&big, next_, sizeof(big));
    bits_ |= std::byteswap(big) >> count_;
    next_ += (63 - count_) >> 3;
    count_ |= 56;
  }
  void skip(unsigned count) {
    bits_ <<= count;
    count_ -= count;
  }
  std::uint64_t position() const { return static_cast<std::uint64_t>(next_ - data_) * 8 - count_; }
  void seek(std::uint64_t position) {
    next_ = data_ + (position >> 3);
    bits_ = 0;
    count_ = 0;
    refill();
    skip(position & 7);
  }

 private:
  const std::byte* data_;
  const std::byte* next_ = nullptr;
  std::uint64_t bits_ = 0;
  unsigned count_ = 0;  ///< of valid bits; those behind them are right, too, or 0
};

/// Codes by symbol; length 0: not in the table.
struct HuffmanEncoder {
  struct Code {
    std::uint16_t bits = 0;
    std::uint16_t length = 0;
  };
  std::array<Code, 256> codes{};
  explicit HuffmanEncoder(const HuffmanTable& table);
};

/// How often each symbol is needed.
using SymbolCounts = std::array<std::uint64_t, 256>;
/// The shortest codes for symbols as frequent as `counts` says; those with 0 get none.
HuffmanTable best_table(const SymbolCounts& counts);

/// Writes bits with stuffing into memory that must have room.
class BitWriter {
 public:
  explicit BitWriter(std::byte* to) : to_(to) {}
  /// At most 32 bits; `value` has no others.
  void put(std::uint64_t value, unsigned count) {
    held_ = held_ << count | value;
    count_ += count;
    if (count_ >= 32) write_four();
  }
  /// Fills the last byte with ones and returns where the data end.
  std::byte* finish();
  /// Where what is complete ends; up to eight bytes are held back.
  const std::byte* end() const { return to_; }

 private:
  void write_four() {
    count_ -= 32;
    const auto four = static_cast<std::uint32_t>(held_ >> count_);
    // A byte of ones is one whose complement is zero.
    const std::uint32_t complement = ~four;
    if (((complement - 0x01010101u) & four & 0x80808080u) != 0) return write_stuffed(four);
    const std::uint32_t big = std::byteswap(four);
    std::memcpy(to_, &big, 4);
    to_ += 4;
  }
  void write_stuffed(std::uint32_t four);

  std::byte* to_;
  std::uint64_t held_ = 0;
  unsigned count_ = 0;
};

}  // namespace histod::compute::codec::jpeg
