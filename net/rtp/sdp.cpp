// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/sdp.hpp"

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "net/rtp/sdp_text.hpp"

namespace histod::net::rtp {

namespace {

using namespace sdp_text;

constexpr std::string_view k_types = "vosiuepcbtrzkam";
constexpr std::uint64_t k_rate_max = 1'000'000'000;

struct Line {
  std::size_t number = 0;
  char type = 0;
  std::string_view value;
};

std::unexpected<Error> fail_at(std::size_t line, Errc code, const std::string& detail, std::uint64_t value = 0,
                               std::uint64_t limit = 0) {
  return fail(code, "line " + std::to_string(line) + ": " + detail, value, limit);
}

Result<std::vector<Line>> split(std::string_view text, const SdpLimits& limits) {
  if (text.size() > limits.octets) {
    return fail(Errc::too_large, std::to_string(text.size()) + " octets, the limit is " + std::to_string(limits.octets),
                text.size(), limits.octets);
  }
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  std::vector<Line> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = take_until(text, '\n');
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number > limits.lines) {
      return fail(Errc::too_large, "more than " + std::to_string(limits.lines) + " lines", number, limits.lines);
    }
    if (line.size() > limits.line_octets) {
      return fail_at(number, Errc::too_large,
                     std::to_string(line.size()) + " octets, the limit is " + std::to_string(limits.line_octets),
                     line.size(), limits.line_octets);
    }
    if (line.size() < 2 || line[1] != '=' || !k_types.contains(line[0])) {
      return fail_at(number, Errc::malformed, quoted(line) + " does not begin with a type that SDP has and \"=\"");
    }
    if (!is_text(line)) return fail_at(number, Errc::malformed, "has a control character");
    lines.push_back({number, line[0], line.substr(2)});
  }
  if (lines.empty() || lines.front().type != 'v' || lines.front().value != "0") {
    return fail_at(1, Errc::malformed, "is not \"v=0\"");
  }
  return lines;
}

/// Of one m= line and what is below it: where it goes, and its raw payload type.
struct Media {
  const Line* line = nullptr;
  const Line* connection = nullptr;
  const Line* format = nullptr;  ///< a=fmtp of the payload type
  const Line* rate = nullptr;    ///< a=framerate
  std::uint64_t payload_type = 0;
};

/// The rest of an attribute's value after "NAME:PAYLOAD_TYPE ", if it is that attribute.
std::optional<std::string_view> of_payload_type(const Line& line, std::string_view name, std::uint64_t payload_type) {
  if (line.type != 'a') return std::nullopt;
  std::string_view rest = line.value;
  if (take_until(rest, ':') != name || number(take_until(rest, ' ')) != payload_type) return std::nullopt;
  return trimmed(rest);
}

/// The first of the payload types of an m=video line whose a=rtpmap says raw video.
std::optional<std::uint64_t> raw_payload_type(std::span<const Line> section) {
  std::string_view rest = section.front().value;
  take_until(rest, ' ');
  take_until(rest, ' ');
  take_until(rest, ' ');
  while (!rest.empty()) {
    const auto type = number(take_until(rest, ' '));
    if (!type || *type > 127) continue;
    for (const Line& line : section) {
      const auto encoding = of_payload_type(line, "rtpmap", *type);
      if (encoding && equal_ignoring_case(*encoding, "raw/90000")) return type;
    }
  }
  return std::nullopt;
}

/// The first section of raw video, with the session's connection where it has none of its own.
std::optional<Media> find_media(std::span<const Line> lines) {
  const Line* connection = nullptr;
  std::size_t at = 0;
  for (; at < lines.size() && lines[at].type != 'm'; ++at) {
    if (lines[at].type == 'c') connection = &lines[at];
  }
  while (at < lines.size()) {
    std::size_t end = at + 1;
    while (end < lines.size() && lines[end].type != 'm') ++end;
    const auto section = lines.subspan(at, end - at);
    at = end;
    const auto type = section.front().value.starts_with("video ") ? raw_payload_type(section) : std::nullopt;
    if (!type) continue;
    Media media{.line = &section.front(), .connection = connection, .payload_type = *type};
    for (const Line& line : section) {
      if (line.type == 'c') media.connection = &line;
      if (of_payload_type(line, "fmtp", *type)) media.format = &line;
      if (line.type == 'a' && line.value.starts_with("framerate:")) media.rate = &line;
    }
    return media;
  }
  return std::nullopt;
}

Result<void> read_media(const Media& media, StreamDescription& stream) {
  std::string_view rest = media.line->value;
  take_until(rest, ' ');
  std::string_view ports = take_until(rest, ' ');
  const std::string_view port = take_until(ports, '/');
  const auto value = number(port);
  if (!value || *value > 65535) {
    return fail_at(media.line->number, Errc::out_of_range, "port " + quoted(port) + " is not 0 to 65535",
                   value.value_or(0), 65535);
  }
  const std::string_view protocol = take_until(rest, ' ');
  if (protocol != "RTP/AVP" && protocol != "RTP/AVPF") {
    return fail_at(media.line->number, Errc::unsupported,
                   "protocol " + quoted(protocol) + " is neither RTP/AVP nor RTP/AVPF");
  }
  stream.port = static_cast<std::uint16_t>(*value);
  stream.payload_type = static_cast<std::uint8_t>(media.payload_type);
  return {};
}

/// RFC 8866, 5.7: "IN IP4 239.1.1.1/32/2" or "IN IP6 ff15::101/3".
Result<void> read_connection(const Line& line, StreamDescription& stream) {
  std::string_view rest = line.value;
  const std::string_view network = take_until(rest, ' ');
  const std::string_view type = take_until(rest, ' ');
  if (network != "IN" || (type != "IP4" && type != "IP6")) {
    return fail_at(line.number, Errc::unsupported, "the network is neither \"IN IP4\" nor \"IN IP6\"");
  }
  const std::string_view address = take_until(rest, '/');
  if (!is_address(address)) return fail_at(line.number, Errc::malformed, quoted(address) + " is no address");
  stream.address = address;
  stream.ipv6 = type == "IP6";
  if (rest.empty() || stream.ipv6) return {};
  const std::string_view text = take_until(rest, '/');
  const auto ttl = number(text);
  if (!ttl || *ttl > 255) {
    return fail_at(line.number, Errc::out_of_range, "TTL " + quoted(text) + " is not 0 to 255", ttl.value_or(0), 255);
  }
  stream.ttl = static_cast<std::uint8_t>(*ttl);
  return {};
}

/// "25", "30000/1001" or "29.97".
std::optional<FrameRate> read_rate(std::string_view text) {
  std::string_view rest = text;
  std::uint64_t denominator = 1;
  std::string digits;
  if (text.contains('/')) {
    digits = take_until(rest, '/');
    const auto below = number(rest);
    if (!below) return std::nullopt;
    denominator = *below;
  } else {
    digits = take_until(rest, '.');
    if (text.contains('.') && (rest.empty() || rest.size() > 6)) return std::nullopt;
    for (std::size_t i = 0; i < rest.size(); ++i) denominator *= 10;
    digits += rest;
  }
  const auto numerator = number(digits);
  if (!numerator || *numerator == 0 || *numerator > k_rate_max || denominator == 0 || denominator > k_rate_max) {
    return std::nullopt;
  }
  return FrameRate{static_cast<std::uint32_t>(*numerator), static_cast<std::uint32_t>(denominator)};
}

/// What a=fmtp says (RFC 4175, 6.1; ST 2110-20, 7).
struct Parameters {
  std::optional<std::string_view> sampling, width, height, depth, colorimetry, rate, standard;
  bool interlace = false;
  bool top_field_first = false;
};

Result<Parameters> read_parameters(const Line& line, std::uint64_t payload_type) {
  Parameters out;
  const std::array<std::pair<std::string_view, std::optional<std::string_view>*>, 7> texts{
      {{"sampling", &out.sampling},
       {"width", &out.width},
       {"height", &out.height},
       {"depth", &out.depth},
       {"colorimetry", &out.colorimetry},
       {"exactframerate", &out.rate},
       {"SSN", &out.standard}}};
  std::string_view rest = of_payload_type(line, "fmtp", payload_type).value_or("");
  while (!rest.empty()) {
    std::string_view value = take_until(rest, ';');
    const std::string_view name = trimmed(take_until(value, '='));
    value = trimmed(value);
    // GStreamer gives these flags a value.
    if (equal_ignoring_case(name, "interlace")) out.interlace = value != "false";
    if (equal_ignoring_case(name, "top-field-first")) out.top_field_first = value != "false";
    for (const auto& [known, into] : texts) {
      if (!equal_ignoring_case(name, known)) continue;
      if (*into) return fail_at(line.number, Errc::malformed, "has " + std::string(known) + " twice");
      *into = value;
    }
  }
  return out;
}

Result<unsigned> read_count(const Line& line, std::string_view name, std::optional<std::string_view> text,
                            unsigned limit) {
  if (!text) return fail_at(line.number, Errc::missing, "has no " + std::string(name));
  const auto value = number(*text);
  if (!value || *value < 1 || *value > limit) {
    return fail_at(line.number, Errc::out_of_range,
                   std::string(name) + " " + quoted(*text) + " is not 1 to " + std::to_string(limit), value.value_or(0),
                   limit);
  }
  return static_cast<unsigned>(*value);
}

Result<VideoFormat> read_format(const Line& line, const Parameters& parameters) {
  VideoFormat format;
  if (!parameters.sampling) return fail_at(line.number, Errc::missing, "has no sampling");
  const auto sampling = sampling_of(*parameters.sampling);
  if (!sampling) {
    return fail_at(line.number, Errc::unsupported,
                   "sampling " + quoted(*parameters.sampling) + " is not YCbCr-4:2:2, YCbCr-4:2:0, RGB or RGBA");
  }
  format.sampling = *sampling;
  const auto width = read_count(line, "width", parameters.width, k_dimension_max);
  if (!width) return std::unexpected(width.error());
  const auto height = read_count(line, "height", parameters.height, k_dimension_max);
  if (!height) return std::unexpected(height.error());
  if (!parameters.depth) return fail_at(line.number, Errc::missing, "has no depth");
  const auto depth = number(*parameters.depth);
  if (!depth || *depth > 16 || !pgroup_of(*sampling, static_cast<unsigned>(*depth))) {
    return fail_at(line.number, Errc::unsupported, "depth " + quoted(*parameters.depth) + " is not 8, 10, 12 or 16",
                   depth.value_or(0));
  }
  format.width = *width;
  format.height = *height;
  format.depth = static_cast<unsigned>(*depth);
  format.interlaced = parameters.interlace;
  if (parameters.standard && parameters.standard->starts_with("ST2110-20")) {
    format.line_numbering = LineNumbering::field;
  }
  if (const auto raster = Raster::make(format); !raster) {
    return fail_at(line.number, raster.error().code, raster.error().detail, raster.error().value, raster.error().limit);
  }
  return format;
}

Result<void> read_raw(const Media& media, StreamDescription& stream) {
  if (media.format == nullptr) {
    return fail_at(media.line->number, Errc::missing,
                   "payload type " + std::to_string(media.payload_type) + " has no a=fmtp", media.payload_type);
  }
  const auto parameters = read_parameters(*media.format, media.payload_type);
  if (!parameters) return std::unexpected(parameters.error());
  const auto format = read_format(*media.format, *parameters);
  if (!format) return std::unexpected(format.error());
  stream.format = *format;
  stream.top_field_first = parameters->top_field_first;
  if (parameters->colorimetry) {
    if (!is_parameter_value(*parameters->colorimetry)) {
      return fail_at(media.format->number, Errc::malformed,
                     "colorimetry " + quoted(*parameters->colorimetry) + " is no name");
    }
    stream.colorimetry = *parameters->colorimetry;
  }
  if (parameters->rate || media.rate != nullptr) {
    const Line& line = parameters->rate ? *media.format : *media.rate;
    const std::string_view text =
        parameters->rate ? *parameters->rate : trimmed(line.value.substr(std::string_view("framerate:").size()));
    stream.frame_rate = read_rate(text);
    if (!stream.frame_rate) return fail_at(line.number, Errc::malformed, quoted(text) + " is no frame rate");
  }
  return {};
}

}  // namespace

Result<StreamDescription> parse_sdp(std::string_view text, const SdpLimits& limits) {
  const auto lines = split(text, limits);
  if (!lines) return std::unexpected(lines.error());
  const auto media = find_media(*lines);
  if (!media) return fail(Errc::missing, "no m=video line with a payload type that a=rtpmap maps to raw/90000");
  StreamDescription stream;
  for (const Line& line : *lines) {
    // RFC 8866, 5.3: a session without a name has a space, or a dash.
    if (line.type == 's' && line.value != "-" && line.value != " ") stream.session_name = line.value;
  }
  if (const auto read = read_media(*media, stream); !read) return std::unexpected(read.error());
  if (media->connection != nullptr) {
    if (const auto read = read_connection(*media->connection, stream); !read) return std::unexpected(read.error());
  }
  if (const auto read = read_raw(*media, stream); !read) return std::unexpected(read.error());
  return stream;
}

}  // namespace histod::net::rtp
