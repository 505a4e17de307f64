// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <opencv2/core.hpp>

#include "tools/histobench/inputs.hpp"

namespace histod::bench {

/// A still picture of 8-bit 4:2:2 as RTP packets (RFC 4175) that are made once, all of the same length and each a part
/// of one line; and what an equalizer has to make of it.
class VideoFrame {
 public:
  explicit VideoFrame(const Input& luma);  ///< 8 bit gray; its chroma is a pattern

  Size size() const { return {sent_.cols, sent_.rows}; }
  std::size_t packets() const { return packet_count_; }
  std::size_t packet_octets() const { return packet_octets_; }
  /// Packets, one behind the other, with the sequence numbers and the timestamp of frame `number` of a stream. Valid
  /// until the next call for the same packets.
  std::span<const std::byte> numbered(std::uint64_t number, std::size_t first, std::size_t count);
  /// The packet that has this pixel.
  std::size_t packet_of(std::size_t line, std::size_t column) const {
    return line * parts_ + 2 * column / (packet_octets_ - k_header_octets);
  }

  const cv::Mat& sent() const { return sent_; }            ///< two channels: chroma and Y
  const cv::Mat& equalized() const { return equalized_; }  ///< its Y by cv::equalizeHist, its chroma as it was

  static constexpr std::size_t k_header_octets = 20;  ///< of a packet with a part of one line

 private:
  cv::Mat sent_, equalized_;
  std::size_t parts_ = 0;  ///< packets of a line
  std::size_t packet_octets_ = 0, packet_count_ = 0;
  std::vector<std::byte> packets_;
};

/// What packets that come back say, put together. By itself, so that it can judge those that histod's own code made.
class VideoCanvas {
 public:
  explicit VideoCanvas(Size size) : pixels_(size.height, size.width, CV_8UC2, cv::Scalar::all(0)) {}

  struct Place {
    std::size_t line = 0, column = 0;  ///< of the packet's last pixel
    std::size_t octets = 0;            ///< of pixels
    bool marker = false;               ///< the picture's last packet
  };
  /// False for what is no packet of such a picture.
  bool add(std::span<const std::byte> packet, Place& place);
  const cv::Mat& pixels() const { return pixels_; }

 private:
  cv::Mat pixels_;
};

/// What of two pictures differs, or nothing.
std::string video_difference(const cv::Mat& got, const cv::Mat& expected);

}  // namespace histod::bench
