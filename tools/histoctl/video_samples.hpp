// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "compute/pixels.hpp"
#include "tools/histoctl/failure.hpp"
#include "tools/histoctl/video_frame.hpp"

namespace histod::ctl {

enum class Pattern : std::uint8_t {
  ramp,   ///< from 0 on the left to the highest value on the right; no colour
  bars,   ///< white, yellow, cyan, green, magenta, red, blue, black
  noise,  ///< every sample by itself, all values being equally likely
  flat,   ///< every sample 2^(depth - 1)
};

std::optional<Pattern> pattern_of(std::string_view name);

/// Noise repeats itself after so many frames; the other patterns stand still.
inline constexpr unsigned k_noise_frames = 16;
unsigned frames_of(Pattern pattern);

/// R, G and B, each from 0 to 1, as the matrix of ITU-R BT.709 has them from 720 rows on, and of BT.601 below; narrow
/// range: black is 16 and white 235 at 8 bits.
class YCbCr {
 public:
  explicit YCbCr(const net::rtp::VideoFormat& format);
  unsigned of(net::rtp::Component component, const std::array<double, 3>& rgb) const;

 private:
  double kr_, kb_, step_;
  double max_;
};

/// Alpha is opaque.
class PatternSamples : public Samples {
 public:
  /// `seed` and `frame` make noise: SplitMix64's mix of seed + (frame * 2^33 + component * 2^30 + row * 2^15 + column +
  /// 1) times its increment, the highest bits of it.
  PatternSamples(const net::rtp::VideoFormat& format, Pattern pattern, std::uint64_t seed, unsigned frame);
  unsigned at(net::rtp::Component component, unsigned x, unsigned y) const override;

 private:
  unsigned bar(net::rtp::Component component, unsigned x) const;

  net::rtp::VideoFormat format_;
  YCbCr matrix_;
  Pattern pattern_;
  std::uint64_t seed_;
  unsigned frame_;
  unsigned max_;
};

/// An image's samples, to the stream's depth. Gray ones become Y, or R, G and B, over the whole range; colours become
/// YCbCr of narrow range, Cb and Cr being of the mean of the pixels that share them.
class ImageSamples : public Samples {
 public:
  /// `image` has the raster's size. `levels`: of its samples, 0 for all of their depth. A failure for an image that is
  /// neither gray nor RGB.
  static Result<ImageSamples> make(const net::rtp::Raster& raster, const compute::ImageView& image,
                                   std::uint32_t levels);
  unsigned at(net::rtp::Component component, unsigned x, unsigned y) const override;

 private:
  ImageSamples(const net::rtp::Raster& raster, const compute::ImageView& image, std::uint32_t white);
  unsigned sample(unsigned channel, unsigned x, unsigned y) const;
  unsigned scaled(unsigned value) const;
  void add(std::array<double, 3>& sum, unsigned x, unsigned y) const;
  std::array<double, 3> mean(unsigned x, unsigned y) const;

  net::rtp::Raster raster_;
  compute::ImageView image_;
  YCbCr matrix_;
  unsigned white_;
  unsigned max_;
};

}  // namespace histod::ctl
