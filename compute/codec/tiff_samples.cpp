// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/tiff_samples.hpp"

#include <array>
#include <utility>

namespace histod::compute::codec::tiff {
namespace {

/// With the pixel before in registers: the sum of a sample is not waited for in memory.
template <class T, std::size_t... channel>
void add_in_registers(T* row, std::size_t count, std::index_sequence<channel...> channels) {
  std::array<T, channels.size()> sum{};
  for (std::size_t i = 0; i + channels.size() <= count; i += channels.size())
    ((row[i + channel] = sum[channel] = static_cast<T>(sum[channel] + row[i + channel])), ...);
}

template <class T>
void add_neighbours(T* row, std::size_t count, std::size_t step) {
  switch (step) {
    case 1:
      return add_in_registers(row, count, std::make_index_sequence<1>());
    case 2:
      return add_in_registers(row, count, std::make_index_sequence<2>());
    case 3:
      return add_in_registers(row, count, std::make_index_sequence<3>());
    case 4:
      return add_in_registers(row, count, std::make_index_sequence<4>());
    default:
      for (std::size_t i = step; i < count; ++i) row[i] = static_cast<T>(row[i] + row[i - step]);
  }
}

/// From the end of the row; sixteen bytes at once are read before any of them is written.
template <class T>
void subtract_neighbours(T* row, std::size_t count, std::size_t step) {
  constexpr std::size_t k_lanes = 16 / sizeof(T);
  typedef T Lanes __attribute__((vector_size(16)));
  std::size_t end = count;
  for (; end >= step + k_lanes; end -= k_lanes) {
    Lanes here, before;
    std::memcpy(&here, row + end - k_lanes, sizeof here);
    std::memcpy(&before, row + end - k_lanes - step, sizeof before);
    here -= before;
    std::memcpy(row + end - k_lanes, &here, sizeof here);
  }
  while (end-- > step) row[end] = static_cast<T>(row[end] - row[end - step]);
}

template <class Body8, class Body16>
void for_rows(const Layout& layout, std::span<std::byte> chunk, std::uint32_t rows, Body8 body8, Body16 body16) {
  const std::size_t row_bytes = layout.chunk_row_bytes();
  for (std::uint32_t y = 0; y < rows; ++y) {
    std::byte* row = chunk.data() + y * row_bytes;
    if (layout.bits == 16)
      body16(reinterpret_cast<std::uint16_t*>(row), row_bytes / 2, layout.chunk_samples());
    else
      body8(reinterpret_cast<std::uint8_t*>(row), row_bytes, layout.chunk_samples());
  }
}

/// Table from a packed or palette sample to 1 or 3 bytes.
std::array<std::array<std::byte, 3>, 256> expansion(const Page& source) {
  std::array<std::array<std::byte, 3>, 256> table{};
  const unsigned entries = 1u << source.layout.bits;
  bool narrow = true;  // some writers store 8-bit values in the colour map
  for (std::size_t i = 0; i < source.color_map.size() / 2; ++i)
    narrow = narrow && load<std::uint16_t>(source.color_map, 2 * i, source.layout.order) < 256;
  for (unsigned i = 0; i < entries; ++i) {
    if (!source.palette()) {
      table[i].fill(static_cast<std::byte>(i * 255 / (entries - 1)));
      continue;
    }
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned value = load<std::uint16_t>(source.color_map, 2 * (c * entries + i), source.layout.order);
      table[i][c] = static_cast<std::byte>(narrow ? value : value >> 8);
    }
  }
  return table;
}

void expand(const Page& source, const Chunk& chunk, Bytes samples, const ImageView& page) {
  const auto table = expansion(source);
  const unsigned bits = source.layout.bits;
  const unsigned mask = (1u << bits) - 1;
  const unsigned colors = page.format.colors;
  for (std::uint32_t y = 0; y < chunk.live_rows; ++y) {
    const Bytes from = samples.subspan(y * source.layout.chunk_row_bytes());
    std::byte* to = page.row(chunk.y + y) + std::size_t{chunk.x} * colors;
    for (std::uint32_t x = 0; x < chunk.live_width; ++x, to += colors) {
      const std::size_t bit = std::size_t{x} * bits;
      const unsigned value = std::to_integer<unsigned>(from[bit / 8]) >> (8 - bits - bit % 8) & mask;
      for (unsigned c = 0; c < colors; ++c) to[c] = table[value][c];
    }
  }
}

/// Bits of a mask page: what is not 0 is set.
void pack_bits(const Layout& layout, const Chunk& chunk, const ImageView& page, std::span<std::byte> samples) {
  std::fill(samples.begin(), samples.end(), std::byte{0});
  for (std::uint32_t y = 0; y < chunk.live_rows; ++y) {
    const std::byte* from = page.row(chunk.y + y) + chunk.x;
    std::byte* to = samples.data() + y * layout.chunk_row_bytes();
    for (std::uint32_t x = 0; x < chunk.live_width; ++x)
      if (from[x] >= std::byte{128}) to[x / 8] |= std::byte{0x80} >> (x % 8);
  }
}

/// Copies `count` samples; one of the two sides may have other samples between them.
template <class T>
void copy_strided(std::byte* to, std::size_t to_step, const std::byte* from, std::size_t from_step, std::size_t count) {
  auto* target = reinterpret_cast<T*>(to);
  const auto* source = reinterpret_cast<const T*>(from);
  for (std::size_t i = 0; i < count; ++i) target[i * to_step] = source[i * from_step];
}

}  // namespace

bool chunk_is_rows(const Layout& layout, const ImageView& page) {
  return !layout.tiled && !layout.separate && layout.bits == page.format.depth_bits &&
         layout.samples == page.format.channels() && layout.chunk_row_bytes() == page.row_bytes();
}

void restore_samples(const Layout& layout, std::span<std::byte> chunk, std::uint32_t rows) {
  if (layout.bits == 16 && layout.order != std::endian::native)
    copy_swapped16(chunk.data(), chunk.data(), chunk.size() / 2);
  if (layout.predictor) for_rows(layout, chunk, rows, add_neighbours<std::uint8_t>, add_neighbours<std::uint16_t>);
}

void difference_samples(const Layout& layout, std::span<std::byte> chunk, std::uint32_t rows) {
  if (layout.predictor)
    for_rows(layout, chunk, rows, subtract_neighbours<std::uint8_t>, subtract_neighbours<std::uint16_t>);
  if (layout.bits == 16 && layout.order != std::endian::native)
    copy_swapped16(chunk.data(), chunk.data(), chunk.size() / 2);
}

void scatter(const Page& source, const Chunk& chunk, Bytes samples, const ImageView& page) {
  const Layout& layout = source.layout;
  if (source.palette() || layout.bits < 8) return expand(source, chunk, samples, page);
  const std::size_t sample_bytes = layout.bits / 8;
  const std::size_t channels = page.format.channels();
  for (std::uint32_t y = 0; y < chunk.live_rows; ++y) {
    const std::byte* from = samples.data() + y * layout.chunk_row_bytes();
    std::byte* to = page.row(chunk.y + y) + (chunk.x * channels + chunk.plane) * sample_bytes;
    if (!layout.separate)
      std::memcpy(to, from, chunk.live_width * page.format.bytes_per_pixel());
    else if (sample_bytes == 2)
      copy_strided<std::uint16_t>(to, channels, from, 1, chunk.live_width);
    else
      copy_strided<std::uint8_t>(to, channels, from, 1, chunk.live_width);
  }
}

void gather(const Layout& layout, const Chunk& chunk, const ImageView& page, std::span<std::byte> samples) {
  if (layout.bits < 8) return pack_bits(layout, chunk, page, samples);
  const std::size_t sample_bytes = layout.bits / 8;
  const std::size_t channels = page.format.channels();
  const std::size_t row_bytes = layout.chunk_row_bytes();
  const std::size_t pixel_bytes = layout.chunk_samples() * sample_bytes;
  for (std::uint32_t y = 0; y < chunk.rows; ++y) {
    std::byte* to = samples.data() + y * row_bytes;
    if (y >= chunk.live_rows) {
      std::memcpy(to, to - row_bytes, row_bytes);
      continue;
    }
    const std::byte* from = page.row(chunk.y + y) + (chunk.x * channels + chunk.plane) * sample_bytes;
    if (!layout.separate)
      std::memcpy(to, from, chunk.live_width * pixel_bytes);
    else if (sample_bytes == 2)
      copy_strided<std::uint16_t>(to, 1, from, channels, chunk.live_width);
    else
      copy_strided<std::uint8_t>(to, 1, from, channels, chunk.live_width);
    for (std::size_t x = chunk.live_width * pixel_bytes; x < row_bytes; ++x) to[x] = to[x - pixel_bytes];
  }
}

void invert_colors(const Layout& layout, const Chunk& chunk, const PixelFormat& format, std::span<std::byte> samples) {
  const std::size_t colors_bytes = format.colors * format.bytes_per_sample();
  const std::size_t pixel_bytes = format.bytes_per_pixel();
  if (layout.separate || colors_bytes == pixel_bytes) {
    if (layout.separate && chunk.plane >= format.colors) return;
    for (std::byte& sample : samples) sample = ~sample;
    return;
  }
  for (std::size_t at = 0; at + pixel_bytes <= samples.size(); at += pixel_bytes)
    for (std::size_t b = 0; b < colors_bytes; ++b) samples[at + b] = ~samples[at + b];
}

}  // namespace histod::compute::codec::tiff
