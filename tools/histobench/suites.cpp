// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/suites.hpp"

#include <array>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace {

constexpr std::array k_suites{
    Suite{"kernel", "counting, tables, applying, CLAHE, in process", run_kernel_suite},
    Suite{"packed", "packed 4:2:2 video counted and mapped a packet at a time, in process", run_packed_suite},
    Suite{"codec", "decoding and encoding, in process", run_codec_suite},
    Suite{"http", "whole requests beside the echo, OpenCV, Flask, libvips, GraphicsMagick and ImageMagick",
          run_http_suite},
    Suite{"small", "requests a second beside nginx; latencies at constant rates, alone and beside large images",
          run_small_suite},
    Suite{"memory", "start, idle and peak memory of the daemon", run_memory_suite},
    Suite{"scaling", "one thread beside two and more, in process", run_scaling_suite},
    Suite{"node", "this machine's memory, loopback and codecs, and how close the daemon comes to them", run_node_suite},
    Suite{"feed", "thousands of idle and hundreds of busy readers of the live feed, and some that do not keep up",
          run_feed_suite},
    Suite{"video", "live 1080p over UDP, equalized packet by packet by io_uring and DPDK, beside GStreamer with OpenCV",
          run_video_suite},
    Suite{"soak", "ten minutes of everything at once: what fails, what grows; runs only when it is named",
          run_soak_suite, true},
};

}  // namespace

std::span<const Suite> suites() { return k_suites; }

double Settings::seconds() const { return scale == Scale::full ? 10 : scale == Scale::quick ? 1 : 0.1; }

void compare(const Sink& sink, Row row, const Competitor& ours, const Competitor& theirs, unsigned rounds,
             const std::function<std::string()>& check) {
  try {
    row.wrong = check();
    if (row.wrong.empty()) {
      row.values = take_turns(ours, theirs, rounds);
      row.wrong = check();
    }
  } catch (const Failure& failure) {
    row.wrong = failure.what();
  }
  sink.row(std::move(row));
}

std::vector<Input> gray_inputs(const Settings& settings, const Sink& sink, Size size, bool with_noise) {
  std::vector<Input> inputs;
  if (auto photo = photograph(settings.photo, size, 8)) inputs.push_back(std::move(*photo));
  if (inputs.empty()) sink.note(k_no_photograph);
  if (inputs.empty() || with_noise) inputs.push_back(dim_noise(size));
  for (const Input& input : inputs) sink.input(input.label(), digest(input.bytes()));
  return inputs;
}

Input color_input(const Settings& settings, const Sink& sink, Size size) {
  Input input = photograph(settings.photo, size, 8, 3).value_or(dim_noise(size, 3));
  sink.input(input.label(), digest(input.bytes()));
  return input;
}

}  // namespace histod::bench
