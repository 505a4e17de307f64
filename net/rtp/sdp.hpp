// SPDX-License-Identifier: Apache-2.0
#pragma once

// Session descriptions (SDP: RFC 8866, before it RFC 4566) of uncompressed video: what RFC 4175, 6, needs, and no more.
// What else is in one is ignored. Pure functions; any thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/rtp/format.hpp"

namespace histod::net::rtp {

struct FrameRate {
  std::uint32_t numerator = 0;  ///< frames in `denominator` seconds, for interlaced video too
  std::uint32_t denominator = 1;

  bool operator==(const FrameRate&) const = default;
};

/// One stream: where it goes, and what it is.
struct StreamDescription {
  std::string session_name;  ///< s=
  std::string address;       ///< c=: where it goes, a name or a numeric address; empty where the description has none
  bool ipv6 = false;         ///< of `address`
  std::uint8_t ttl = 0;      ///< of an IPv4 multicast address; 0: none given
  std::uint16_t port = 0;    ///< m=
  std::uint8_t payload_type = 96;
  VideoFormat format;
  std::string colorimetry;  ///< "BT709-2" and so on; empty where it is not given, which RFC 4175 forbids and some do
  bool top_field_first = false;
  std::optional<FrameRate> frame_rate;  ///< "exactframerate" (ST 2110-20, 7.2), else a=framerate

  bool operator==(const StreamDescription&) const = default;
};

struct SdpLimits {
  std::size_t octets = 16 * 1024;
  std::size_t lines = 256;
  std::size_t line_octets = 2048;
};

/// The first stream of raw video in `text`. A description with "SSN=ST2110-20..." numbers the lines of each field from
/// 0, any other those of the frame (LineNumbering). Errors begin with the line, where one line is at fault.
Result<StreamDescription> parse_sdp(std::string_view text, const SdpLimits& limits = {});

/// Who sends, for the line "o=" (RFC 8866, 5.2).
struct SdpOrigin {
  std::string address = "127.0.0.1";
  bool ipv6 = false;
  std::uint64_t session_id = 0;
  std::uint64_t session_version = 0;
};

/// A description that parse_sdp() reads back as `stream`, and that GStreamer and ffmpeg take. Lines end with CRLF. An
/// error where `stream` has texts that cannot be in one, or is no format that RFC 4175 has.
Result<std::string> write_sdp(const StreamDescription& stream, const SdpOrigin& origin = {});

}  // namespace histod::net::rtp
