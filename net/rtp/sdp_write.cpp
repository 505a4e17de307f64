// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "net/rtp/sdp.hpp"
#include "net/rtp/sdp_text.hpp"

namespace histod::net::rtp {

namespace {

using namespace sdp_text;

Result<void> check(const StreamDescription& stream, const SdpOrigin& origin) {
  if (const auto raster = Raster::make(stream.format); !raster) return std::unexpected(raster.error());
  if (!is_text(stream.session_name)) {
    return fail(Errc::malformed, "session name " + quoted(stream.session_name) + " has a control character");
  }
  for (const std::string& address : {stream.address, origin.address}) {
    if (!is_address(address)) return fail(Errc::malformed, quoted(address) + " is no address");
  }
  if (!is_parameter_value(stream.colorimetry)) {
    return fail(Errc::malformed, "colorimetry " + quoted(stream.colorimetry) + " is no name");
  }
  if (stream.payload_type > 127) {
    return fail(Errc::out_of_range, "payload type " + std::to_string(stream.payload_type) + " is not 0 to 127",
                stream.payload_type, 127);
  }
  if (stream.ipv6 && stream.ttl != 0) {
    return fail(Errc::malformed, "an IPv6 address has no TTL, but " + std::to_string(stream.ttl), stream.ttl);
  }
  if (stream.frame_rate && (stream.frame_rate->numerator == 0 || stream.frame_rate->denominator == 0)) {
    return fail(Errc::out_of_range, "frame rate with a zero");
  }
  return {};
}

std::string network(bool ipv6) { return ipv6 ? "IN IP6 " : "IN IP4 "; }

std::string parameters(const StreamDescription& stream) {
  const VideoFormat& format = stream.format;
  std::string out = "sampling=" + std::string(name_of(format.sampling)) + "; width=" + std::to_string(format.width) +
                    "; height=" + std::to_string(format.height) + "; depth=" + std::to_string(format.depth) +
                    "; colorimetry=" + stream.colorimetry;
  if (format.interlaced) out += "; interlace";
  if (stream.top_field_first) out += "; top-field-first";
  if (stream.frame_rate) {
    out += "; exactframerate=" + std::to_string(stream.frame_rate->numerator);
    if (stream.frame_rate->denominator != 1) out += "/" + std::to_string(stream.frame_rate->denominator);
  }
  if (format.line_numbering == LineNumbering::field) out += "; PM=2110GPM; SSN=ST2110-20:2017";
  return out;
}

}  // namespace

Result<std::string> write_sdp(const StreamDescription& stream, const SdpOrigin& origin) {
  if (const auto checked = check(stream, origin); !checked) return std::unexpected(checked.error());
  const std::string type = std::to_string(stream.payload_type);
  return "v=0\r\no=- " + std::to_string(origin.session_id) + " " + std::to_string(origin.session_version) + " " +
         network(origin.ipv6) + origin.address + "\r\ns=" + (stream.session_name.empty() ? "-" : stream.session_name) +
         "\r\nc=" + network(stream.ipv6) + stream.address + (stream.ttl != 0 ? "/" + std::to_string(stream.ttl) : "") +
         "\r\nt=0 0\r\nm=video " + std::to_string(stream.port) + " RTP/AVP " + type + "\r\na=rtpmap:" + type +
         " raw/90000\r\na=fmtp:" + type + " " + parameters(stream) + "\r\n";
}

}  // namespace histod::net::rtp
