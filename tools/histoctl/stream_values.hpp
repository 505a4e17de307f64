// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/rtp/sdp.hpp"

/// What the values of `histoctl stream` say; nothing where they are wrong.
namespace histod::ctl {

struct HostPort {
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 0;

  bool operator==(const HostPort&) const = default;
};

/// "HOST:PORT" or "[ADDRESS]:PORT", the port at least `least`.
std::optional<HostPort> host_port_of(std::string_view text, std::uint16_t least = 1);

struct PictureSize {
  unsigned width = 0;
  unsigned height = 0;

  bool operator==(const PictureSize&) const = default;
};

/// "1920x1080"; each from 1 to rtp::k_dimension_max.
std::optional<PictureSize> picture_size_of(std::string_view text);

/// "25", "29.97" or "30000/1001"; from 0.01 to 1000 frames a second.
std::optional<net::rtp::FrameRate> frame_rate_of(std::string_view text);

/// "A:1,B:2"; of "none" no one.
std::optional<std::vector<std::string>> targets_of(std::string_view text);

}  // namespace histod::ctl
