// SPDX-License-Identifier: Apache-2.0
#include <cassert>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/equalize_plan.hpp"
#include "tools/histoctl/job_wait.hpp"
#include "tools/histoctl/output_file.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

/// "decode;dur=1.5, total;dur=3" as {"decode": 1.5, "total": 3}.
json::object timing_json(std::string_view header) {
  json::object out;
  while (!header.empty()) {
    const std::size_t comma = header.find(',');
    std::string_view entry = header.substr(0, comma);
    header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
    entry.remove_prefix(std::min(entry.find_first_not_of(' '), entry.size()));
    const std::size_t duration = entry.find(";dur=");
    if (duration == std::string_view::npos) continue;
    out[entry.substr(0, duration)] = std::strtod(std::string(entry.substr(duration + 5)).c_str(), nullptr);
  }
  return out;
}

class Equalizer {
 public:
  Equalizer(const Arguments& arguments, const Settings& settings, EqualizePlan plan)
      : arguments_(arguments),
        plan_(std::move(plan)),
        client_(settings),
        query_(image_query(arguments)),
        console_({.json = arguments.has("json"), .quiet = arguments.has("quiet")}, plan_.items.size()) {}

  Exit run() {
    if (console_.has_bar()) {
      client_.on_tick([this] { console_.draw(client_.bytes_moved()); });
    }
    const std::uint64_t parallel = arguments_.number("parallel", 4);
    for (std::uint64_t i = 0; i < parallel; ++i) start_next();
    if (!client_.run()) return Exit::interrupted;
    tell_unsent();
    console_.summary(fmt::format("{} done, {} failed, {:.1f} s, {} sent and received", verdict_.succeeded(),
                                 plan_.items.size() - verdict_.succeeded(), console_.elapsed_s(),
                                 bytes_text(static_cast<double>(client_.bytes_moved()))));
    return verdict_.exit();
  }

 private:
  struct Work {
    const EqualizeItem* item = nullptr;
    std::optional<OutputFile> output;  ///< none: standard output
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    json::object record;
  };
  using WorkPtr = std::unique_ptr<Work>;

  void start_next() {
    while (next_ < plan_.items.size() && !verdict_.hopeless()) {
      auto work = std::make_unique<Work>();
      work->item = &plan_.items[next_++];
      work->record["file"] = work->item->input;
      Result<Request> request = prepare(*work);
      if (request) return submit(std::move(work), std::move(*request));
      settle(std::move(work), std::unexpected(std::move(request.error())));
    }
  }

  /// After a failure that ended the run early.
  void tell_unsent() {
    const std::size_t unsent = plan_.items.size() - next_;
    if (unsent == 0) return;
    const Failure failure = fail(Exit::some_failed, "not sent, because of the failure before").error();
    console_.report("", fail(Exit::some_failed, fmt::format("{} more not sent", unsent)).error());
    for (; arguments_.has("json") && next_ < plan_.items.size(); ++next_) {
      json::object record{{"file", plan_.items[next_].input}, {"ok", false}, {"error", to_json(failure)}};
      print(to_text(record) + "\n");
    }
  }

  Result<Request> prepare(Work& work) {
    const EqualizeItem& item = *work.item;
    const bool to_file = item.output != "-" && !arguments_.has("no-wait");
    std::error_code error;
    if (to_file && !arguments_.has("overwrite") && std::filesystem::exists(item.output, error)) {
      return fail(Exit::some_failed, fmt::format("{} exists already (--overwrite replaces it)", item.output));
    }
    auto upload = make_upload(arguments_, item.input);
    if (!upload) return std::unexpected(std::move(upload.error()));
    if (to_file) {
      auto output = OutputFile::create(item.output);
      if (!output) return std::unexpected(std::move(output.error()));
      work.output.emplace(std::move(*output));
    }
    Request request;
    request.method = "POST";
    request.target = (plan_.by_job ? "/v1/jobs" : "/v1/equalize") + query_;
    request.fields = {"Content-Type: application/octet-stream"};
    upload->as_form = upload->as_form || plan_.by_job;  // a job's record shows the file's name
    if (upload->as_form) request.fields.clear();        // curl writes the form's own
    if (plan_.by_job) request.fields.push_back("Idempotency-Key: " + new_idempotency_key());
    request.upload = std::move(*upload);
    if (!plan_.by_job && work.output) request.sink_fd = work.output->fd();
    return request;
  }

  void submit(WorkPtr work, Request request) {
    if (plan_.by_job) {
      client_.start(std::move(request), [this, work = std::move(work)](Result<Reply> reply) mutable {
        reply ? follow_job(std::move(work), *reply) : finish(std::move(work), std::move(reply));
      });
      return;
    }
    client_.start(std::move(request), [this, work = std::move(work)](Result<Reply> reply) mutable {
      finish(std::move(work), std::move(reply));
    });
  }

  void follow_job(WorkPtr work, const Reply& accepted) {
    const auto id = job_id_of(accepted.body);
    if (!id) return finish(std::move(work), std::unexpected(id.error()));
    work->record["job_id"] = *id;
    if (arguments_.has("no-wait")) return finish(std::move(work), accepted);
    const int sink_fd = work->output ? work->output->fd() : -1;
    wait_for_job(client_, *id, sink_fd, [this, work = std::move(work)](Result<Reply> reply) mutable {
      finish(std::move(work), std::move(reply));
    });
  }

  void finish(WorkPtr work, Result<Reply> reply) {
    settle(std::move(work), std::move(reply));
    start_next();
  }

  /// Puts the result where it belongs and tells of it.
  void settle(WorkPtr work, Result<Reply> reply) {
    console_.item_done();
    Result<void> stored;
    if (!reply) {
      stored = std::unexpected(std::move(reply.error()));
    } else {
      stored = store(*work, *reply);
    }
    if (!stored) {
      verdict_.add(stored.error());
      console_.report(work->item->input, stored.error());
      work->record["ok"] = false;
      work->record["error"] = to_json(stored.error());
    } else {
      verdict_.add_success();
      describe(*work, *reply);
    }
    if (arguments_.has("json")) print(to_text(work->record) + "\n");
  }

  Result<void> store(Work& work, const Reply& reply) {
    if (arguments_.has("no-wait")) {
      if (!arguments_.has("json")) print(std::string(work.record["job_id"].as_string()) + "\n");
      return {};
    }
    if (reply.body_bytes == 0) return fail(Exit::some_failed, "the server sent an empty result");
    if (work.output) return work.output->commit(arguments_.has("overwrite"));
    return write_standard_output(reply.body);
  }

  void describe(Work& work, const Reply& reply) {
    json::object& record = work.record;
    record["ok"] = true;
    record["tries"] = reply.tries;
    record["elapsed_ms"] =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - work.start).count();
    if (arguments_.has("no-wait")) return;
    record["output"] = work.item->output;
    record["bytes"] = reply.body_bytes;
    record["media_type"] = reply.field("content-type");
    record["lut_digest"] = reply.field("histod-lut-digest");
    record["server_version"] = reply.field("histod-version");
    record["server_timing_ms"] = timing_json(reply.field("server-timing"));
  }

  const Arguments& arguments_;
  EqualizePlan plan_;  // outlives what the client has under way, which points into it
  Client client_;
  std::string query_;
  Console console_;
  Verdict verdict_;
  std::size_t next_ = 0;
};

}  // namespace

Result<Exit> run_equalize(const Arguments& arguments, const Settings& settings) {
  if (const auto good = check_image_options(arguments); !good) return std::unexpected(good.error());
  auto plan = plan_equalize(arguments);
  if (!plan) return std::unexpected(std::move(plan.error()));
  return Equalizer(arguments, settings, std::move(*plan)).run();
}

}  // namespace histod::ctl
