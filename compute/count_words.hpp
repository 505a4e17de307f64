// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

/// Inside compute/: eight bytes of samples counted, for the loops of every instruction set.
namespace histod::compute {

template <class T>
std::uint64_t word_at(const T* samples) {
  std::uint64_t word;
  std::memcpy(&word, samples, sizeof word);
  return word;
}

/// Four tables, so that equal neighbours do not wait for one another's store.
inline void count_eight(std::uint64_t eight, std::uint32_t* tables) {
  ++tables[eight & 0xff];
  ++tables[256 + ((eight >> 8) & 0xff)];
  ++tables[512 + ((eight >> 16) & 0xff)];
  ++tables[768 + ((eight >> 24) & 0xff)];
  ++tables[(eight >> 32) & 0xff];
  ++tables[256 + ((eight >> 40) & 0xff)];
  ++tables[512 + ((eight >> 48) & 0xff)];
  ++tables[768 + (eight >> 56)];
}

/// Eight packed pixels of three channels, in turn into the four tables of each channel.
inline void count_eight_pixels(const std::uint8_t* pixels, std::uint32_t* const* tables) {
  const std::uint64_t words[] = {word_at(pixels), word_at(pixels + 8), word_at(pixels + 16)};
#pragma GCC unroll 24
  for (std::size_t i = 0; i < 24; ++i) ++tables[i % 3][256 * (i / 3 % 4) + ((words[i / 8] >> (i % 8 * 8)) & 0xff)];
}

/// Four indices of 16 bits: 16-bit samples, or pairs of 8-bit ones.
inline void count_four(std::uint64_t four, std::uint32_t* table) {
  ++table[four & 0xffff];
  ++table[(four >> 16) & 0xffff];
  ++table[(four >> 32) & 0xffff];
  ++table[four >> 48];
}

/// The first and the last pair go to the table of pairs. The four between keep them apart: where pairs repeat, the
/// second would wait for the first.
inline void count_mixed(std::uint64_t eight, std::uint32_t* tables, std::uint32_t* pairs) {
  ++pairs[eight & 0xffff];
  ++tables[(eight >> 16) & 0xff];
  ++tables[256 + ((eight >> 24) & 0xff)];
  ++tables[512 + ((eight >> 32) & 0xff)];
  ++tables[768 + ((eight >> 40) & 0xff)];
  ++pairs[eight >> 48];
}

}  // namespace histod::compute
