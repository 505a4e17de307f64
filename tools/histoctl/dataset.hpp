// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "tools/histoctl/cli.hpp"
#include "tools/histoctl/client.hpp"
#include "tools/histoctl/settings.hpp"

/// The parts of `histoctl dataset`.
namespace histod::ctl {

/// "/v1/datasets/ID"
std::string dataset_target(std::string_view id);

/// Calls `take` with each job of the dataset, the oldest first, page by page; `state`: only those in it, unless empty.
/// Fails where nodes do not answer: an image of theirs would be sent twice, or never fetched.
Result<void> for_each_image(Client& client, std::string_view id, std::string_view state,
                            const std::function<void(const boost::json::value&)>& take);

/// Sends the files that are not there yet.
Result<Exit> add_images(const Arguments& arguments, const Settings& settings, const std::string& id);
/// Downloads the results that are there.
Result<Exit> get_images(const Arguments& arguments, const Settings& settings, const std::string& id);
/// Shows the table, or sets it.
Result<Exit> handle_lut(const Arguments& arguments, Client& client, const std::string& id);

}  // namespace histod::ctl
