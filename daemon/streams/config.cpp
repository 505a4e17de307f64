// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/config.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "daemon/streams/config_reader.hpp"
#include "net/rtp/sdp.hpp"

namespace histod::daemon::streams {

namespace json = boost::json;
namespace rtp = net::rtp;
namespace video = compute::video;

namespace {

constexpr std::uint64_t k_window_bytes_max = 32u << 20;
constexpr unsigned k_average_frames_max = 1u << video::ExponentialAverage::k_shift_max;
constexpr double k_clip_max = 1000, k_previews_per_second_min = 0.01, k_previews_per_second_max = 5;
constexpr unsigned k_preview_height_min = 16, k_preview_height_max = 720;
constexpr int k_cpu_max = 4095;
constexpr std::string_view k_changeable = "rule, window, clip_limit, scene_cut, targets, next_hop and preview";
constexpr std::string_view k_members =
    "listen, interface, backend, dpdk_port, sampling, depth, width, height, interlaced, line_numbering, payload_type, "
    "colorimetry, sdp, rule, window, clip_limit, scene_cut, targets, next_hop, cpu and preview";

void read_format(ConfigReader& in, rtp::VideoFormat& format) {
  for (const std::string_view member : {"sampling", "depth", "width", "height"})
    if (!in.has(member)) in.fail(member, "is missing; it, or all of them by sdp, must be there");
  std::string sampling{rtp::name_of(format.sampling)}, numbering = "frame";
  in.text("sampling", sampling);
  if (const auto known = rtp::sampling_of(sampling))
    format.sampling = *known;
  else
    in.fail("sampling", "must be YCbCr-4:2:2, YCbCr-4:2:0, RGB or RGBA", sampling);
  in.whole("depth", 8, 16, format.depth);
  if (format.depth != 8 && format.depth != 10 && format.depth != 12 && format.depth != 16)
    in.fail("depth", "must be 8, 10, 12 or 16", std::to_string(format.depth));
  in.whole("width", 1, rtp::k_dimension_max, format.width);
  in.whole("height", 1, rtp::k_dimension_max, format.height);
  in.flag("interlaced", format.interlaced);
  in.text("line_numbering", numbering);
  if (numbering != "frame" && numbering != "field") in.fail("line_numbering", "must be frame or field", numbering);
  format.line_numbering = numbering == "field" ? rtp::LineNumbering::field : rtp::LineNumbering::frame;
}

/// What a description says stands for the members that say the same.
void read_sdp(ConfigReader& in, StreamConfig& out) {
  std::string text;
  in.text("sdp", text);
  for (const std::string_view member :
       {"sampling", "depth", "width", "height", "interlaced", "line_numbering", "payload_type", "colorimetry"}) {
    if (in.take(member) != nullptr) in.fail(member, "is said by sdp already");
  }
  const auto described = rtp::parse_sdp(text);
  if (!described) {
    const auto& [code, detail, value, limit] = described.error();
    return in.fail("sdp", fmt::format("is not taken: {}", detail), value == 0 ? "" : std::to_string(value),
                   limit == 0 ? "" : std::to_string(limit));
  }
  out.format = described->format;
  out.payload_type = described->payload_type;
  out.colorimetry = described->colorimetry;
  const auto address = net::udp::parse_address(described->address, described->port);
  if (address && address->is_multicast()) {
    out.listen = *address;
  } else {
    out.listen = {};
    out.listen.v6 = described->ipv6;
    out.listen.port = described->port;
  }
}

void read_window(ConfigReader& in, unsigned depth, video::LiveOptions& live) {
  const json::object* window = in.object("window");
  if (window == nullptr) return;
  ConfigErrors errors;
  ConfigReader of(*window, errors, "window.");
  if (of.has("frames") == of.has("average_frames"))
    of.fail("frames", "or average_frames must be there, and not both");
  else if (of.has("frames"))
    live.smoothing = video::Smoothing::window;
  else
    live.smoothing = video::Smoothing::exponential;
  of.whole("frames", 1, window_capacity(depth), live.frames);
  unsigned average = 1u << live.shift;
  of.whole("average_frames", 1, k_average_frames_max, average);
  if (std::has_single_bit(average))
    live.shift = static_cast<unsigned>(std::bit_width(average)) - 1;
  else
    of.fail("average_frames", "must be a power of two", std::to_string(average));
  of.finish("frames and average_frames");
  for (ConfigError& error : errors) in.fail(error.member, error.what, error.value, error.limit);
}

void read_live(ConfigReader& in, const rtp::VideoFormat& format, video::LiveOptions& live) {
  std::string rule{compute::name(live.rule)};
  in.text("rule", rule);
  if (const auto known = compute::rule_from_name(rule))
    live.rule = *known;
  else
    in.fail("rule", "must be opencv, exact, reference, pillow or vips", rule);
  if (live.rule == compute::Rule::pillow && format.depth != 8)
    in.fail("rule", "pillow is for a depth of 8", std::to_string(format.depth), "8");
  read_window(in, format.depth, live);
  double clip = live.clip_permille / 1000.0, cut = live.cut_permille / 1000.0;
  in.real("clip_limit", 0, k_clip_max, clip);
  if (clip > 0 && clip < 1) in.fail("clip_limit", "must be 0 (none), or at least 1", fmt::format("{}", clip), "1");
  in.real("scene_cut", 0, 1, cut);
  live.clip_permille = static_cast<std::uint32_t>(std::lround(clip * 1000));
  live.cut_permille = static_cast<std::uint32_t>(std::lround(cut * 1000));
}

void read_preview(ConfigReader& in, ConfigErrors& errors, PreviewConfig& preview) {
  const json::object* object = in.object("preview");
  if (object == nullptr) return;
  ConfigReader of(*object, errors, "preview.");
  of.real("per_second", 0, k_previews_per_second_max, preview.per_second);
  if (preview.per_second > 0 && preview.per_second < k_previews_per_second_min)
    of.fail("per_second", fmt::format("must be 0 (none), or at least {}", k_previews_per_second_min),
            fmt::format("{}", preview.per_second), fmt::format("{}", k_previews_per_second_min));
  of.whole("height_max", k_preview_height_min, k_preview_height_max, preview.height_max);
  of.finish("per_second and height_max");
}

void read_targets(ConfigReader& in, StreamConfig& out) {
  in.addresses("targets", k_targets_max, out.targets);
  for (const net::udp::Address& target : out.targets) {
    if (target.v6 != out.listen.v6) in.fail("targets", "must be of the IP version that is listened on", target.text());
    if (target == out.listen) in.fail("targets", "must not be what is listened on", target.text());
  }
  if (!in.has("next_hop")) return;
  std::string hop;
  in.text("next_hop", hop);
  out.next_hop = net::udp::parse_mac(hop);
  if (!hop.empty() && !out.next_hop) in.fail("next_hop", "must be an Ethernet address such as 02:00:00:00:00:01", hop);
  if (out.next_hop && out.backend != Backend::dpdk)
    in.fail("next_hop", "is for backend dpdk: the kernel knows its own");
}

void read_place(ConfigReader& in, StreamConfig& out) {
  std::string backend{name_of(out.backend)};
  if (in.has("listen") || !in.has("sdp")) {
    if (!in.has("listen")) in.fail("listen", "is missing");
    in.address("listen", out.listen);
  }
  in.text("interface", out.interface);
  const auto interface = net::udp::parse_address(out.interface, 0);
  if (!out.interface.empty() && (!interface || interface->v6 != out.listen.v6))
    in.fail("interface", "must be the numeric address of one, of the IP version that is listened on", out.interface);
  in.text("backend", backend);
  if (backend != "io_uring" && backend != "dpdk") in.fail("backend", "must be io_uring or dpdk", backend);
  out.backend = backend == "dpdk" ? Backend::dpdk : Backend::uring;
  in.text("dpdk_port", out.dpdk_port);
  const bool dpdk = out.backend == Backend::dpdk;
  if (dpdk == out.dpdk_port.empty())
    in.fail("dpdk_port", dpdk ? "is missing: the device, such as net_af_packet0,iface=eth1" : "is for backend dpdk");
  if (dpdk && out.listen.is_any()) in.fail("listen", "must be one address with dpdk", out.listen.text());
  if (dpdk && out.listen.is_multicast() && out.interface.empty())
    in.fail("interface", "is missing: with dpdk a group needs an address to send from");
  if (out.listen.port == 0 && (dpdk || out.listen.is_multicast()))
    in.fail("listen", "needs a port here", out.listen.text());
  int cpu = -1;
  in.whole("cpu", 0, k_cpu_max, cpu);
  if (cpu >= 0) out.cpu = cpu;
}

void check_size(ConfigErrors& errors, const rtp::VideoFormat& format) {
  if (const std::uint64_t pixels = std::uint64_t{format.width} * format.height; pixels > k_frame_pixels_max)
    errors.push_back({"width", fmt::format("times height is at most {} pixels", k_frame_pixels_max),
                      std::to_string(pixels), std::to_string(k_frame_pixels_max)});
  if (!errors.empty()) return;
  const auto raster = rtp::Raster::make(format);
  if (!raster)
    errors.push_back({"sampling",
                      "and the rest are no format of RFC 4175: " + raster.error().detail,
                      std::to_string(raster.error().value),
                      {}});
}

std::string toml_value(const json::value& value) {
  if (const auto* object = value.if_object()) {
    std::string text;
    for (const auto& [name, inner] : *object)
      text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", std::string_view(name), toml_value(inner));
    return "{ " + text + " }";
  }
  if (const auto* list = value.if_array()) {
    std::string text;
    for (const json::value& inner : *list) text += (text.empty() ? "" : ", ") + toml_value(inner);
    return "[" + text + "]";
  }
  // TOML has no 3E0.
  if (const auto* number = value.if_double()) return fmt::format("{}", *number);
  return json::serialize(value);
}

}  // namespace

std::string text_of(const ConfigError& error) {
  std::string text = error.member + " " + error.what;
  if (!error.value.empty()) text += fmt::format(", not \"{}\"", error.value);
  return text;
}

bool is_stream_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && plain(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return plain(c) || c == '-'; });
}

std::string_view name_of(Backend backend) { return backend == Backend::dpdk ? "dpdk" : "io_uring"; }

std::uint32_t window_capacity(unsigned depth) {
  const std::uint64_t frames = k_window_bytes_max / video::SlidingWindow::memory_bytes(1ull << depth, 1);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(video::k_window_frames_max, std::bit_floor(frames)));
}

video::PackedForm packed_form(const rtp::VideoFormat& format) {
  video::PackedForm form{.depth_bits = static_cast<std::uint8_t>(format.depth)};
  switch (format.sampling) {
    case rtp::Sampling::ycbcr_422:
      form.sampling = video::Sampling::ycbcr422;
      break;
    case rtp::Sampling::ycbcr_420:
      form.sampling = video::Sampling::ycbcr420;
      break;
    case rtp::Sampling::rgb:
      form.sampling = video::Sampling::rgb;
      break;
    case rtp::Sampling::rgba:
      form.sampling = video::Sampling::rgba;
      break;
  }
  return form;
}

std::expected<StreamConfig, ConfigErrors> read_stream(std::string_view name, const json::object& from) {
  ConfigErrors errors;
  StreamConfig out;
  out.name = name;
  if (!is_stream_name(name))
    errors.push_back({"name", "must be 1 to 63 of a-z, 0-9 and dashes, and not begin with one", std::string(name), {}});
  ConfigReader in(from, errors);
  in.take("name");
  if (in.has("sdp")) {
    read_sdp(in, out);
  } else {
    read_format(in, out.format);
    unsigned payload_type = 128;
    in.whole("payload_type", 0, 127, payload_type);
    if (payload_type < 128) out.payload_type = static_cast<std::uint8_t>(payload_type);
    in.text("colorimetry", out.colorimetry);
  }
  read_place(in, out);
  read_live(in, out.format, out.live);
  read_targets(in, out);
  read_preview(in, errors, out.preview);
  in.finish(k_members);
  check_size(errors, out.format);
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return out;
}

std::expected<StreamConfig, ConfigErrors> changed(const StreamConfig& config, const json::object& change) {
  ConfigErrors errors;
  StreamConfig out = config;
  ConfigReader in(change, errors);
  read_live(in, out.format, out.live);
  read_targets(in, out);
  read_preview(in, errors, out.preview);
  in.finish(fmt::format("{} to be changed while it runs", k_changeable));
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return out;
}

json::object window_json(const video::LiveOptions& live) {
  if (live.smoothing == video::Smoothing::window) return {{"frames", live.frames}};
  return {{"average_frames", 1u << live.shift}};
}

json::object config_json(const StreamConfig& config) {
  json::object out{{"listen", config.listen.text()}, {"backend", name_of(config.backend)}};
  if (!config.interface.empty()) out["interface"] = config.interface;
  if (!config.dpdk_port.empty()) out["dpdk_port"] = config.dpdk_port;
  const rtp::VideoFormat& format = config.format;
  out["sampling"] = rtp::name_of(format.sampling);
  out["depth"] = format.depth;
  out["width"] = format.width;
  out["height"] = format.height;
  out["interlaced"] = format.interlaced;
  if (format.line_numbering == rtp::LineNumbering::field) out["line_numbering"] = "field";
  if (config.payload_type) out["payload_type"] = *config.payload_type;
  if (!config.colorimetry.empty()) out["colorimetry"] = config.colorimetry;
  out["rule"] = compute::name(config.live.rule);
  out["window"] = window_json(config.live);
  out["clip_limit"] = config.live.clip_permille / 1000.0;
  out["scene_cut"] = config.live.cut_permille / 1000.0;
  json::array targets;
  for (const net::udp::Address& target : config.targets) targets.emplace_back(target.text());
  out["targets"] = std::move(targets);
  if (config.next_hop) out["next_hop"] = net::udp::text_of(*config.next_hop);
  if (config.cpu) out["cpu"] = *config.cpu;
  out["preview"] = json::object{{"per_second", config.preview.per_second}, {"height_max", config.preview.height_max}};
  return out;
}

std::string config_toml(const StreamConfig& config) {
  std::string out = fmt::format("[[stream]]\nname = \"{}\"\n", config.name);
  for (const auto& [name, value] : config_json(config))
    out += fmt::format("{} = {}\n", std::string_view(name), toml_value(value));
  return out;
}

}  // namespace histod::daemon::streams
