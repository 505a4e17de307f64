// SPDX-License-Identifier: Apache-2.0

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

Result<Exit> list(const Arguments& arguments, Client& client) {
  std::string target = fmt::format("/v1/jobs?limit={}", arguments.number("limit", 100));
  if (arguments.has("state")) target += "&state=" + arguments.get("state");
  const auto answer = fetch_json(client, std::move(target));
  if (!answer) return std::unexpected(answer.error());
  const auto whole = check_whole(*answer);
  if (arguments.has("json")) {
    print(to_text(*answer) + "\n");
    if (!whole) return std::unexpected(whole.error());
    return Exit::ok;
  }
  const json::value* jobs = answer->is_object() ? answer->get_object().if_contains("jobs") : nullptr;
  if (!jobs || !jobs->is_array()) return fail(Exit::some_failed, "the server's answer holds no list of jobs");
  if (!jobs->get_array().empty())
    print(fmt::format("{:<26}  {:<9}  {:<24}  {:>12}  {}\n", "id", "state", "created", "bytes", "file"));
  for (const json::value& job : jobs->get_array()) {
    print(fmt::format("{:<26}  {:<9}  {:<24}  {:>12}  {}\n", field(job, "id"), field(job, "state"),
                      field(job, "created_at"), field(job, "input", "bytes"), field(job, "input", "filename")));
  }
  if (!whole) return std::unexpected(whole.error());
  return Exit::ok;
}

Result<Exit> show(const Arguments& arguments, Client& client, const std::string& id) {
  const auto job = fetch_json(client, "/v1/jobs/" + percent_encoded(id));
  if (!job) return std::unexpected(job.error());
  print_answer(arguments, *job);
  return Exit::ok;
}

Result<Exit> get(const Arguments& arguments, Client& client, const std::string& id) {
  const std::string path = arguments.get("output", "-");
  if (path == "-" && output_is_terminal()) return fail(Exit::usage, "an image is not written to a terminal (-o OUT)");
  if (path == "-" && arguments.has("json"))
    return fail(Exit::usage, "--json: standard output takes the image (-o OUT)");
  Request request{.method = "GET", .target = "/v1/jobs/" + percent_encoded(id) + "/result", .fields = {}, .upload = {}};
  const auto reply = fetch_output(arguments, client, std::move(request));
  if (!reply) return std::unexpected(reply.error());
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
  if (what == "cancel")
    return remove_each(arguments, client, "/v1/jobs/", "job_id", std::span(arguments.operands).subspan(1));
  auto exit =
      what == "show" ? show(arguments, client, arguments.operands[1]) : get(arguments, client, arguments.operands[1]);
  if (!exit && exit.error().exit != Exit::usage) exit.error().text = arguments.operands[1] + ": " + exit.error().text;
  return exit;
}

}  // namespace histod::ctl
