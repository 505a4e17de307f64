// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "compute/arena.hpp"
#include "net/rtp/packetizer.hpp"
#include "net/rtp/sdp.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/decoded_file.hpp"
#include "tools/histoctl/image_files.hpp"
#include "tools/histoctl/output_file.hpp"
#include "tools/histoctl/packet_sender.hpp"
#include "tools/histoctl/stream.hpp"
#include "tools/histoctl/stream_player.hpp"
#include "tools/histoctl/stream_values.hpp"
#include "tools/histoctl/video_samples.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace rtp = net::rtp;
namespace {

constexpr std::string_view k_pattern_prefix = "pattern:";
constexpr std::uint64_t k_frames_octets_max = 2ull << 30;
constexpr unsigned k_high_definition_rows = 720;
constexpr std::uint8_t k_multicast_ttl = 1;

/// A file or a pattern, in the order of the command line.
struct Input {
  std::string name;
  std::optional<Pattern> pattern;
};

Result<std::vector<Input>> inputs_of(const Arguments& arguments) {
  std::vector<Input> inputs;
  for (const std::string& operand : std::span(arguments.operands).subspan(1)) {
    if (operand.starts_with(k_pattern_prefix)) {
      const auto pattern = pattern_of(std::string_view(operand).substr(k_pattern_prefix.size()));
      if (!pattern) {
        return fail(Exit::usage, fmt::format("stream send: {}: there are pattern:ramp, pattern:bars, pattern:noise "
                                             "and pattern:flat",
                                             one_line(operand)));
      }
      inputs.push_back({operand, pattern});
      continue;
    }
    const auto files = files_of(std::span(&operand, 1), false);
    if (!files) return std::unexpected(files.error());
    if (files->empty()) return fail(Exit::some_failed, one_line(operand) + ": no image is in this folder");
    for (const std::string& file : *files) inputs.push_back({file, std::nullopt});
  }
  return inputs;
}

/// All frames, made before the first is sent, so that nothing has to be made in time.
class Reel {
 public:
  /// --size, or the first input's.
  Result<void> find_format(const Arguments& arguments, const Input& first) {
    format_.sampling = rtp::sampling_of(arguments.get("sampling", "YCbCr-4:2:2")).value();
    format_.depth = static_cast<unsigned>(arguments.number("depth", 8));
    format_.interlaced = arguments.has("interlaced");
    if (arguments.get("line-numbering") == "field") format_.line_numbering = rtp::LineNumbering::field;
    if (const auto size = picture_size_of(arguments.get("size"))) {
      format_.width = size->width;
      format_.height = size->height;
      return {};
    }
    if (first.pattern) return fail(Exit::usage, "stream send: say by --size WxH how large the pattern is to be");
    const auto file = DecodedFile::read(first.name, arena_);
    if (!file) return about(first.name, file.error());
    format_.width = file->first().width;
    format_.height = file->first().height;
    return {};
  }

  Result<void> load(const rtp::Raster& raster, const std::vector<Input>& inputs, std::uint64_t seed) {
    for (const Input& input : inputs) {
      if (const auto added = input.pattern ? add_pattern(raster, *input.pattern, seed) : add_file(raster, input.name);
          !added) {
        return about(input.name, added.error());
      }
    }
    return {};
  }

  const rtp::VideoFormat& format() const { return format_; }
  const std::vector<PackedFrame>& frames() const { return frames_; }

 private:
  static std::unexpected<Failure> about(const std::string& name, Failure failure) {
    failure.text = one_line(name) + ": " + failure.text;
    return std::unexpected(std::move(failure));
  }

  Result<void> add(const rtp::Raster& raster, const Samples& samples) {
    if ((frames_.size() + 1) * PackedFrame::octets(raster) > k_frames_octets_max) {
      return fail(Exit::some_failed, fmt::format("the frames are more than the {} GiB that are kept in memory",
                                                 k_frames_octets_max >> 30));
    }
    frames_.emplace_back(raster, samples);
    return {};
  }

  Result<void> add_pattern(const rtp::Raster& raster, Pattern pattern, std::uint64_t seed) {
    for (unsigned frame = 0; frame < frames_of(pattern); ++frame) {
      if (const auto added = add(raster, PatternSamples(format_, pattern, seed, frame)); !added) return added;
    }
    return {};
  }

  Result<void> add_file(const rtp::Raster& raster, const std::string& name) {
    const auto file = DecodedFile::read(name, arena_);
    if (!file) return std::unexpected(file.error());
    const auto samples = ImageSamples::make(raster, file->first(), file->first_info().levels);
    if (!samples) return std::unexpected(samples.error());
    return add(raster, *samples);
  }

  compute::Arena arena_{{}};
  rtp::VideoFormat format_;
  std::vector<PackedFrame> frames_;
};

/// What identifies the stream; RFC 3550 wants it random.
struct Identity {
  std::uint32_t ssrc = 0, sequence_number = 0, timestamp = 0;
  std::uint8_t payload_type = 96;

  static Identity random(const Arguments& arguments) {
    std::random_device source;
    return {source(), source(), source(), static_cast<std::uint8_t>(arguments.number("payload-type", 96))};
  }
};

Result<void> write_description(const Arguments& arguments, const HostPort& to, const PacketSender& sender,
                               const rtp::VideoFormat& format, const Identity& identity, rtp::FrameRate rate) {
  const std::string path = arguments.get("sdp");
  std::error_code error;
  if (!arguments.has("overwrite") && std::filesystem::exists(path, error)) {
    return fail(Exit::some_failed, fmt::format("{} exists already (--overwrite replaces it)", path));
  }
  const bool group = sender.multicast() && !sender.ipv6();
  const auto text = rtp::write_sdp(
      {.session_name = "histoctl",
       .address = sender.numeric_host(),
       .ipv6 = sender.ipv6(),
       .ttl = group ? static_cast<std::uint8_t>(arguments.number("ttl", k_multicast_ttl)) : std::uint8_t{0},
       .port = to.port,
       .payload_type = identity.payload_type,
       .format = format,
       .colorimetry = format.height >= k_high_definition_rows ? "BT709-2" : "BT601-5",
       .top_field_first = format.interlaced,
       .frame_rate = rate},
      {.address = sender.ipv6() ? "::1" : "127.0.0.1",
       .ipv6 = sender.ipv6(),
       .session_id = identity.ssrc,
       .session_version = 1});
  if (!text) return fail(Exit::some_failed, text.error().detail);
  auto file = OutputFile::create(path);
  if (!file) return std::unexpected(file.error());
  if (::write(file->fd(), text->data(), text->size()) != static_cast<ssize_t>(text->size())) {
    return fail(Exit::some_failed, fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  }
  return file->commit(arguments.has("overwrite"));
}

void tell(const Arguments& arguments, const StreamPlayer::Played& played, const PacketSender::Counts& counts,
          const Identity& identity, const rtp::VideoFormat& format) {
  const double seconds = std::chrono::duration<double>(played.took).count();
  const auto per_second = [&](double number) { return seconds > 0 ? number / seconds : 0; };
  const double rate = per_second(static_cast<double>(played.frames));
  const double bits = per_second(static_cast<double>(counts.octets) * 8);
  const double late = std::chrono::duration<double>(played.late).count();
  if (arguments.has("json")) {
    print(to_text(json::object{{"to", arguments.get("to")},
                               {"frames", played.frames},
                               {"packets", counts.packets},
                               {"bytes", counts.octets},
                               {"failed_packets", counts.failed},
                               {"seconds", seconds},
                               {"frames_per_second", rate},
                               {"bits_per_second", bits},
                               {"late_seconds", late},
                               {"ssrc", identity.ssrc},
                               {"payload_type", identity.payload_type},
                               {"sampling", rtp::name_of(format.sampling)},
                               {"depth", format.depth},
                               {"width", format.width},
                               {"height", format.height},
                               {"interlaced", format.interlaced}}) +
          "\n");
  } else if (!arguments.has("quiet")) {
    print(fmt::format(
        "sent {} frames, {} packets, {} in {:.2f} s: {:.2f} frames/s, {:.1f} Mbit/s; at most {:.1f} ms late\n",
        played.frames, counts.packets, bytes_text(static_cast<double>(counts.octets)), seconds, rate, bits / 1e6,
        late * 1e3));
  }
}

Result<Exit> play(const Arguments& arguments, const rtp::Raster& raster, const Reel& reel, PacketSender& sender) {
  const HostPort to = *host_port_of(arguments.get("to"));
  const rtp::FrameRate rate = *frame_rate_of(arguments.get("rate", "25"));
  const Identity identity = Identity::random(arguments);
  const auto mtu = static_cast<unsigned>(arguments.number("mtu", 1400));
  auto packetizer = rtp::Packetizer::make(raster, {.payload_type = identity.payload_type,
                                                   .ssrc = identity.ssrc,
                                                   .sequence_number = identity.sequence_number,
                                                   .packet_octets_max = rtp::packet_octets_of_mtu(mtu, sender.ipv6())});
  if (!packetizer) return fail(Exit::usage, "--mtu: " + packetizer.error().detail);
  if (arguments.has("sdp")) {
    const auto written = write_description(arguments, to, sender, raster.format(), identity, rate);
    if (!written) return std::unexpected(written.error());
  }
  const std::uint64_t frames = arguments.has("loop") ? 0 : arguments.number("frames", reel.frames().size());
  StreamPlayer player(raster, *packetizer, rate, identity.timestamp, sender);
  const auto played = player.play(reel.frames(), frames);
  if (!played) return std::unexpected(played.error());
  const PacketSender::Counts& counts = sender.counts();
  tell(arguments, *played, counts, identity, raster.format());
  if (counts.failed > 0) {
    return fail(Exit::some_failed,
                fmt::format("{} packets could not be sent: {}", counts.failed, std::strerror(counts.error)));
  }
  // Ctrl-C is how a loop is meant to end.
  return played->interrupted && frames > 0 ? Exit::interrupted : Exit::ok;
}

}  // namespace

Result<Exit> send_stream(const Arguments& arguments) {
  if (!arguments.has("to")) return fail(Exit::usage, "stream send: say where to, by --to HOST:PORT");
  if (arguments.has("loop") && arguments.has("frames")) return fail(Exit::usage, "--loop: not with --frames");
  const auto inputs = inputs_of(arguments);
  if (!inputs) return std::unexpected(inputs.error());
  Reel reel;
  if (const auto found = reel.find_format(arguments, inputs->front()); !found) return std::unexpected(found.error());
  const auto raster = rtp::Raster::make(reel.format());
  if (!raster) return fail(Exit::usage, "stream send: " + raster.error().detail);
  auto sender = PacketSender::open(
      *host_port_of(arguments.get("to")),
      {.ttl = static_cast<unsigned>(arguments.number("ttl", 0)), .interface = arguments.get("interface")});
  if (!sender) return std::unexpected(sender.error());
  if (const auto loaded = reel.load(*raster, *inputs, arguments.number("seed", 0)); !loaded) {
    return std::unexpected(loaded.error());
  }
  return play(arguments, *raster, reel, *sender);
}

}  // namespace histod::ctl
