// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "daemon/options.hpp"

namespace histod::daemon {

enum class CheckState : std::uint8_t { ok, warn, fail };

/// One start-up check. `cure` is a command, or empty when nothing is wrong.
struct Check {
  std::string name;
  CheckState state = CheckState::ok;
  std::string what;  ///< one sentence
  std::string cure;
};

/// What preflight cannot find out itself, because Asio, the ring and TBB live elsewhere. An empty function leaves its
/// check out.
struct Probes {
  std::function<std::error_code()> uring;             ///< sets a ring up and tears it down
  std::function<std::uint64_t()> arena_pin_failures;  ///< threads that could not be pinned, after one round in an arena
};

/// Every check there is, in a fixed order; touches the disk (a probe file in the spool) but changes nothing for good.
std::vector<Check> run_preflight(const Options& options, const Probes& probes);

// The judgements, apart from what they judge.
Check judge_uring(std::error_code error, Io io);
Check judge_memlock(std::optional<std::uint64_t> limit_bytes, std::uint64_t wanted_bytes);  ///< nullopt: no limit
Check judge_huge_pages(std::uint64_t free_pages_2m, std::uint64_t wanted_pages);
Check judge_open_files(std::uint64_t soft_limit, std::uint64_t wanted);
Check judge_clock(std::int64_t now_ms, bool synchronised);
Check judge_pinning(std::uint64_t failures);
Check judge_free_space(std::uint64_t free_bytes, std::uint64_t budget_bytes, const std::string& path);
Check check_spool(const std::string& path, std::uint64_t budget_bytes);
Check check_token_file(const std::string& path);
Check check_tls(const std::string& cert_path, const std::string& key_path);
Check check_fleet(const Options& options);
Check check_file_roots(const std::string& option);

/// The cure for an io_uring that was refused with `error`: also for the log line at start.
std::string uring_cure(std::error_code error);

/// The worst state of all.
CheckState worst(std::span<const Check> checks);
/// One line for a check, and one more with its cure where it has one.
std::string format_checks(std::span<const Check> checks);

}  // namespace histod::daemon
