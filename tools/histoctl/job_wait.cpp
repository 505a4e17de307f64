// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/job_wait.hpp"

#include <algorithm>
#include <random>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

constexpr std::chrono::milliseconds k_poll_first{50};
constexpr std::chrono::milliseconds k_poll_max{2'000};

json::value parsed(std::string_view body) {
  boost::system::error_code error;
  return json::parse(json::string_view(body.data(), body.size()), error);
}

Failure failure_of_job(const json::value& job, const std::string& id, std::string_view state) {
  const json::value* error = job.is_object() ? job.get_object().if_contains("error") : nullptr;
  if (error && error->is_object()) {
    Failure failure = failure_of_response(0, json::serialize(*error));
    failure.exit = Exit::some_failed;
    return failure;
  }
  return fail(Exit::some_failed, fmt::format("job {} is {}", id, one_line(state))).error();
}

void poll(Client& client, std::string id, std::chrono::milliseconds delay, Client::Done done) {
  Request request;
  request.target = "/v1/jobs/" + percent_encoded(id);
  client.start(std::move(request), [&client, id, delay, done = std::move(done)](Result<Reply> reply) mutable {
    if (!reply) return done(std::move(reply));
    const json::value job = parsed(reply->body);
    const std::string state = text_field(job, "state");
    if (state == "done") return done(std::move(reply));
    if (state != "queued" && state != "running") return done(std::unexpected(failure_of_job(job, id, state)));
    const auto next = std::min(delay * 3 / 2, k_poll_max);
    client.after(delay, [&client, id, next, done = std::move(done)]() mutable {
      poll(client, std::move(id), next, std::move(done));
    });
  });
}

}  // namespace

std::string new_idempotency_key() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

Result<std::string> job_id_of(std::string_view body) {
  std::string id = text_field(parsed(body), "id");
  if (id.empty()) return fail(Exit::some_failed, "the server's answer names no job");
  return one_line(id);
}

void wait_for_job(Client& client, std::string id, int sink_fd, Client::Done done) {
  poll(client, id, k_poll_first, [&client, id, sink_fd, done = std::move(done)](Result<Reply> job) mutable {
    if (!job) return done(std::move(job));
    Request result;
    result.target = "/v1/jobs/" + percent_encoded(id) + "/result";
    result.sink_fd = sink_fd;
    client.start(std::move(result), std::move(done));
  });
}

void wait_until_written(Client& client, std::string id, Client::Done done) {
  poll(client, id, k_poll_first, [id, done = std::move(done)](Result<Reply> reply) mutable {
    if (!reply) return done(std::move(reply));
    const json::value job = parsed(reply->body);
    if (job.is_object() && job.get_object().contains("error"))
      return done(std::unexpected(failure_of_job(job, id, "done")));
    done(std::move(reply));
  });
}

}  // namespace histod::ctl
