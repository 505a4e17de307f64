// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "compute/codec/jpeg_dct.hpp"
#include "compute/codec/jpeg_huffman.hpp"
#include "compute/codec/jpeg_markers.hpp"

/// Baseline JPEGs of one scan, as nearly all are, read by all threads of an arena. Whatever is out of the ordinary in
/// such a file is left to libjpeg, which also says what is wrong: here it is only "no".
namespace histod::compute::codec::jpeg {

struct ScanComponent {
  std::uint8_t id = 0;
  std::uint8_t h = 1;
  std::uint8_t v = 1;
  std::uint8_t quantization = 0;  ///< number of its table
  std::uint8_t dc = 0;            ///< number of its Huffman tables
  std::uint8_t ac = 0;
};

struct Scan {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::vector<ScanComponent> components;
  std::array<Quantization, 4> quantizations{};
  std::array<std::optional<HuffmanDecoder>, 4> dc;
  std::array<std::optional<HuffmanDecoder>, 4> ac;
  std::uint32_t restart_interval = 0;  ///< in MCUs; 0: none

  std::uint32_t mcus_across = 0;
  std::uint32_t mcus = 0;
  std::vector<std::uint8_t> blocks;  ///< of an MCU: the component of each

  std::unique_ptr<std::byte[]> data;  ///< without stuffing and markers, and with a reader's padding
  std::size_t data_bytes = 0;
  std::vector<std::size_t> intervals;  ///< where in `data` each restart interval begins

  const Quantization& quantization(std::size_t component) const {
    return quantizations[components[component].quantization];
  }
};

/// Null unless all of the file, up to its end marker, is what this knows.
std::unique_ptr<Scan> read_scan(Bytes file);
/// What read_scan() allocates at most for a file of that size, and entries_of() and Places besides.
std::size_t scan_bytes_max(std::size_t file_bytes, std::uint64_t mcus);

/// State between two MCUs.
struct Entry {
  std::uint64_t position = 0;  ///< in bits of Scan::data
  std::uint32_t mcu = 0;
  std::array<int, 3> dc{};  ///< of the last block of each component
};

/// Whether the DC coefficients are ones that 8-bit samples can have.
constexpr int k_dc_max = 2047;
bool usual(const Entry& at);

/// Places from which the scan can be decoded, in order, the first at its beginning. Found by the arena's threads, each
/// of which begins anywhere: Huffman codes fall into step by themselves. Empty for a scan that is broken.
std::vector<Entry> entries_of(const Scan& scan, Arena& arena);

/// Reads a block: take(place, value) for each coefficient but the first, `place` in zigzag order, some of them 0 and at
/// places up to 64 + k_end_of_block. False where libjpeg must judge.
template <class Take>
bool read_block(BitReader& reader, const HuffmanDecoder& dc, const HuffmanDecoder& ac, int& prediction,
                const Take& take) {
  reader.refill();
  const Step first = dc.find_step(reader.bits());
  if (first.total == 0) return false;
  prediction += first.value;
  reader.skip(first.total);
  unsigned place = 1;
  const auto one = [&] {
    const Step step = ac.find_step(reader.bits());
    if (step.total == 0) return false;
    place += step.step;
    take(place - 1, step.value);
    reader.skip(step.total);
    return true;
  };
  while (place < 64) {
    if (!one()) return false;
    if (place >= 64) break;
    reader.refill();
    if (!one()) return false;
  }
  return place == 64 || place >= k_end_of_block;
}

/// Goes over to the next restart interval, when `at` is where one begins.
bool restart(const Scan& scan, BitReader& reader, Entry& at);

/// Where decode_luma() came by, for who wants to read the scan again.
struct Places {
  std::uint32_t band_mcus = 0;
  std::vector<Entry> bands;            ///< the state before each band
  std::vector<std::uint64_t> chromas;  ///< position of each MCU's second component; none for gray
  Places(const Scan& scan, std::uint32_t each_mcus);
};

/// Decodes the first component, which has the full resolution, to `page`. False where libjpeg must judge: then page and
/// places hold anything.
bool decode_luma(const Scan& scan, const ImageView& page, Places& places, Arena& arena);

}  // namespace histod::compute::codec::jpeg
