// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/output_file.hpp"
#include "tools/histoctl/stream.hpp"
#include "tools/histoctl/stream_values.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

struct Member {
  std::string_view option;
  std::string_view member;
  enum class Kind : std::uint8_t { text, whole, real, flag } kind;
};

using Kind = Member::Kind;
constexpr Member k_members[] = {{"listen", "listen", Kind::text},
                                {"interface", "interface", Kind::text},
                                {"backend", "backend", Kind::text},
                                {"dpdk-port", "dpdk_port", Kind::text},
                                {"sampling", "sampling", Kind::text},
                                {"depth", "depth", Kind::whole},
                                {"interlaced", "interlaced", Kind::flag},
                                {"line-numbering", "line_numbering", Kind::text},
                                {"payload-type", "payload_type", Kind::whole},
                                {"colorimetry", "colorimetry", Kind::text},
                                {"rule", "rule", Kind::text},
                                {"clip-limit", "clip_limit", Kind::real},
                                {"scene-cut", "scene_cut", Kind::real},
                                {"next-hop", "next_hop", Kind::text},
                                {"cpu", "cpu", Kind::whole}};

double real_of(const Arguments& arguments, std::string_view option) {
  const std::string text = arguments.get(option);
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

json::value value_of(const Arguments& arguments, const Member& member) {
  switch (member.kind) {
    case Kind::text:
      return json::value(arguments.get(member.option));
    case Kind::whole:
      return json::value(arguments.number(member.option, 0));
    case Kind::real:
      return json::value(real_of(arguments, member.option));
    case Kind::flag:
      break;
  }
  return json::value(true);
}

/// The object in `config` under the name; made where there is none.
json::object& object_of(json::object& config, std::string_view name) {
  json::value& value = config[name];
  return value.is_object() ? value.get_object() : value.emplace_object();
}

Result<void> apply_options(const Arguments& arguments, json::object& config) {
  if (arguments.has("window") && arguments.has("average")) {
    return fail(Exit::usage, "--average: not with --window");
  }
  for (const Member& member : k_members) {
    if (arguments.has(member.option)) config[member.member] = value_of(arguments, member);
  }
  if (const auto size = picture_size_of(arguments.get("size"))) {
    config["width"] = size->width;
    config["height"] = size->height;
  }
  if (arguments.has("window")) config["window"] = json::object{{"frames", arguments.number("window", 0)}};
  if (arguments.has("average")) config["window"] = json::object{{"average_frames", arguments.number("average", 0)}};
  if (arguments.has("targets")) {
    json::array& targets = config["targets"].emplace_array();
    const auto given = targets_of(arguments.get("targets"));
    for (const std::string& each : *given) targets.emplace_back(each);
  }
  if (arguments.has("preview-rate")) object_of(config, "preview")["per_second"] = real_of(arguments, "preview-rate");
  if (arguments.has("preview-height")) {
    object_of(config, "preview")["height_max"] = arguments.number("preview-height", 0);
  }
  return {};
}

Result<std::string> text_of_file(const std::string& path) {
  if (path == "-") return read_standard_input();
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return fail(Exit::some_failed, fmt::format("{}: cannot be read", one_line(path)));
  return text;
}

/// The configuration that --config names, and what --sdp says.
Result<json::object> base_of(const Arguments& arguments) {
  json::object config;
  if (arguments.has("config")) {
    const auto text = text_of_file(arguments.get("config"));
    if (!text) return std::unexpected(text.error());
    boost::system::error_code error;
    json::value value = json::parse(*text, error);
    if (error || !value.is_object()) {
      return fail(Exit::some_failed, fmt::format("{}: is not one object of JSON", one_line(arguments.get("config"))));
    }
    config = std::move(value.get_object());
  }
  if (!arguments.has("sdp")) return config;
  const auto description = text_of_file(arguments.get("sdp"));
  if (!description) return std::unexpected(description.error());
  config["sdp"] = *description;
  return config;
}

Result<Exit> send_config(const Arguments& arguments, Client& client, std::string method, const std::string& name,
                         const json::object& config) {
  Upload body;
  body.data = std::make_shared<const std::string>(to_text(config));
  const auto stream = fetch_json(client, {.method = std::move(method),
                                          .target = stream_target(name),
                                          .fields = {"Content-Type: application/json"},
                                          .upload = std::move(body)});
  if (!stream) return std::unexpected(stream.error());
  if (arguments.has("json")) {
    print(to_text(*stream) + "\n");
  } else {
    print(fmt::format("{} {} {}\n", field(*stream, "name"), field(*stream, "state"), field(*stream, "local")));
  }
  return Exit::ok;
}

}  // namespace

Result<Exit> set_stream(const Arguments& arguments, Client& client, const std::string& name) {
  auto config = base_of(arguments);
  if (!config) return std::unexpected(config.error());
  if (const auto applied = apply_options(arguments, *config); !applied) return std::unexpected(applied.error());
  return send_config(arguments, client, "PUT", name, *config);
}

Result<Exit> change_stream(const Arguments& arguments, Client& client, const std::string& name) {
  json::object change;
  if (const auto applied = apply_options(arguments, change); !applied) return std::unexpected(applied.error());
  if (change.empty()) return fail(Exit::usage, "stream change: say what, by --rule, --window, --targets, ...");
  return send_config(arguments, client, "PATCH", name, change);
}

}  // namespace histod::ctl
