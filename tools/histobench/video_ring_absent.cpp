// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_ring.hpp"

namespace histod::bench {

VideoRing video_ring(VideoFrame&, int, unsigned, unsigned) {
  return {.missing = "build with libdpdk-dev", .wrong = {}, .frames_per_cpu_second = {}};
}

std::string video_dpdk_version() { return {}; }

}  // namespace histod::bench
