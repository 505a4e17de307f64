// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

namespace histod::compute {

enum class ColorSpace : std::uint8_t { ycrcb, lab };

/// One row of RGB pixels as OpenCV's cvtColor sees it in another color space, of which the first channel is to be
/// changed. Always whole rows, and one at a time: OpenCV then starts no threads, and its results do not depend on how
/// an image was divided. L* is 8 bit where the samples are and all 256 levels count, else from float32, scaled to
/// 0..levels-1. Holds scratch of O(width); one for each task.
template <class T>
class ColorRow {
 public:
  /// `step`: samples a pixel, of which the first three are RGB.
  ColorRow(ColorSpace space, std::uint32_t width, unsigned step, std::uint32_t levels);
  ~ColorRow();
  ColorRow(const ColorRow&) = delete;
  ColorRow& operator=(const ColorRow&) = delete;

  void split(const T* pixels);
  T* values();  ///< Y or L* of each pixel since split()
  /// Writes the colors that the values now give, at most levels-1.
  void join(T* pixels);
  /// False once OpenCV has refused a conversion, which it does only for want of memory.
  bool healthy() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace histod::compute
