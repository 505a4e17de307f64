// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/histobench/inputs.hpp"
#include "tools/histobench/measure.hpp"

namespace histod::bench {

enum class Scale : unsigned char {
  full,
  quick,  ///< one size, few rounds: all suites within a minute, and no figures to quote
  tiny,   ///< smallest inputs, one round: does it run at all
};

struct Settings {
  std::vector<std::string> suites;  ///< names of suites()
  Scale scale = Scale::full;
  std::string photo;           ///< file; empty: where Debian's wallpapers are
  unsigned rounds = 0;         ///< of each comparison; not 0 when a suite runs
  std::string daemon_program;  ///< path of histod; empty: there is none

  double seconds() const;  ///< how long a rate is measured
};

/// Where a suite tells what it measured, as it goes along.
struct Sink {
  std::function<void(const std::string& label, std::uint64_t digest)> input;
  std::function<void(Row)> row;
  std::function<void(const std::string&)> note;                           ///< what was left out, and why
  std::function<void(const std::string& name, const std::string&)> fact;  ///< a peer's version, say
};

struct Suite {
  std::string_view name;
  std::string_view says;  ///< for --help
  void (*run)(const Settings& settings, const Sink& sink);
  bool by_name_only = false;  ///< not among those that run when none is named
};
std::span<const Suite> suites();

/// Takes turns and hands the row to the sink. `check` says what is wrong with the outputs, or nothing; it is asked
/// before and after. A Failure becomes the row's `wrong`.
void compare(const Sink& sink, Row row, const Competitor& ours, const Competitor& theirs, unsigned rounds,
             const std::function<std::string()>& check);

inline constexpr const char* k_no_photograph = "no photograph: install lomiri-wallpapers-20.04, or give --photo FILE";

/// A photograph where there is one, and dim noise where it is asked for or there is none; the digests are told.
std::vector<Input> gray_inputs(const Settings& settings, const Sink& sink, Size size, bool with_noise);
Input color_input(const Settings& settings, const Sink& sink, Size size);

void run_kernel_suite(const Settings& settings, const Sink& sink);
void run_codec_suite(const Settings& settings, const Sink& sink);
void run_http_suite(const Settings& settings, const Sink& sink);
void run_small_suite(const Settings& settings, const Sink& sink);
void run_memory_suite(const Settings& settings, const Sink& sink);
void run_scaling_suite(const Settings& settings, const Sink& sink);
void run_node_suite(const Settings& settings, const Sink& sink);
void run_packed_suite(const Settings& settings, const Sink& sink);
void run_feed_suite(const Settings& settings, const Sink& sink);
void run_video_suite(const Settings& settings, const Sink& sink);
void run_soak_suite(const Settings& settings, const Sink& sink);

}  // namespace histod::bench
