// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/interrupt.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

constexpr std::chrono::seconds k_refresh{1};

std::string zookeeper_text(const json::object& zookeeper) {
  if (flag(zookeeper, "embedded")) return "none: this node is a fleet of one";
  std::string text = fmt::format("{} since {}, session {}", field(zookeeper, "state"), field(zookeeper, "since"),
                                 field(zookeeper, "session_id"));
  const json::value* servers = zookeeper.if_contains("servers");
  if (servers && servers->is_array())
    for (const json::value& server : servers->get_array()) text += ", " + scalar(server);
  return text;
}

std::string table(const json::object& cluster) {
  std::vector<std::vector<std::string>> rows{{"member", "role", "url", "version", "CPUs", ""}};
  for_each_object(cluster, "members", [&](const json::object& member) {
    rows.push_back({field(member, "name"), flag(member, "leader") ? "leader" : "member", field(member, "url"),
                    field(member, "version"), field(member, "cpus"), flag(member, "self") ? "(asked)" : ""});
  });
  return columns_text(rows);
}

std::string shown(const json::object& cluster) {
  const json::object& zookeeper = part(cluster, "zookeeper");
  const json::object& leader = part(cluster, "leader");
  const json::object& counts = part(cluster, "counts");
  std::string text = fmt::format("{:<10}{}, role {}\n", "node", field(cluster, "node_name"), field(cluster, "role"));
  text += fmt::format("{:<10}{}\n", "zookeeper", zookeeper_text(zookeeper));
  text += fmt::format("{:<10}{}, epoch {}\n", "leader", field(leader, "name"), field(leader, "epoch"));
  text += fmt::format("{:<10}{} elections won, {} sessions lost, {} suspended\n", "counts",
                      field(counts, "elections_won"), field(counts, "session_losses"), field(counts, "suspensions"));
  if (zookeeper.contains("trouble")) text += fmt::format("{:<10}{}\n", "trouble", field(zookeeper, "trouble"));
  if (flag(cluster, "alert")) text += fmt::format("{:<10}{}\n", "ALERT", field(cluster, "alert_detail"));
  return text + "\n" + table(cluster);
}

/// Fetches and prints; whether all is well.
Result<bool> show_once(const Arguments& arguments, Client& client, std::string_view before) {
  const auto reply = fetch(client, {.method = "GET", .target = "/v1/cluster", .fields = {}, .upload = {}});
  if (!reply) return std::unexpected(reply.error());
  const auto cluster = parse_object(reply->body);
  if (!cluster) return std::unexpected(cluster.error());
  print(std::string(before) + (arguments.has("json") ? to_text(*cluster) + "\n" : shown(*cluster)));
  return field(part(*cluster, "zookeeper"), "state") == "CONNECTED" && !flag(*cluster, "alert");
}

/// A node that cannot be reached for a while is what one watches for; only a refusal ends it, and the user.
Result<Exit> watch(const Arguments& arguments, Client& client) {
  const bool clears = output_is_terminal() && !arguments.has("json");
  while (!interrupted()) {
    const auto done = show_once(arguments, client, clears ? "\x1b[H\x1b[2J" : "");
    if (!done && done.error().exit != Exit::unreachable && done.error().exit != Exit::busy &&
        done.error().exit != Exit::interrupted)
      return std::unexpected(done.error());
    if (!done && !interrupted()) Console({.json = true, .quiet = true}, 0).report("", done.error());
    client.after(k_refresh, [] {});
    client.run();
  }
  return Exit::ok;
}

}  // namespace

Result<Exit> run_cluster(const Arguments& arguments, const Settings& settings) {
  if (!arguments.operands.empty()) return fail(Exit::usage, "cluster: takes no operands");
  Client client(settings);
  if (arguments.has("watch")) return watch(arguments, client);
  const auto well = show_once(arguments, client, "");
  if (!well) return std::unexpected(well.error());
  return *well ? Exit::ok : Exit::some_failed;
}

}  // namespace histod::ctl
