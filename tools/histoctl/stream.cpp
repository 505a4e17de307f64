// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/stream.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

/// "1.2 ms", or "-" where nothing was measured.
std::string delay_text(const json::object& delays, std::string_view key) {
  const json::value* found = delays.if_contains(key);
  if (!found || !found->is_number()) return "-";
  const double seconds = number(delays, key);
  return seconds < 1e-3 ? fmt::format("{:.1f} us", seconds * 1e6) : fmt::format("{:.2f} ms", seconds * 1e3);
}

std::string format_text(const json::object& format) {
  return fmt::format("{}x{}{} {} {} bit", field(format, "width"), field(format, "height"),
                     flag(format, "interlaced") ? "i" : "", field(format, "sampling"), field(format, "depth"));
}

std::vector<std::string> row_of(const json::object& stream) {
  const json::object& config = part(stream, "config");
  const json::object& seen = part(stream, "format");
  const json::object& rate = part(stream, "rate");
  const json::object& core = part(stream, "core");
  const std::string listen = stream.contains("local") ? field(stream, "local") : field(config, "listen");
  if (!stream.contains("rate")) {
    return {field(stream, "name"), field(stream, "state"), listen, format_text(config), "-", "-", "-", "-", "-",
            field(stream, "error")};
  }
  return {field(stream, "name"),
          field(stream, "state"),
          listen,
          format_text(seen.empty() ? config : seen),
          fmt::format("{:.2f}", number(rate, "frames_per_second")),
          fmt::format("{:.1f}", number(rate, "bits_per_second") / 1e6),
          field(part(stream, "packets"), "lost"),
          delay_text(part(stream, "delay_seconds"), "p99"),
          fmt::format("{:.0f} %", number(core, "busy") * 100),
          stream.contains("error") ? field(stream, "error") : ""};
}

Result<Exit> list(const Arguments& arguments, Client& client) {
  const auto answer = fetch_json(client, "/v1/streams");
  if (!answer) return std::unexpected(answer.error());
  const json::value* streams = answer->is_object() ? answer->get_object().if_contains("streams") : nullptr;
  if (!streams || !streams->is_array()) return fail(Exit::some_failed, "the server's answer holds no streams");
  if (arguments.has("json")) {
    print(to_text(*answer) + "\n");
    return Exit::ok;
  }
  if (streams->get_array().empty()) return Exit::ok;
  std::vector<std::vector<std::string>> rows{
      {"stream", "state", "listens on", "format", "frames/s", "Mbit/s", "lost", "delay p99", "core", ""}};
  for_each_object(answer->get_object(), "streams", [&](const json::object& each) { rows.push_back(row_of(each)); });
  print(columns_text(rows));
  return Exit::ok;
}

Result<Exit> show(const Arguments& arguments, Client& client, const std::string& name) {
  auto stream = fetch_json(client, stream_target(name));
  if (!stream) return std::unexpected(stream.error());
  // Thousands of numbers are nothing to be read; --json has them.
  if (!arguments.has("json") && stream->is_object()) {
    stream->get_object().erase("histogram");
    stream->get_object().erase("lut");
  }
  print_answer(arguments, *stream);
  return Exit::ok;
}

/// A picture or a description, to a file or to standard output.
Result<Exit> download(const Arguments& arguments, Client& client, std::string target, std::string_view media_type) {
  const auto reply = fetch_output(
      arguments, client,
      {.method = "GET", .target = std::move(target), .fields = {fmt::format("Accept: {}", media_type)}, .upload = {}});
  if (!reply) return std::unexpected(reply.error());
  return Exit::ok;
}

Result<Exit> preview(const Arguments& arguments, Client& client, const std::string& name) {
  if (!arguments.has("output") && output_is_terminal()) {
    return fail(Exit::usage, "stream preview: a picture is nothing for a terminal; name a file with --output");
  }
  const std::string side = arguments.has("side") ? "?side=" + arguments.get("side") : "";
  return download(arguments, client, stream_target(name) + "/preview" + side, "image/jpeg");
}

struct StreamWord {
  std::string_view name;
  std::size_t operands_min, operands_max;  ///< behind the word
  std::string_view wanted;
};

constexpr std::size_t k_many = 1u << 30;
constexpr std::array<StreamWord, 8> k_stream_words{{{"list", 0, 0, "takes no operands"},
                                                    {"show", 1, 1, "name one stream"},
                                                    {"set", 1, 1, "name one stream"},
                                                    {"change", 1, 1, "name one stream"},
                                                    {"remove", 1, k_many, "name a stream"},
                                                    {"preview", 1, 1, "name one stream"},
                                                    {"sdp", 1, 1, "name one stream"},
                                                    {"send", 1, k_many, "name files, or pattern:NAME"}}};

struct StreamOption {
  std::string_view option;
  std::string_view words;  ///< " a b "
};

constexpr StreamOption k_stream_options[] = {{"config", " set "},
                                             {"listen", " set "},
                                             {"interface", " set send "},
                                             {"backend", " set "},
                                             {"dpdk-port", " set "},
                                             {"sampling", " set send "},
                                             {"depth", " set send "},
                                             {"size", " set send "},
                                             {"interlaced", " set send "},
                                             {"line-numbering", " set send "},
                                             {"payload-type", " set send "},
                                             {"colorimetry", " set "},
                                             {"sdp", " set send "},
                                             {"rule", " set change "},
                                             {"window", " set change "},
                                             {"average", " set change "},
                                             {"clip-limit", " set change "},
                                             {"scene-cut", " set change "},
                                             {"next-hop", " set change "},
                                             {"targets", " set change "},
                                             {"cpu", " set "},
                                             {"preview-rate", " set change "},
                                             {"preview-height", " set change "},
                                             {"side", " preview "},
                                             {"output", " preview sdp "},
                                             {"overwrite", " preview sdp send "},
                                             {"to", " send "},
                                             {"rate", " send "},
                                             {"frames", " send "},
                                             {"loop", " send "},
                                             {"mtu", " send "},
                                             {"ttl", " send "},
                                             {"seed", " send "}};

Result<void> check_stream_words(const Arguments& arguments) {
  const std::string what = arguments.operands.empty() ? "" : arguments.operands[0];
  const auto* word = std::ranges::find(k_stream_words, what, &StreamWord::name);
  if (word == k_stream_words.end()) {
    return fail(Exit::usage, "stream: say list, show, set, change, remove, preview, sdp or send");
  }
  const std::size_t operands = arguments.operands.size() - 1;
  if (operands < word->operands_min || operands > word->operands_max) {
    return fail(Exit::usage, fmt::format("stream {}: {}", what, word->wanted));
  }
  for (const auto& [option, words] : k_stream_options) {
    if (!arguments.has(option) || words.contains(fmt::format(" {} ", what))) continue;
    return fail(Exit::usage, fmt::format("--{}: not an option of stream {}", option, what));
  }
  return {};
}

Result<Exit> run_stream_word(const Arguments& arguments, Client& client, const std::string& name) {
  const std::string& what = arguments.operands[0];
  if (what == "list") return list(arguments, client);
  if (what == "show") return show(arguments, client, name);
  if (what == "set") return set_stream(arguments, client, name);
  if (what == "change") return change_stream(arguments, client, name);
  if (what == "preview") return preview(arguments, client, name);
  if (what == "sdp") return download(arguments, client, stream_target(name) + "/sdp", "application/sdp");
  return remove_each(arguments, client, "/v1/streams/", "stream", std::span(arguments.operands).subspan(1));
}

}  // namespace

std::string stream_target(std::string_view name) { return "/v1/streams/" + percent_encoded(name); }

Result<Exit> run_stream(const Arguments& arguments) {
  if (const auto good = check_stream_words(arguments); !good) return std::unexpected(good.error());
  if (arguments.operands[0] == "send") return send_stream(arguments);
  const auto settings = load_settings(arguments);
  if (!settings) return std::unexpected(settings.error());
  Client client(*settings);
  const std::string name = arguments.operands.size() > 1 ? arguments.operands[1] : "";
  auto exit = run_stream_word(arguments, client, name);
  const bool about_it = !exit && exit.error().exit == Exit::some_failed && exit.error().status != 0 && !name.empty();
  if (about_it) exit.error().text = one_line(name) + ": " + exit.error().text;
  return exit;
}

}  // namespace histod::ctl
