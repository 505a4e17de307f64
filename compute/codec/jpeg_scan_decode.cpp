// SPDX-License-Identifier: Apache-2.0
#include <atomic>

#include "compute/codec/jpeg_scan.hpp"
#include "compute/codec/jpeg_zigzag.hpp"

namespace histod::compute::codec::jpeg {
namespace {

struct Decoding {
  const Scan& scan;
  const ImageView& page;
  Places& places;
  InverseDct inverse;
};

void show_flat(const ImageView& page, std::uint8_t sample, std::uint32_t x, std::uint32_t y) {
  for (std::uint32_t i = 0; i < std::min(8u, page.height - y); ++i)
    std::memset(page.row(y + i) + x, sample, std::min(8u, page.width - x));
}

/// `flat`: only the first coefficient is not 0.
void show(const Decoding& to, const std::int16_t* coefficients, bool flat, std::uint32_t x, std::uint32_t y) {
  const ImageView& page = to.page;
  if (x >= page.width || y >= page.height) return;  // padding of the last MCUs
  const Quantization& quantization = to.scan.quantization(0);
  if (flat) return show_flat(page, flat_sample(coefficients[0], quantization), x, y);
  if (x + 8 <= page.width && y + 8 <= page.height)
    return to.inverse(coefficients, quantization, reinterpret_cast<std::uint8_t*>(page.row(y)) + x, page.stride_bytes);
  std::uint8_t samples[64];
  to.inverse(coefficients, quantization, samples, 8);
  for (std::uint32_t i = 0; i < std::min(8u, page.height - y); ++i)
    std::memcpy(page.row(y + i) + x, samples + std::size_t{8} * i, std::min(8u, page.width - x));
}

/// Where to put coefficients: behind the block what read_block() says of ends.
constexpr auto k_places = [] {
  std::array<std::uint8_t, 64 + k_end_of_block> places{};
  places.fill(64);
  std::copy(k_natural_order.begin(), k_natural_order.end(), places.begin());
  return places;
}();

bool decode_block(const Decoding& to, BitReader& reader, int& prediction, std::uint32_t x, std::uint32_t y) {
  const ScanComponent& luma = to.scan.components[0];
  std::int16_t coefficients[72] = {};
  int any = 0;
  const auto take = [&](unsigned place, std::int16_t value) {
    coefficients[k_places[place]] = value;
    any |= value;
  };
  if (!read_block(reader, *to.scan.dc[luma.dc], *to.scan.ac[luma.ac], prediction, take)) return false;
  coefficients[0] = static_cast<std::int16_t>(prediction);
  show(to, coefficients, any == 0, x, y);
  return true;
}

bool decode_mcu(const Decoding& to, BitReader& reader, Entry& at) {
  const Scan& scan = to.scan;
  const ScanComponent& luma = scan.components[0];
  const std::uint32_t x = at.mcu % scan.mcus_across * 8 * luma.h;
  const std::uint32_t y = at.mcu / scan.mcus_across * 8 * luma.v;
  std::uint32_t block = 0;
  for (const std::uint8_t c : scan.blocks) {
    if (c == 0) {
      if (!decode_block(to, reader, at.dc[0], x + 8 * (block % luma.h), y + 8 * (block / luma.h))) return false;
      ++block;
      if (block == unsigned{luma.h} * luma.v && !to.places.chromas.empty())
        to.places.chromas[at.mcu] = reader.position();
    } else {
      const ScanComponent& component = scan.components[c];
      if (!read_block(reader, *scan.dc[component.dc], *scan.ac[component.ac], at.dc[c], [](auto...) {})) return false;
    }
    if (reader.position() > scan.data_bytes * 8 || !usual(at)) return false;
  }
  at.position = reader.position();
  ++at.mcu;
  return true;
}

/// From one entry to the next, or to the end of the scan, where at most some padding may be left.
bool decode_part(const Decoding& to, Entry at, const Entry* next) {
  const Scan& scan = to.scan;
  BitReader reader(scan.data.get(), at.position);
  const std::uint32_t end = next != nullptr ? next->mcu : scan.mcus;
  while (at.mcu < end) {
    if (!restart(scan, reader, at)) return false;
    if (at.mcu % to.places.band_mcus == 0) to.places.bands[at.mcu / to.places.band_mcus] = at;
    if (!decode_mcu(to, reader, at)) return false;
  }
  if (next != nullptr) return restart(scan, reader, at) && at.position == next->position && at.dc == next->dc;
  return at.position <= scan.data_bytes * 8 && scan.data_bytes * 8 - at.position < 8;
}

}  // namespace

Places::Places(const Scan& scan, std::uint32_t each_mcus)
    : band_mcus(each_mcus),
      bands((scan.mcus + each_mcus - 1) / each_mcus),
      chromas(scan.components.size() > 1 ? scan.mcus : 0) {}

bool decode_luma(const Scan& scan, const ImageView& page, Places& places, Arena& arena) {
  const std::vector<Entry> entries = entries_of(scan, arena);
  const Decoding to{scan, page, places, dct().inverse};
  std::atomic<bool> good = !entries.empty();
  arena.parallel_for(entries.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end && good; ++i)
      if (!decode_part(to, entries[i], i + 1 < entries.size() ? &entries[i + 1] : nullptr)) good = false;
  });
  return good;
}

}  // namespace histod::compute::codec::jpeg
