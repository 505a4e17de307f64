// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/cli_checks.hpp"
#include "tools/histoctl/stream_values.hpp"

/// What `histoctl stream` takes; a part of the table of cli_table.cpp.
namespace histod::ctl {

inline bool is_listen(std::string_view text) { return host_port_of(text, 0).has_value(); }
inline bool is_host_port(std::string_view text) { return host_port_of(text).has_value(); }
inline bool is_picture_size(std::string_view text) { return picture_size_of(text).has_value(); }
inline bool is_frame_rate(std::string_view text) { return frame_rate_of(text).has_value(); }
inline bool is_target_list(std::string_view text) { return targets_of(text).has_value(); }

inline constexpr std::uint64_t k_whole_max = ~0ull;

inline constexpr OptionSpec k_stream_specs[] = {
    {"config", 0, Value::file, "FILE", "",
     "set: begin with this JSON, what `show --json` has as \"config\"; - for standard input"},
    {"listen", 0, Value::text, "ADDRESS:PORT", "", "set: where packets come in; a multicast group is joined", is_listen,
     "ADDRESS:PORT, an IPv6 address being in brackets"},
    {"interface", 0, Value::text, "ADDRESS", "", "set, send: address of the interface for a multicast group"},
    {"backend", 0, Value::choice, "NAME", "io_uring|dpdk", "set: what receives and sends (default io_uring)"},
    {"dpdk-port", 0, Value::text, "DEVICE", "", "set: DPDK's device, with its arguments"},
    {"sampling", 0, Value::choice, "NAME", "YCbCr-4:2:2|YCbCr-4:2:0|RGB|RGBA",
     "set: what comes in, needed; send: what is sent (default YCbCr-4:2:2)"},
    {"depth", 0, Value::choice, "BITS", "8|10|12|16", "set, send: bits of a sample (set: needed; send: default 8)"},
    {"size", 0, Value::text, "WxH", "",
     "set, send: pixels of the frame (set: needed; send: default that of the first file)", is_picture_size,
     "WxH, each from 1 to 32767"},
    {"interlaced", 0, Value::none, "", "", "set, send: frames are two fields, the upper one first"},
    {"line-numbering", 0, Value::choice, "NAME", "frame|field",
     "set, send: interlaced: lines count through the frame (default), or each field from 0"},
    {"payload-type", 0, Value::text, "N", "", "set: take no other (default any); send: 0 to 127 (default 96)",
     checks::is_whole<0, 127>, "a whole number from 0 to 127"},
    {"colorimetry", 0, Value::text, "NAME", "", "set: as SDP names it (default by the height)"},
    {"sdp", 0, Value::file, "FILE", "", "set: the format is what FILE describes; send: describe it in FILE"},
    {"rule", 'r', Value::choice, "NAME", "opencv|exact|reference|pillow|vips",
     "set, change: which library's \"equalize\" (default opencv)"},
    {"window", 0, Value::text, "FRAMES", "", "set, change: the table is of the last FRAMES frames (default 32)",
     checks::is_whole<1, 1024>, "a whole number from 1 to 1024"},
    {"average", 0, Value::text, "FRAMES", "",
     "set, change: of an average that forgets in FRAMES frames, a power of two", checks::is_whole<1, 1024>,
     "a whole number from 1 to 1024"},
    {"clip-limit", 0, Value::text, "FLOAT", "",
     "set, change: how steep the table may be, 1 to 1000; 0 for any (default)", checks::is_between<0, 1000>,
     "a number from 0 to 1000"},
    {"scene-cut", 0, Value::text, "SHARE", "",
     "set, change: begin anew when brightness moves that far, 0 to 1; 0 for never (default)", checks::is_between<0, 1>,
     "a number from 0 to 1"},
    {"targets", 0, Value::text, "HOST:PORT,...|none", "", "set, change: where packets are sent on to, at most 4",
     is_target_list, "ADDRESS:PORT, more of them behind commas, or none"},
    {"next-hop", 0, Value::text, "MAC", "",
     "set, change: with dpdk, Ethernet address on the way to the first target (default: who sent)"},
    {"cpu", 0, Value::text, "N", "", "set: run on this CPU (default: one that nothing else of the daemon has)",
     checks::is_whole<0, 4095>, "a whole number from 0 to 4095"},
    {"preview-rate", 0, Value::text, "N", "", "set, change: pictures a second for people, 0 to 5 (default 3)",
     checks::is_between<0, 5>, "a number from 0 to 5"},
    {"preview-height", 0, Value::text, "N", "", "set, change: their height at most (default 360)",
     checks::is_whole<16, 720>, "a whole number from 16 to 720"},
    {"side", 0, Value::choice, "SIDE", "out|in", "preview: the frame as it goes out (default), or as it came in"},
    {"output", 'o', Value::file, "FILE", "", "preview, sdp: file to write to; - for standard output"},
    {"overwrite", 'f', Value::none, "", "", "preview, sdp, send --sdp: replace a file that exists"},
    {"to", 0, Value::text, "HOST:PORT", "", "send: where to; a multicast group is one, too", is_host_port,
     "HOST:PORT, an IPv6 address being in brackets"},
    {"rate", 0, Value::text, "FPS", "", "send: frames a second, 25, 29.97 or 30000/1001 (default 25)", is_frame_rate,
     "25, 29.97 or 30000/1001, from 0.01 to 1000"},
    {"frames", 0, Value::text, "N", "", "send: N frames, beginning again behind the last (default: each one once)",
     checks::is_whole<1, 1u << 31>, "a whole number from 1 to 2147483648"},
    {"loop", 0, Value::none, "", "", "send: again and again, until Ctrl-C"},
    {"mtu", 0, Value::text, "BYTES", "", "send: of an IP packet at most (default 1400)", checks::is_whole<60, 65535>,
     "a whole number from 60 to 65535"},
    {"ttl", 0, Value::text, "N", "", "send: routers that a multicast packet may pass, 1 to 255 (default 1)",
     checks::is_whole<1, 255>, "a whole number from 1 to 255"},
    {"seed", 0, Value::text, "N", "", "send: another noise for another N (default 0)", checks::is_whole<0, k_whole_max>,
     "a whole number"},
};

inline constexpr CommandSpec k_stream_command = {
    "stream",
    "WORD [NAME] ...",
    "look after live video (RFC 4175), and send some",
    "The daemon receives uncompressed video over RTP, equalizes it packet by packet, and sends it on. A node has at\n"
    "most 16 streams. NAME is 1 to 63 of a-z, 0-9 and dashes. How far brightness moves (--scene-cut) is the\n"
    "earth mover's distance of two frames' histograms, in parts of the whole range, from 0 to 1.\n"
    "\n"
    "  list, show NAME           what comes in and goes out; --json also has the histogram and the table\n"
    "  set NAME --listen ...     begin a stream, or replace it (needs the role admin)\n"
    "  change NAME --rule ...    change it while it runs, from the next frame on; no packet is lost (admin)\n"
    "  remove NAME...            end it; the port is closed when the command returns (admin)\n"
    "  preview NAME -o FILE      the last whole frame as a small JPEG\n"
    "  sdp NAME                  describe what is sent, for a player\n"
    "  send INPUT... --to HOST:PORT\n"
    "                            plays image files (of a folder, files named like images) or test patterns as live\n"
    "                            video, and asks no daemon. Patterns: pattern:ramp, pattern:bars, pattern:noise (16\n"
    "                            frames), pattern:flat. Gray images are sent as Y, or as R, G and B, over the whole\n"
    "                            range; colours as YCbCr of narrow range. Frames keep their time, whatever becomes of\n"
    "                            the packets; what the kernel has no room for is counted, and makes the exit code 1",
    k_stream_specs,
    "  histoctl stream set studio --listen 239.1.1.1:5004 --size 1920x1080 --sampling YCbCr-4:2:2 --depth 10 \\\n"
    "    --targets 10.0.0.9:5006\n"
    "  histoctl stream change studio --window 8 --scene-cut 0.4\n"
    "  histoctl stream preview studio -o now.jpg --overwrite\n"
    "  histoctl stream send pattern:bars --size 1280x720 --rate 50 --loop --to 127.0.0.1:5004 --sdp bars.sdp\n"
    "  histoctl stream send frames/ --rate 30000/1001 --frames 300 --to 239.1.1.1:5004\n",
    "list|show|set|change|remove|preview|sdp|send",
    true};

}  // namespace histod::ctl
