// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/client.hpp"
#include "tools/histoctl/failure.hpp"
#include "tools/histoctl/settings.hpp"

/// One function for each command. Each has reported its failures when it returns, but for the Failure that it returns:
/// that one is the caller's to report.
namespace histod::ctl {

Result<Exit> run_equalize(const Arguments& arguments, const Settings& settings);
Result<Exit> run_histogram(const Arguments& arguments, const Settings& settings);
Result<Exit> run_status(const Arguments& arguments, const Settings& settings);
Result<Exit> run_cluster(const Arguments& arguments, const Settings& settings);
Result<Exit> run_jobs(const Arguments& arguments, const Settings& settings);
Result<Exit> run_submit(const Arguments& arguments, const Settings& settings);
Result<Exit> run_dataset(const Arguments& arguments, const Settings& settings);
/// Reads its settings itself: what it sends needs another token than what it reads, or none.
Result<Exit> run_events(const Arguments& arguments);
/// Reads its settings itself: what it sends goes by no daemon's API.
Result<Exit> run_stream(const Arguments& arguments);
/// Asks no daemon.
Result<Exit> run_seams(const Arguments& arguments);

/// Options that do not go together. Exit::usage.
Result<void> check_image_options(const Arguments& arguments);

/// The query that the image options make, "?rule=exact&..." or empty.
std::string image_query(const Arguments& arguments);

/// The same with the name of a file on a shared volume of the daemon, and where its result goes.
std::string reference_query(const Arguments& arguments, const std::string& name);

/// What to send for the operand: a file, or standard input for "-". Exit::usage when a file is named by mistake (a
/// folder).
Result<Upload> make_upload(const Arguments& arguments, const std::string& operand);

}  // namespace histod::ctl
