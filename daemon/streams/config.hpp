// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

#include "compute/video/live_table.hpp"
#include "compute/video/packed.hpp"
#include "net/rtp/format.hpp"
#include "net/udp/address.hpp"

/// Live video: streams of RFC 4175, equalized packet by packet.
namespace histod::daemon::streams {

inline constexpr std::size_t k_streams_max = 16;  ///< of a node
inline constexpr std::size_t k_targets_max = 4;
inline constexpr std::uint64_t k_frame_pixels_max = 1u << 26;  ///< twice 8K

enum class Backend : std::uint8_t { uring, dpdk };

struct PreviewConfig {
  double per_second = 3;      ///< at most so many; 0: none
  unsigned height_max = 360;  ///< pixels
  friend bool operator==(const PreviewConfig&, const PreviewConfig&) = default;
};

/// One stream, as it was asked for: a [[stream]] table or the body of PUT /v1/streams/{name}.
struct StreamConfig {
  std::string name;
  net::udp::Address listen;  ///< a group where it is multicast
  std::string interface;     ///< its numeric address, for multicast; empty: where the routes say
  Backend backend = Backend::uring;
  std::string dpdk_port;  ///< the device, with its arguments; or pci0, pci1
  net::rtp::VideoFormat format;
  std::optional<std::uint8_t> payload_type;  ///< none: any
  std::string colorimetry;                   ///< as SDP has it; empty: by the height
  compute::video::LiveOptions live;
  std::vector<net::udp::Address> targets;  ///< the first gets the packets that came in, in place
  std::optional<net::udp::Mac> next_hop;   ///< net::udp::Target's, of the first
  std::optional<int> cpu;
  PreviewConfig preview;
  friend bool operator==(const StreamConfig&, const StreamConfig&) = default;
};

/// What is wrong with one member, for a person to act on.
struct ConfigError {
  std::string member;
  std::string what;   ///< a clause behind the member's name
  std::string value;  ///< the offending one; empty: none
  std::string limit;  ///< that it broke; empty: none
};
using ConfigErrors = std::vector<ConfigError>;
std::string text_of(const ConfigError& error);  ///< "depth must be ..., not 9"

/// [a-z0-9][a-z0-9-]{0,62}
bool is_stream_name(std::string_view name);
/// Reads all of it, and says all that is wrong. A member `name` is passed over.
std::expected<StreamConfig, ConfigErrors> read_stream(std::string_view name, const boost::json::object& from);
/// `config` with what may change while it runs: rule, window, clip_limit, scene_cut, targets, next_hop and preview.
std::expected<StreamConfig, ConfigErrors> changed(const StreamConfig& config, const boost::json::object& change);
/// What read_stream() takes back as the same.
boost::json::object config_json(const StreamConfig& config);
boost::json::object window_json(const compute::video::LiveOptions& live);
/// The same, as a [[stream]] table.
std::string config_toml(const StreamConfig& config);

/// How many frames the window of such a stream may have at most: its memory is bounded, and taken once.
std::uint32_t window_capacity(unsigned depth);
compute::video::PackedForm packed_form(const net::rtp::VideoFormat& format);
std::string_view name_of(Backend backend);

}  // namespace histod::daemon::streams
