// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/settings.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace histod::ctl {
namespace {

constexpr std::size_t k_token_file_bytes_max = 1u << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// ${VARIABLE:-~/FALLBACK}/TAIL, or empty when there is neither the variable nor a home.
std::string in_home(const char* variable, std::string_view fallback, std::string_view tail) {
  const std::string base = environment(variable);
  if (!base.empty()) return fmt::format("{}/{}", base, tail);
  const std::string home = environment("HOME");
  return home.empty() ? std::string() : fmt::format("{}/{}/{}", home, fallback, tail);
}

struct ConfigFile {
  std::string server;
  std::string token_file;
  std::string cacert;
};

Result<ConfigFile> read_config() {
  ConfigFile config;
  const std::string path = in_home("XDG_CONFIG_HOME", ".config", "histoctl.toml");
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return config;
  const toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    return fail(Exit::usage, fmt::format("{}: line {}: {}", path, parsed.error().source().begin.line,
                                         one_line(parsed.error().description())));
  }
  for (const auto& [key, value] : parsed.table()) {
    std::string* field = nullptr;
    if (key == "server") field = &config.server;
    if (key == "token_file") field = &config.token_file;
    if (key == "cacert") field = &config.cacert;
    if (!field) {
      return fail(Exit::usage, fmt::format("{}: {}: no such setting (there are server, token_file, cacert)", path,
                                           one_line(key.str())));
    }
    const auto text = value.value_exact<std::string>();
    if (!text) return fail(Exit::usage, fmt::format("{}: {}: not a string", path, key.str()));
    *field = *text;
  }
  return config;
}

bool is_token(std::string_view word) {
  return std::ranges::all_of(word, [](char c) { return c > 0x20 && c < 0x7f; });
}

int strength(std::string_view role, TokenUse use) {
  std::array<std::string_view, 4> roles = {"events", "read", "submit", "admin"};
  if (use == TokenUse::post_events) std::swap(roles[0], roles[1]);
  const auto found = std::ranges::find(roles, role);
  return found == roles.end() ? 0 : static_cast<int>(found - roles.begin()) + 1;
}

Result<std::string> read_token_file(const std::string& path, TokenUse use) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Exit::usage, fmt::format("{}: cannot read the token: {}", path, std::strerror(errno)));
  std::string text(k_token_file_bytes_max, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto token = token_of_text(text, use);
  if (!token) token.error().text = fmt::format("{}: {}", path, token.error().text);
  return token;
}

/// The token by the order of --help; only the file at the default place may be missing.
Result<std::string> find_token(const Arguments& arguments, const ConfigFile& config, TokenUse use) {
  if (arguments.has("token-file")) return read_token_file(arguments.get("token-file"), use);
  if (std::string token = environment("HISTOCTL_TOKEN"); !token.empty()) {
    if (!is_token(token)) return fail(Exit::usage, "HISTOCTL_TOKEN: not a token (blanks or control characters)");
    return token;
  }
  if (const std::string path = environment("HISTOCTL_TOKEN_FILE"); !path.empty()) return read_token_file(path, use);
  if (!config.token_file.empty()) return read_token_file(config.token_file, use);
  const std::string path = in_home("XDG_STATE_HOME", ".local/state", "histod/token");
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return std::string();
  return read_token_file(path, use);
}

std::string first_of(std::initializer_list<std::string> candidates) {
  for (const std::string& each : candidates) {
    if (!each.empty()) return each;
  }
  return {};
}

}  // namespace

Result<std::string> token_of_text(std::string_view text, TokenUse use) {
  std::string best;
  int best_strength = -1;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string first;
    std::string second;
    words >> first >> second;
    if (first.empty()) continue;
    const bool bare = second.empty();
    if (!bare && first == "peer") continue;  // for other nodes, who may do nothing that is asked for here
    const int rank = bare ? 0 : strength(first, use);
    const std::string& token = bare ? first : second;
    if (!bare && rank == 0) return fail(Exit::usage, "neither a bare token nor lines of ROLE TOKEN [NAME]");
    if (!is_token(token)) return fail(Exit::usage, "the token has control or non-ASCII characters");
    if (rank > best_strength) {
      best = token;
      best_strength = rank;
    }
  }
  if (best.empty()) return fail(Exit::usage, "the file holds no token");
  return best;
}

Result<Settings> load_settings(const Arguments& arguments, TokenUse use) {
  const auto config = read_config();
  if (!config) return std::unexpected(config.error());
  auto token = find_token(arguments, *config, use);
  if (!token) return std::unexpected(token.error());
  Settings settings;
  settings.token = std::move(*token);
  settings.server =
      first_of({arguments.get("server"), environment("HISTOCTL_SERVER"), config->server, "http://127.0.0.1:8080"});
  while (settings.server.ends_with('/')) settings.server.pop_back();
  if (!settings.server.starts_with("http://") && !settings.server.starts_with("https://")) {
    return fail(Exit::usage, fmt::format("server {}: not an http:// or https:// URL", one_line(settings.server)));
  }
  settings.cacert = first_of({arguments.get("cacert"), config->cacert});
  settings.timeout_s = static_cast<long>(arguments.number("timeout", 300));
  settings.retries = static_cast<unsigned>(arguments.number("retries", 5));
  return settings;
}

}  // namespace histod::ctl
