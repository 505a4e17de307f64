// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tools/histobench/video_frame.hpp"

namespace histod::bench {

/// A stream's loop in this process, between two rings in memory that DPDK's driver net_ring takes for a network card:
/// what a frame costs where no kernel has a part in it.
struct VideoRing {
  std::string missing, wrong;                 ///< why there are no figures
  std::vector<double> frames_per_cpu_second;  ///< of each round
};
/// Once in a process: so often DPDK can be started.
VideoRing video_ring(VideoFrame& frame, int cpu, unsigned rounds, unsigned frames);
std::string video_dpdk_version();  ///< empty: there is none

}  // namespace histod::bench
