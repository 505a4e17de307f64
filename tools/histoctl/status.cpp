// SPDX-License-Identifier: Apache-2.0
#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole >= 86400) return fmt::format("{} d {} h", whole / 86400, whole / 3600 % 24);
  if (whole >= 3600) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  return whole >= 60 ? fmt::format("{} min {} s", whole / 60, whole % 60) : fmt::format("{} s", whole);
}

void print_node(const json::object& node) {
  print(fmt::format("{:<10}{}, version {}, up {}\n", "node", field(node, "node_name"), field(node, "version"),
                    duration_text(number(node, "uptime_s"))));
  print(fmt::format("{:<10}{}, instructions {}\n", "engine", field(node, "backend"), field(node, "isa")));
  for_each_object(node, "workers", [](const json::object& worker) {
    print(fmt::format("{:<10}CPU {}, NUMA node {}: {} in flight, {} of {} leased, {}\n", "worker", field(worker, "cpu"),
                      field(worker, "numa_node"), bytes_text(number(worker, "bytes_in_flight")),
                      bytes_text(number(worker, "leased_bytes")), bytes_text(number(worker, "budget_bytes")),
                      field(worker, "pages")));
  });
  for_each_object(node, "arenas", [](const json::object& arena) {
    print(fmt::format("{:<10}{} thread(s) on CPUs {}\n", "arena", field(arena, "threads"), field(arena, "cpus")));
  });
  for_each_object(node, "fallbacks", [](const json::object& fallback) {
    print(fmt::format("{:<10}{}: {}\n", "fallback", field(fallback, "what"), field(fallback, "why")));
  });
  const json::value* limits = node.if_contains("limits");
  if (!limits || !limits->is_object()) return;
  for (const auto& [name, value] : limits->get_object())
    print(fmt::format("{:<10}{} {}\n", "limit", name, scalar(value)));
}

}  // namespace

Result<Exit> run_status(const Arguments& arguments, const Settings& settings) {
  if (!arguments.operands.empty()) return fail(Exit::usage, "status: takes no operands");
  Client client(settings);
  auto ready = fetch(client, {.method = "GET", .target = "/readyz", .fields = {}, .upload = {}, .any_status = true});
  if (!ready) return std::unexpected(std::move(ready.error()));
  const auto state = parse_object(ready->body);
  if (!state) return std::unexpected(state.error());
  const bool is_ready = ready->status == 200 && flag(*state, "ready");
  if (!arguments.has("json")) {
    const std::string_view word = is_ready ? "ready" : flag(*state, "draining") ? "draining" : "not ready";
    print(fmt::format("{:<10}{} is {}\n", "server", settings.server, word));
  }
  auto answer = fetch(client, {.method = "GET", .target = "/v1/node", .fields = {}, .upload = {}});
  if (!answer) return std::unexpected(std::move(answer.error()));
  const auto node = parse_object(answer->body);
  if (!node) return std::unexpected(node.error());
  if (arguments.has("json")) {
    print(to_text(json::object{{"server", settings.server}, {"ready", *state}, {"node", *node}}) + "\n");
  } else {
    print_node(*node);
  }
  return is_ready ? Exit::ok : Exit::some_failed;
}

}  // namespace histod::ctl
