// SPDX-License-Identifier: Apache-2.0
#include "compute/color_row.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <opencv2/imgproc.hpp>

namespace histod::compute {

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
  const auto top = static_cast<float>(s.top);
  for (std::size_t i = 0; i < s.width; ++i, pixels += s.step) {
    for (std::size_t c = 0; c < 3; ++c) {
      if (s.as_float) {
        s.rgb.template ptr<float>()[3 * i + c] = std::min(1.0f, static_cast<float>(pixels[c]) / top);
      } else {
        s.rgb.template ptr<T>()[3 * i + c] = pixels[c];
      }
    }
  }
  s.convert(s.rgb, s.other, s.space == ColorSpace::lab ? cv::COLOR_RGB2Lab : cv::COLOR_RGB2YCrCb);
  for (std::size_t i = 0; i < s.width; ++i) {
    if (s.as_float) {
      const float value = std::nearbyint(s.other.template ptr<float>()[3 * i] * (top / 100.0f));
      s.values[i] = static_cast<T>(std::clamp(value, 0.0f, top));
    } else {
      s.values[i] = s.other.template ptr<T>()[3 * i];
    }
  }
}

template <class T>
T* ColorRow<T>::values() {
  return state_->values.data();
}

template <class T>
void ColorRow<T>::join(T* pixels) {
  State& s = *state_;
  const auto top = static_cast<float>(s.top);
  for (std::size_t i = 0; i < s.width; ++i) {
    if (s.as_float) {
      s.other.template ptr<float>()[3 * i] = static_cast<float>(s.values[i]) * (100.0f / top);
    } else {
      s.other.template ptr<T>()[3 * i] = s.values[i];
    }
  }
  s.convert(s.other, s.rgb, s.space == ColorSpace::lab ? cv::COLOR_Lab2RGB : cv::COLOR_YCrCb2RGB);
  for (std::size_t i = 0; i < s.width; ++i, pixels += s.step) {
    for (std::size_t c = 0; c < 3; ++c) {
      if (s.as_float) {
        const float value = std::nearbyint(s.rgb.template ptr<float>()[3 * i + c] * top);
        pixels[c] = static_cast<T>(std::clamp(value, 0.0f, top));
      } else {
        pixels[c] = static_cast<T>(std::min<std::uint32_t>(s.rgb.template ptr<T>()[3 * i + c], s.top));
      }
    }
  }
}

template <class T>
bool ColorRow<T>::healthy() const {
  return state_->is_healthy;
}

template class ColorRow<std::uint8_t>;
template class ColorRow<std::uint16_t>;

}  // namespace histod::compute
