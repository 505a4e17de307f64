// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/image_files.hpp"

/// Baseline JPEGs of one scan, read as the standard describes them, bit by bit: slow, plain, and independent of
/// compute/ and of libjpeg.
namespace histod::test {

struct NaiveJpeg {
  struct Component {
    unsigned id = 0, h = 1, v = 1, quantization = 0, dc_table = 0, ac_table = 0;
  };
  struct Mcu {
    std::uint64_t begin = 0;      ///< bits before it, without stuffing and markers
    std::uint64_t chroma = 0;     ///< where the second component begins
    std::array<int, 3> before{};  ///< DC predictions
  };
  std::vector<unsigned> markers;                              ///< all, in order, but those of restarts
  std::map<unsigned, std::vector<unsigned>> tables;           ///< number -> quantization in the file's order
  std::map<unsigned, std::map<std::string, unsigned>> codes;  ///< kind * 16 + number -> code -> symbol
  unsigned width = 0, height = 0, restart_interval = 0, restarts = 0;
  std::vector<Component> components;
  std::vector<Mcu> mcus;
  std::uint64_t bits = 0;  ///< of all data
  /// Of each component, in the order of the file, padding included, in zigzag order.
  std::vector<std::vector<std::array<int, 64>>> blocks;
  std::string why;  ///< what is wrong; empty for a file that keeps to the standard

  explicit NaiveJpeg(const FileBytes& file);
};

}  // namespace histod::test
