// SPDX-License-Identifier: Apache-2.0
#include "daemon/options_streams.hpp"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace histod::daemon {

namespace json = boost::json;

namespace {

/// So that one reader does for the file and for the API. Null for kinds that JSON has not.
json::value json_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return json::value(text->get());
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* list = node.as_array()) {
    json::array out;
    for (const toml::node& item : *list) out.push_back(json_of(item));
    return out;
  }
  if (const auto* table = node.as_table()) {
    json::object out;
    for (const auto& [key, item] : *table) out[key.str()] = json_of(item);
    return out;
  }
  return nullptr;
}

/// Two streams must not ask for the same.
std::string clash(const std::vector<streams::StreamConfig>& before, const streams::StreamConfig& config) {
  for (const streams::StreamConfig& other : before) {
    if (other.name == config.name) return "has the name of another one";
    if (config.listen.port != 0 && other.listen == config.listen)
      return fmt::format("listens where stream \"{}\" does: {}", other.name, config.listen.text());
    if (config.cpu && other.cpu == config.cpu)
      return fmt::format("has the cpu of stream \"{}\": {}", other.name, *config.cpu);
  }
  return {};
}

}  // namespace

void read_stream_tables(const toml::node& tables, const std::string& path, std::vector<streams::StreamConfig>& out,
                        std::vector<std::string>& errors) {
  const auto where = [&](const toml::node& node) { return fmt::format("{}:{}", path, node.source().begin.line); };
  const toml::array* list = tables.as_array();
  if (list == nullptr || !list->is_array_of_tables()) {
    errors.push_back(fmt::format("{}: {} must be tables: [[{}]]", where(tables), k_stream_tables, k_stream_tables));
    return;
  }
  if (list->size() > streams::k_streams_max)
    errors.push_back(fmt::format("{}: there are {} streams; at most {} are possible", where(tables), list->size(),
                                 streams::k_streams_max));
  for (const toml::node& node : *list) {
    const json::value table = json_of(node);
    const json::value* name = table.get_object().if_contains("name");
    const std::string named = name != nullptr && name->is_string() ? std::string(name->get_string()) : "";
    const auto read = streams::read_stream(named, table.get_object());
    if (!read) {
      for (const streams::ConfigError& error : read.error())
        errors.push_back(fmt::format("{}: stream \"{}\": {}", where(node), named, streams::text_of(error)));
    } else if (const std::string wrong = clash(out, *read); !wrong.empty()) {
      errors.push_back(fmt::format("{}: stream \"{}\" {}", where(node), named, wrong));
    } else {
      out.push_back(*read);
    }
  }
}

std::string stream_tables_help() {
  return fmt::format(
      "In the file of --config: a live stream each, at most {}; with the members that PUT /v1/streams/NAME takes (see "
      "/openapi.yaml), and `name`.",
      streams::k_streams_max);
}

}  // namespace histod::daemon
