// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "net/udp/ethernet.hpp"

// A frame that anybody may have sent. What is accepted lies within it, and can be sent back to where it came from.

namespace {

using namespace histod::net::udp;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::vector<std::byte> frame(reinterpret_cast<const std::byte*>(bytes),
                               reinterpret_cast<const std::byte*>(bytes) + size);
  const auto parsed = parse_udp_frame(frame);
  if (!parsed) return 0;
  const FrameLayout& layout = parsed->layout;
  require(layout.ip >= 14 && layout.ip <= 22 && layout.udp >= layout.ip + 20 && layout.udp <= layout.ip + 60);
  require(layout.payload == layout.udp + 8 && layout.payload + layout.payload_bytes <= size);
  require(parsed->source.v6 == layout.v6 && parsed->destination.v6 == layout.v6);
  frame.resize(readdress(frame, layout, {.from = parsed->destination, .to = parsed->source}));
  const auto back = parse_udp_frame(frame);
  require(back.has_value() && !back->truncated && back->layout.payload_bytes == layout.payload_bytes);
  require(back->source == parsed->destination && back->destination == parsed->source);
  return 0;
}
