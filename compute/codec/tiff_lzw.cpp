// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <vector>

#include "compute/codec/tiff_compression.hpp"

/// LZW as TIFF 6.0 section 13 has it: codes of 9 to 12 bits, most significant bit first, the width growing one code
/// early.
namespace histod::compute::codec::tiff::lzw {
namespace {

constexpr unsigned k_clear = 256;
constexpr unsigned k_end = 257;
constexpr unsigned k_first_free = 258;
constexpr unsigned k_codes_max = 4096;
constexpr unsigned k_last_before_clear = 4094;
constexpr unsigned k_width_min = 9;
constexpr unsigned k_width_max = 12;

constexpr std::size_t k_word_bytes = 8;

class BitReader {
 public:
  explicit BitReader(Bytes bytes) : bytes_(bytes) {}

  /// The next code, or k_codes_max when the bytes are used up.
  unsigned next(unsigned width) {
    if (count_ < width) refill();
    if (count_ < width) return k_codes_max;
    count_ -= width;
    return static_cast<unsigned>(bits_ >> count_) & ((1u << width) - 1);
  }

 private:
  void refill() {
    if (bytes_.size() - at_ >= k_word_bytes) {
      const unsigned bytes = (63 - count_) / 8;
      bits_ = bits_ << 8 * bytes | load_big<std::uint64_t>(bytes_, at_) >> (64 - 8 * bytes);
      at_ += bytes;
      count_ += 8 * bytes;
      return;
    }
    for (; count_ < k_width_max && at_ < bytes_.size(); count_ += 8)
      bits_ = bits_ << 8 | std::to_integer<std::uint64_t>(bytes_[at_++]);
  }

  Bytes bytes_;
  std::size_t at_ = 0;
  std::uint64_t bits_ = 0;  ///< the last count_ of them
  unsigned count_ = 0;
};

/// A string of the table is a piece of what is decoded already: the previous string and the byte after it.
class Piece {
 public:
  Piece() = default;
  Piece(std::size_t begin, std::size_t length) : packed_(begin << k_length_bits | length) {}
  std::size_t begin() const { return packed_ >> k_length_bits; }
  std::size_t length() const { return packed_ & ((1u << k_length_bits) - 1); }

 private:
  static constexpr unsigned k_length_bits = 16;  ///< a string is no longer than the table
  std::uint64_t packed_ = 0;
};

std::unexpected<Error> broken() { return fail(Errc::corrupt, "an LZW strip or tile of the TIFF is broken"); }

/// Copies whole words while there is room behind them: what they bring too much is written again by what follows. The
/// bytes that count lie before `to`.
void copy_string(std::byte* to, const std::byte* from, std::size_t count, std::size_t room) {
  if (count + k_word_bytes > room) {
    std::memcpy(to, from, std::min(count, room));
    return;
  }
  for (std::size_t i = 0; i < count; i += k_word_bytes) {
    std::uint64_t word;
    std::memcpy(&word, from + i, k_word_bytes);
    std::memcpy(to + i, &word, k_word_bytes);
  }
}

struct Decoder {
  std::span<std::byte> out;
  std::array<Piece, k_codes_max> table;
  std::size_t done = 0;
  Piece previous;
  unsigned free = k_first_free;
  unsigned width = k_width_min;

  void clear() {
    previous = {};
    free = k_first_free;
    width = k_width_min;
  }

  /// False when the code stands for nothing.
  bool emit(unsigned code) {
    const std::size_t at = done;
    if (code < k_clear) {
      out[done++] = static_cast<std::byte>(code);
    } else {
      if (previous.length() == 0 || code > free || code == k_codes_max) return false;
      const std::size_t room = out.size() - done;
      const Piece string = code < free ? table[code] : previous;
      copy_string(out.data() + done, out.data() + string.begin(), string.length(), room);
      done += std::min(string.length(), room);
      // The code that is just being defined: the previous string and its own first byte.
      if (code == free && done < out.size()) out[done++] = out[string.begin()];
    }
    if (previous.length() != 0 && free < k_codes_max) {
      table[free++] = {previous.begin(), previous.length() + 1};
      if (free + 1 >= 1u << width && width < k_width_max) ++width;
    }
    previous = {at, done - at};
    return true;
  }
};

/// Writes without looking at how much room there is: see compressed_bytes_max().
class Encoder {
 public:
  explicit Encoder(std::span<std::byte> out) : out_(out) { clear(); }

  void put(unsigned code) {
    bits_ = bits_ << width_ | code;
    count_ += width_;
    if (count_ < 32) return;
    count_ -= 32;
    store(out_, at_, static_cast<std::uint32_t>(bits_ >> count_), std::endian::big);
    at_ += 4;
  }

  /// Returns the bytes that were written.
  std::size_t flush() {
    store(out_, at_, bits_ << (64 - k_width_max - 32) << (k_width_max + 32 - count_), std::endian::big);
    return at_ + (count_ + 7) / 8;
  }

  /// The code of `prefix` followed by `byte`, or k_codes_max after having defined one.
  unsigned find(unsigned prefix, unsigned byte) {
    const std::uint32_t key = prefix << 8 | byte;
    std::size_t slot = (key * 2654435761u) >> (32 - k_slot_bits);
    for (; slots_[slot] != 0; slot = (slot + 1) % slots_.size())
      if (slots_[slot] >> k_width_max == key) return slots_[slot] % k_codes_max;
    slots_[slot] = key << k_width_max | free_;
    return k_codes_max;
  }

  /// After a code was put: the table has one entry more.
  void grow() {
    ++free_;
    if (free_ == k_last_before_clear) {
      put(k_clear);
      clear();
    } else if (free_ >= 1u << width_) {
      ++width_;
    }
  }

 private:
  static constexpr unsigned k_slot_bits = 13;

  void clear() {
    slots_.fill(0);
    free_ = k_first_free;
    width_ = k_width_min;
  }

  std::span<std::byte> out_;
  std::size_t at_ = 0;
  std::array<std::uint32_t, 1u << k_slot_bits> slots_;  ///< prefix, byte and code; 0: free
  std::uint64_t bits_ = 0;                              ///< the last count_ of them, fewer than 32
  unsigned count_ = 0;
  unsigned free_ = k_first_free;
  unsigned width_ = k_width_min;
};

}  // namespace

Result<void> decompress(Bytes chunk, std::span<std::byte> out) {
  if (chunk.size() >= 2 && chunk[0] == std::byte{0} && (chunk[1] & std::byte{1}) != std::byte{0})
    return fail(Errc::unsupported_feature, "the TIFF has LZW of the old bit order, from before TIFF 6.0");
  BitReader reader(chunk);
  Decoder decoder{.out = out, .table = {}, .previous = {}};
  while (decoder.done < out.size()) {
    const unsigned code = reader.next(decoder.width);
    if (code == k_codes_max || code == k_end)
      return fail(Errc::corrupt, "an LZW strip or tile of the TIFF is too short", decoder.done, out.size());
    if (code == k_clear)
      decoder.clear();
    else if (!decoder.emit(code))
      return broken();
  }
  return {};
}

void compress(Bytes chunk, Output& out) {
  assert(out.rest().size() >= compressed_bytes_max(Coding::lzw, 1, chunk.size()));
  Encoder encoder(out.rest());
  encoder.put(k_clear);
  if (!chunk.empty()) {
    unsigned prefix = std::to_integer<unsigned>(chunk[0]);
    for (const std::byte byte : chunk.subspan(1)) {
      const unsigned next = std::to_integer<unsigned>(byte);
      const unsigned code = encoder.find(prefix, next);
      if (code != k_codes_max) {
        prefix = code;
        continue;
      }
      encoder.put(prefix);
      encoder.grow();
      prefix = next;
    }
    encoder.put(prefix);
    encoder.grow();
  }
  encoder.put(k_end);
  out.take(encoder.flush());
}

}  // namespace histod::compute::codec::tiff::lzw
