// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tools/histoctl/cli.hpp"

namespace histod::ctl {

/// Where the server is and how to be let in. --help says which source wins.
struct Settings {
  std::string server;  ///< without a slash at the end
  std::string token;   ///< empty: none was found
  std::string cacert;  ///< empty: the system's certificates
  long timeout_s = 300;
  unsigned retries = 5;
};

/// What a token is for: who may only post events may not read.
enum class TokenUse : std::uint8_t { any, post_events };

/// Reads flags, environment, configuration file and token file. Exit::usage.
Result<Settings> load_settings(const Arguments& arguments, TokenUse use = TokenUse::any);

/// The strongest token of the text of a token file: a bare token, or lines `ROLE TOKEN [NAME]` with # comments
/// (admin > submit > read > events; to post events: admin > submit > events > read). Exit::usage when there is none.
Result<std::string> token_of_text(std::string_view text, TokenUse use = TokenUse::any);

}  // namespace histod::ctl
