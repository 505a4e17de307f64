// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <optional>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/output_file.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

std::string field(const json::value& object, std::string_view key, std::string_view inner = {}) {
  const json::value* found = object.is_object() ? object.get_object().if_contains(key) : nullptr;
  if (!found || found->is_null()) return "-";
  if (!inner.empty()) return field(*found, inner);
  return one_line(found->is_string() ? std::string(found->get_string()) : to_text(*found));
}

Result<json::value> fetch_json(Client& client, std::string target) {
  auto reply = fetch(client, {.method = "GET", .target = std::move(target), .fields = {}, .upload = {}});
  if (!reply) return std::unexpected(std::move(reply.error()));
  boost::system::error_code error;
  json::value answer = json::parse(reply->body, error);
  if (error) return fail(Exit::some_failed, "the server's answer is not JSON");
  return answer;
}

Result<Exit> list(const Arguments& arguments, Client& client) {
  std::string target = fmt::format("/v1/jobs?limit={}", arguments.number("limit", 100));
  if (arguments.has("state")) target += "&state=" + arguments.get("state");
  const auto answer = fetch_json(client, std::move(target));
  if (!answer) return std::unexpected(answer.error());
  if (arguments.has("json")) {
    print(to_text(*answer) + "\n");
    return Exit::ok;
  }
  const json::value* jobs = answer->is_object() ? answer->get_object().if_contains("jobs") : nullptr;
  if (!jobs || !jobs->is_array()) return fail(Exit::some_failed, "the server's answer holds no list of jobs");
  if (jobs->get_array().empty()) return Exit::ok;
  print(fmt::format("{:<26}  {:<9}  {:<24}  {:>12}  {}\n", "id", "state", "created", "bytes", "file"));
  for (const json::value& job : jobs->get_array()) {
    print(fmt::format("{:<26}  {:<9}  {:<24}  {:>12}  {}\n", field(job, "id"), field(job, "state"),
                      field(job, "created_at"), field(job, "input", "bytes"), field(job, "input", "filename")));
  }
  return Exit::ok;
}

void print_members(const json::object& object, int indent) {
  for (const auto& [key, value] : object) {
    if (value.is_object()) {
      print(fmt::format("{:{}}{}:\n", "", indent, key));
      print_members(value.get_object(), indent + 2);
    } else if (!value.is_null()) {
      print(fmt::format("{:{}}{}: {}\n", "", indent, key, field(object, key)));
    }
  }
}

Result<Exit> show(const Arguments& arguments, Client& client, const std::string& id) {
  const auto job = fetch_json(client, "/v1/jobs/" + percent_encoded(id));
  if (!job) return std::unexpected(job.error());
  if (arguments.has("json") || !job->is_object()) {
    print(to_text(*job) + "\n");
  } else {
    print_members(job->get_object(), 0);
  }
  return Exit::ok;
}

Result<Exit> get(const Arguments& arguments, Client& client, const std::string& id) {
  const std::string path = arguments.get("output", "-");
  if (path == "-" && output_is_terminal()) return fail(Exit::usage, "an image is not written to a terminal (-o OUT)");
  if (path == "-" && arguments.has("json"))
    return fail(Exit::usage, "--json: standard output takes the image (-o OUT)");
  std::error_code error;
  if (path != "-" && !arguments.has("overwrite") && std::filesystem::exists(path, error)) {
    return fail(Exit::some_failed, fmt::format("{} exists already (--overwrite replaces it)", path));
  }
  std::optional<OutputFile> output;
  if (path != "-") {
    auto created = OutputFile::create(path);
    if (!created) return std::unexpected(std::move(created.error()));
    output.emplace(std::move(*created));
  }
  Request request{.method = "GET", .target = "/v1/jobs/" + percent_encoded(id) + "/result", .fields = {}, .upload = {}};
  if (output) request.sink_fd = output->fd();
  const auto reply = fetch(client, std::move(request));
  if (!reply) return std::unexpected(reply.error());
  const auto stored = output ? output->commit(arguments.has("overwrite")) : write_standard_output(reply->body);
  if (!stored) return std::unexpected(stored.error());
  if (arguments.has("json")) {
    print(to_text(json::object{{"job_id", id},
                               {"output", path},
                               {"bytes", reply->body_bytes},
                               {"media_type", reply->field("content-type")},
                               {"lut_digest", reply->field("histod-lut-digest")}}) +
          "\n");
  }
  return Exit::ok;
}

Exit cancel(const Arguments& arguments, Client& client) {
  Console console({.json = true, .quiet = true}, 0);
  Verdict verdict;
  for (std::size_t i = 1; i < arguments.operands.size() && !verdict.hopeless(); ++i) {
    const std::string& id = arguments.operands[i];
    const auto reply =
        fetch(client, {.method = "DELETE", .target = "/v1/jobs/" + percent_encoded(id), .fields = {}, .upload = {}});
    if (!reply && reply.error().exit == Exit::interrupted) return Exit::interrupted;
    json::object record{{"job_id", id}, {"ok", reply.has_value()}};
    if (!reply) {
      verdict.add(reply.error());
      console.report(id, reply.error());
      record["error"] = to_json(reply.error());
    } else {
      verdict.add_success();
    }
    if (arguments.has("json")) print(to_text(record) + "\n");
  }
  return verdict.exit();
}

}  // namespace

Result<Exit> run_jobs(const Arguments& arguments, const Settings& settings) {
  const std::string what = arguments.operands.empty() ? "" : arguments.operands[0];
  const std::size_t ids = arguments.operands.size() - (what.empty() ? 0 : 1);
  if (what != "list" && what != "show" && what != "get" && what != "cancel") {
    return fail(Exit::usage, "jobs: say list, show, get or cancel");
  }
  if (what == "list" && ids != 0) return fail(Exit::usage, "jobs list: takes no operands");
  if ((what == "show" || what == "get") && ids != 1)
    return fail(Exit::usage, fmt::format("jobs {}: name one job", what));
  if (what == "cancel" && ids == 0) return fail(Exit::usage, "jobs cancel: name a job");
  Client client(settings);
  if (what == "list") return list(arguments, client);
  if (what == "cancel") return cancel(arguments, client);
  auto exit =
      what == "show" ? show(arguments, client, arguments.operands[1]) : get(arguments, client, arguments.operands[1]);
  if (!exit && exit.error().exit != Exit::usage) exit.error().text = arguments.operands[1] + ": " + exit.error().text;
  return exit;
}

}  // namespace histod::ctl
