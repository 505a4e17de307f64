// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/commands.hpp"
#include "tools/histoctl/console.hpp"
#include "tools/histoctl/job_wait.hpp"

namespace histod::ctl {
namespace json = boost::json;
namespace {

/// Jobs of images that the daemon reads itself.
class Submitter {
 public:
  Submitter(const Arguments& arguments, const Settings& settings)
      : arguments_(arguments),
        client_(settings),
        console_({.json = arguments.has("json"), .quiet = arguments.has("quiet")}, arguments.operands.size()) {}

  Exit run() {
    const std::vector<std::string>& files = arguments_.operands;
    if (console_.has_bar()) {
      client_.on_tick([this] { console_.draw(client_.bytes_moved()); });
    }
    const std::uint64_t parallel = arguments_.number("parallel", 4);
    for (std::uint64_t i = 0; i < parallel; ++i) start_next();
    if (!client_.run()) return Exit::interrupted;
    if (next_ < files.size())
      console_.report("", fail(Exit::some_failed, fmt::format("{} more not asked for", files.size() - next_)).error());
    console_.summary(fmt::format("{} {}, {} failed, {:.1f} s", verdict_.succeeded(),
                                 arguments_.has("no-wait") ? "accepted" : "done", files.size() - verdict_.succeeded(),
                                 console_.elapsed_s()));
    return verdict_.exit();
  }

 private:
  void start_next() {
    if (next_ == arguments_.operands.size() || verdict_.hopeless()) return;
    const std::string& file = arguments_.operands[next_++];
    Request request{.method = "POST",
                    .target = "/v1/jobs" + reference_query(arguments_, file),
                    .fields = {"Content-Length: 0", "Idempotency-Key: " + new_idempotency_key()},
                    .upload = {}};
    client_.start(std::move(request), [this, &file](Result<Reply> accepted) {
      if (!accepted || arguments_.has("no-wait")) return settle(file, std::move(accepted));
      auto id = job_id_of(accepted->body);
      if (!id) return settle(file, std::unexpected(std::move(id.error())));
      wait_until_written(client_, *id, [this, &file](Result<Reply> done) { settle(file, std::move(done)); });
    });
  }

  /// With the job as the daemon described it last.
  void settle(const std::string& file, Result<Reply> reply) {
    console_.item_done();
    const auto id = reply ? job_id_of(reply->body) : std::unexpected(std::move(reply.error()));
    json::object record{{"file", file}, {"ok", id.has_value()}};
    if (!id) {
      verdict_.add(id.error());
      if (id.error().exit != Exit::interrupted) console_.report(file, id.error());
      record["error"] = to_json(id.error());
    } else {
      verdict_.add_success();
      record["job_id"] = *id;
      if (const auto job = parse_object(reply->body); job && job->contains("result_file"))
        record["result_file"] = field(*job, "result_file");
    }
    if (arguments_.has("json"))
      print(to_text(record) + "\n");
    else if (id)
      print(*id + "\n");
    start_next();
  }

  const Arguments& arguments_;
  Client client_;
  Console console_;
  Verdict verdict_;
  std::size_t next_ = 0;
};

}  // namespace

Result<Exit> run_submit(const Arguments& arguments, const Settings& settings) {
  if (const auto good = check_image_options(arguments); !good) return std::unexpected(good.error());
  if (arguments.operands.empty()) return fail(Exit::usage, "submit: name files as ROOT/PATH");
  if (arguments.has("overwrite") && !arguments.has("result"))
    return fail(Exit::usage, "--overwrite: only with --result");
  return Submitter(arguments, settings).run();
}

}  // namespace histod::ctl
