// SPDX-License-Identifier: Apache-2.0
#include "compute/color_row.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include <emmintrin.h>
#include <opencv2/imgproc.hpp>

namespace histod::compute {
namespace {

/// The first three samples of each pixel, from pixels of one size to pixels of another.
template <class T>
void copy_colors(const T* from, std::size_t from_step, T* to, std::size_t to_step, std::size_t n) {
  if (from_step == 3 && to_step == 3) {
    std::copy_n(from, 3 * n, to);
    return;
  }
  for (std::size_t i = 0; i < n; ++i, from += from_step, to += to_step) std::copy_n(from, 3, to);
}

/// Rounds half to even, as the default mode of the CPU does.
template <class T>
T to_level(float value, float top) {
  return static_cast<T>(_mm_cvtss_si32(_mm_set_ss(std::clamp(value, 0.0f, top))));
}

}  // namespace

template <class T>
struct ColorRow<T>::State {
  static constexpr int k_depth = sizeof(T) == 1 ? CV_8U : CV_16U;

  State(ColorSpace chosen, std::uint32_t row_width, unsigned row_step, std::uint32_t levels)
      : space(chosen),
        as_float(chosen == ColorSpace::lab && (sizeof(T) == 2 || levels != 256)),
        width(row_width),
        step(row_step),
        top(levels - 1),
        values(row_width),
        rgb(1, static_cast<int>(row_width), CV_MAKETYPE(as_float ? CV_32F : k_depth, 3)),
        other(1, static_cast<int>(row_width), rgb.type()) {}

  void convert(const cv::Mat& from, cv::Mat& to, int code) {
    try {
      cv::cvtColor(from, to, code);
    } catch (const cv::Exception&) {
      is_healthy = false;
    }
  }

  const ColorSpace space;
  const bool as_float;
  const std::uint32_t width;
  const unsigned step;
  const std::uint32_t top;
  std::vector<T> values;
  cv::Mat rgb;
  cv::Mat other;
  bool is_healthy = true;
};

template <class T>
ColorRow<T>::ColorRow(ColorSpace space, std::uint32_t width, unsigned step, std::uint32_t levels)
    : state_(std::make_unique<State>(space, width, step, levels)) {}

template <class T>
ColorRow<T>::~ColorRow() = default;

template <class T>
void ColorRow<T>::split(const T* pixels) {
  State& s = *state_;
  const std::size_t width = s.width;
  const int code = s.space == ColorSpace::lab ? cv::COLOR_RGB2Lab : cv::COLOR_RGB2YCrCb;
  if (!s.as_float) {
    copy_colors(pixels, s.step, s.rgb.template ptr<T>(), 3, width);
    s.convert(s.rgb, s.other, code);
    const T* from = s.other.template ptr<T>();
    for (std::size_t i = 0; i < width; ++i) s.values[i] = from[3 * i];
    return;
  }
  const auto top = static_cast<float>(s.top);
  float* rgb = s.rgb.template ptr<float>();
  for (std::size_t i = 0; i < width; ++i, pixels += s.step) {
    for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = std::min(1.0f, static_cast<float>(pixels[c]) / top);
  }
  s.convert(s.rgb, s.other, code);
  const float* from = s.other.template ptr<float>();
  for (std::size_t i = 0; i < width; ++i) s.values[i] = to_level<T>(from[3 * i] * (top / 100.0f), top);
}

template <class T>
T* ColorRow<T>::values() {
  return state_->values.data();
}

template <class T>
void ColorRow<T>::join(T* pixels) {
  State& s = *state_;
  const std::size_t width = s.width;
  const int code = s.space == ColorSpace::lab ? cv::COLOR_Lab2RGB : cv::COLOR_YCrCb2RGB;
  if (!s.as_float) {
    T* to = s.other.template ptr<T>();
    for (std::size_t i = 0; i < width; ++i) to[3 * i] = s.values[i];
    s.convert(s.other, s.rgb, code);
    T* rgb = s.rgb.template ptr<T>();
    const T top = static_cast<T>(s.top);
    for (std::size_t i = 0; top != std::numeric_limits<T>::max() && i < 3 * width; ++i) rgb[i] = std::min(rgb[i], top);
    return copy_colors(rgb, 3, pixels, s.step, width);
  }
  const auto top = static_cast<float>(s.top);
  float* to = s.other.template ptr<float>();
  for (std::size_t i = 0; i < width; ++i) to[3 * i] = static_cast<float>(s.values[i]) * (100.0f / top);
  s.convert(s.other, s.rgb, code);
  const float* rgb = s.rgb.template ptr<float>();
  for (std::size_t i = 0; i < width; ++i, pixels += s.step) {
    for (std::size_t c = 0; c < 3; ++c) pixels[c] = to_level<T>(rgb[3 * i + c] * top, top);
  }
}

template <class T>
bool ColorRow<T>::healthy() const {
  return state_->is_healthy;
}

template class ColorRow<std::uint8_t>;
template class ColorRow<std::uint16_t>;

}  // namespace histod::compute
