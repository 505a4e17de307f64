// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <boost/json/array.hpp>
#include <fmt/core.h>

#include "daemon/api/accept.hpp"
#include "daemon/api/api.hpp"
#include "daemon/api/engine_call.hpp"
#include "daemon/api/fan_out.hpp"
#include "daemon/api/input.hpp"
#include "daemon/api/key_search.hpp"
#include "daemon/api/results.hpp"
#include "daemon/spread.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon::api {

namespace codec = compute::codec;
namespace http = net::http;
using jobs::JobRecord;
using jobs::Outcome;

namespace {

constexpr std::uint64_t k_list_default = 100, k_list_max = 1'000;
constexpr std::size_t k_key_bytes_max = 255;
constexpr http::Deadlines k_result_deadlines{std::chrono::seconds(2), std::chrono::seconds(10),
                                             std::chrono::minutes(5)};

bool is_key(std::string_view key) {
  return key.size() <= k_key_bytes_max && std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7f; });
}

void respond_with_result(WaitingPtr waiting, std::string_view disposition) {
  const JobRecord& record = waiting->record;
  const auto format = codec::format_from_name(record.result->format);
  const std::string_view original = record.input.filename.empty() ? std::string_view(record.id) : record.input.filename;
  http::Response response;
  response.content_type = record.result->media_type;
  response.fields = {{"Cache-Control", "no-store"},
                     {"Histod-Lut-Digest", record.result->lut_digest},
                     {"Histod-Version", record.program_version},
                     {"Content-Disposition",
                      content_disposition(disposition, result_filename(original, format ? codec::extension(*format)
                                                                                        : record.result->format))}};
  response.body = http::LeasedBytes{std::move(waiting->result), 0, record.result->bytes};
  waiting->context.send(std::move(response));
}

/// The job's image and mask are views of the request's body.
void submit_here(Context context, jobs::NewJob job, Accepted answer) {
  jobs::Engine& engine = context.services.engine;
  const SentImage sent{job.input, job.mask};
  WaitingPtr waiting = wait_with(std::move(context));
  engine.submit(std::move(job),
                at_home<jobs::Submitted>(std::move(waiting), [answer, sent](WaitingPtr w, jobs::Submitted submitted) {
                  accept_job(std::move(w), std::move(submitted), sent, answer);
                }));
}

std::expected<ImageInput, Problem> submitted_image(const Context& context, const Submission& submission) {
  if (submission.files.source.empty()) return image_input(context.request);
  const std::string& source = submission.files.source;
  return ImageInput{context.file_bytes, {}, source.substr(source.rfind('/') + 1)};
}

/// What the engine has not may be another node's.
void ask_elsewhere(WaitingPtr waiting, Problem problem) {
  if (problem.status != 404) return waiting->context.fail(problem);
  const Question question = same_question(waiting->context);
  look_elsewhere(std::move(waiting->context), question, std::move(problem));
}

}  // namespace

void look_for_result(Context context, Problem not_here, std::chrono::milliseconds wait) {
  Question question = same_question(context);
  question.deadlines = k_result_deadlines;
  question.deadlines.stall += wait;
  question.answer_bytes_max = context.worker.pool().stats().budget_bytes;
  look_elsewhere(std::move(context), question, std::move(not_here));
}

http::Response job_accepted(const jobs::Submitted& submitted, const std::string& node) {
  http::Response response = json_response(202, job_json(submitted.record, node));
  response.fields.emplace_back("Location", "/v1/jobs/" + submitted.record.id);
  if (submitted.replayed) response.fields.emplace_back("Idempotency-Replayed", "true");
  return response;
}

void send_result(Context context, const JobRecord& record, std::string_view disposition) {
  WaitingPtr waiting = wait_with(std::move(context));
  waiting->record = record;
  waiting->result = waiting->context.worker.pool().lease(std::max<std::uint64_t>(record.result->bytes, 1));
  if (!waiting->result)
    return waiting->context.fail(make_problem(503, "overloaded", "no memory is free for the result, in bytes",
                                              record.result->bytes,
                                              waiting->context.worker.pool().stats().budget_bytes));
  jobs::Engine& engine = waiting->context.services.engine;
  const auto into = waiting->result.bytes().first(record.result->bytes);
  engine.read_result(record.id, into, at_home<void>(std::move(waiting), [disposition](WaitingPtr w) {
                       respond_with_result(std::move(w), disposition);
                     }));
}

void submit_job(Context context, Submission submission, Accepted answer) {
  // Where a job is worked on is no part of what makes two jobs the same.
  const auto placement = placement_option(submission.options);
  if (!placement) return context.fail(placement.error());
  submission.options.erase("placement");
  const auto checked = image_options(submission.options);
  if (!checked) return context.fail(checked.error());
  if (const auto refused = refuse_placement(context.services, *placement, checked->equalize))
    return context.fail(*refused);
  const std::string_view key = context.request.head.field("Idempotency-Key");
  if (!is_key(key))
    return context.fail(make_problem(400, "bad-option",
                                     "Idempotency-Key takes 1 to 255 visible ASCII characters; these have", key.size(),
                                     k_key_bytes_max));
  auto input = submitted_image(context, submission);
  if (!input) return context.fail(input.error());
  // A job that could never be done is refused here and not an hour later.
  if (!codec::sniff(input->image))
    return context.fail(
        make_problem(415, "unknown-format", "the first bytes are those of no format that is known here"));
  jobs::NewJob job{std::move(submission.options),
                   input->image,
                   input->mask,
                   input->filename,
                   std::string(key),
                   std::move(submission.dataset),
                   context.services.peers != nullptr,
                   *placement,
                   std::move(submission.files),
                   context.traceparent};
  if (key.empty() || others(context).empty()) return submit_here(std::move(context), std::move(job), answer);
  search_key(std::move(context), std::string(key), [job = std::move(job), answer](Context asked) mutable {
    submit_here(std::move(asked), std::move(job), answer);
  });
}

void jobs_post(Context context) {
  auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  submit_by_query(std::move(context), {.options = std::move(*query)}, job_accepted);
}

void jobs_list(Context context) {
  const auto query = parse_query(context.request.head.query);
  if (!query) return context.fail(query.error());
  std::uint64_t limit = k_list_default;
  std::optional<jobs::JobState> state;
  for (const auto& [name, value] : *query) {
    if (name == "limit") {
      const auto number = number_option(name, value, 1, k_list_max);
      if (!number) return context.fail(number.error());
      limit = *number;
    } else if (name == "state") {
      state = jobs::state_from_name(value);
      if (!state) return context.fail(bad_option("state takes queued, running, counted, done, failed or cancelled"));
    } else {
      return context.fail(bad_option("there is no option " + name + "; there are limit and state"));
    }
  }
  jobs::Engine& engine = context.services.engine;
  engine.list(limit, state,
              at_home<std::vector<JobRecord>>(
                  wait_with(std::move(context)), [limit](WaitingPtr w, const std::vector<JobRecord>& records) {
                    boost::json::array list;
                    for (const JobRecord& record : records)
                      list.push_back(job_json(record, w->context.services.options.node_name));
                    answer_list(std::move(w->context), {"jobs", limit}, {{"jobs", std::move(list)}});
                  }));
}

void jobs_get(Context context) {
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  const auto tell = [](WaitingPtr w, const JobRecord& record) {
    w->context.send(json_response(200, job_json(record, w->context.services.options.node_name)));
  };
  engine.get(id, at_home_or<JobRecord>(wait_with(std::move(context)), tell, ask_elsewhere));
}

void jobs_result(Context context) {
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  const auto deliver = [](WaitingPtr w, const JobRecord& record) {
    if (record.result) return send_result(std::move(w->context), record, "attachment");
    if (record.state == jobs::JobState::failed)
      return w->context.fail(make_problem(410, "job-failed", record.error ? record.error->detail : "the job failed"));
    w->context.fail(make_problem(409, "not-finished", fmt::format("the job is {}", jobs::state_name(record.state))));
  };
  const auto otherwise = [](WaitingPtr w, Problem problem) {
    if (problem.status != 404) return w->context.fail(problem);
    look_for_result(std::move(w->context), std::move(problem), {});
  };
  engine.get(id, at_home_or<JobRecord>(wait_with(std::move(context)), deliver, otherwise));
}

void jobs_delete(Context context) {
  jobs::Engine& engine = context.services.engine;
  const std::string id = context.parameter;
  const auto gone = [](WaitingPtr w) {
    http::Response response;
    response.status = 204;
    w->context.send(std::move(response));
  };
  const auto done = [id, gone](WaitingPtr w) { drop_copies(std::move(w), id, Gone::removed, gone); };
  const auto otherwise = [](WaitingPtr w, Problem problem) {
    if (problem.status != 404) return w->context.fail(problem);
    Question question = same_question(w->context);
    question.deadlines.stall += k_drop_patience;
    question.deadlines.whole += k_drop_patience;
    look_elsewhere(std::move(w->context), question, std::move(problem));
  };
  engine.remove(id, at_home_or<void>(wait_with(std::move(context)), done, otherwise));
}

}  // namespace histod::daemon::api
