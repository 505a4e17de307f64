// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/api/auth.hpp"
#include "daemon/api/express.hpp"
#include "daemon/api/feed.hpp"
#include "daemon/api/problem.hpp"
#include "daemon/api/query.hpp"
#include "daemon/services.hpp"
#include "net/http/message.hpp"

namespace histod::daemon {
class Worker;
}

namespace histod::daemon::api {

/// One request on its way through a resource. Owns the request's memory; used on its worker's thread.
struct Context {
  Services& services;
  Worker& worker;
  net::http::Request request;
  net::http::Responder responder;
  std::string parameter;                                ///< what stood for "{}" in the route's path, decoded
  std::unique_ptr<EarlyDecode> early_decode = nullptr;  ///< of the request's image
  bool forwarded = false;                               ///< another node asks for what is here
  std::string traceparent = {};                         ///< as parse_traceparent() has it; empty: none
  Feed* feed = nullptr;                                 ///< of this worker
  net::Lease file = {};                                 ///< holds an image that was not sent but read
  std::span<std::byte> file_bytes = {};                 ///< in `file`; empty: the image is the request's body

  void send(net::http::Response response) { responder.send(std::move(response)); }
  void fail(const Problem& problem);
};

inline constexpr std::string_view k_events_path = "/v1/events";

/// A resource takes its context by value: it answers now, or keeps it until it can.
using Resource = void (*)(Context context);

/// `copy`: an image and a mask of another node, which go to no computing thread; `ids`: of jobs; `events`: CloudEvents;
/// `settings`: an object of JSON.
enum class BodyKind : std::uint8_t { none, image, tables, copy, ids, events, settings };

struct Route {
  std::string_view method;
  std::string_view path;  ///< "{}" stands for one segment
  Role role;              ///< Role::none: everybody
  BodyKind body;
  Resource resource;
};

std::span<const Route> routes();

/// By what durations of requests are told apart, since a probe and an image of a gigabyte have little in common.
enum class RequestKind : std::uint8_t { refused, image, submit, read, change, peer };
inline constexpr std::array<const char*, 6> k_request_kind_names{"refused", "image",  "submit",
                                                                 "read",    "change", "peer"};
RequestKind kind_of(const Route& route);

struct Match {
  const Route* route = nullptr;
  std::string parameter;
  std::string allowed;  ///< when only the method is wrong: those there are
};
Match match_route(std::string_view method, std::string_view path);

/// The handler of one worker's connections: routing, authorisation, admission, then the resource.
class Api final : public net::http::Handler {
 public:
  Api(Services& services, Worker& worker);
  std::expected<net::http::BodyAdmission, net::http::Response> admit(const net::http::RequestHead& head) override;
  void handle(net::http::Request request, net::http::Responder responder) override;
  /// The same with what was decoded while the request came in; it is idle, or null.
  void go_on(net::http::Request request, net::http::Responder responder, std::unique_ptr<EarlyDecode> early_decode);
  net::http::Response refusal(unsigned status, std::string_view code, std::string_view detail, std::uint64_t value,
                              std::uint64_t limit, const net::http::RequestHead* head) override;

 private:
  /// io.histod.secops.KIND
  void tell(std::string_view kind, const net::http::RequestHead& head, std::string_view what);
  std::optional<Problem> authorize(const net::http::RequestHead& head, Role needed, std::uint64_t& retry_after_s);
  Services& services_;
  Worker& worker_;
  ExpressLane express_;
  Feed feed_;
};

Problem make_problem(unsigned status, std::string_view code, std::string detail, std::uint64_t value = 0,
                     std::uint64_t limit = 0);

// The resources, by file.
void equalize(Context context);   // equalize.cpp
void histogram(Context context);  // equalize.cpp
void echo(Context context);       // echo.cpp
void jobs_post(Context context);  // jobs.cpp
void jobs_list(Context context);
void jobs_get(Context context);
void jobs_result(Context context);
void jobs_delete(Context context);
void datasets_post(Context context);  // datasets.cpp
void datasets_delete(Context context);
void dataset_images_post(Context context);
void dataset_finalize(Context context);
void dataset_apply(Context context);
void dataset_lut_get(Context context);
void dataset_lut_put(Context context);
void datasets_list(Context context);  // dataset_reads.cpp
void datasets_get(Context context);
void dataset_images_list(Context context);
void upload(Context context);  // compat.cpp
void download(Context context);
void health_original(Context context);
void ready_original(Context context);
void healthz(Context context);  // health.cpp
void readyz(Context context);
void metrics(Context context);
void peer_copy_put(Context context);  // peer.cpp
void peer_copy_delete(Context context);
void peer_key(Context context);
void peer_owned(Context context);
void peer_keep(Context context);
void peer_disown(Context context);
void peer_share(Context context);
void peer_tables_get(Context context);
void peer_tables_put(Context context);
void peer_events(Context context);      // peer_events.cpp
void peer_part_count(Context context);  // parts.cpp
void peer_part_apply(Context context);
void events_post(Context context);  // events.cpp
void events_options(Context context);
/// Whether who tells events has a signature in place of a token, where there is a key for it.
bool signs_events(const Services& services, const net::http::RequestHead& head);
void events_list(Context context);
void tickets_post(Context context);
void cluster(Context context);  // cluster.cpp
void node(Context context);     // node.cpp
void nodes(Context context);
void streams_list(Context context);  // streams.cpp
void streams_get(Context context);
void streams_put(Context context);
void streams_patch(Context context);
void streams_delete(Context context);
void streams_preview(Context context);
void streams_sdp(Context context);
void openapi(Context context);  // page.cpp
void page(Context context);

/// Sends a job's result, which must be done; used by jobs.cpp and compat.cpp.
void send_result(Context context, const jobs::JobRecord& record, std::string_view disposition);
/// The same of a job that is not here, from the node that has it; which may wait for it that long.
void look_for_result(Context context, Problem not_here, std::chrono::milliseconds wait);
/// The answer to who sent a job; `node` is the one that has it.
using Accepted = net::http::Response (*)(const jobs::Submitted& submitted, const std::string& node);
/// A job that is to be: an image of the dataset, unless that is empty.
struct Submission {
  Query options;
  std::string dataset = {};
  jobs::JobFiles files = {};
};
/// Stores what the request holds, or the file on a shared volume that it was read from (`context.file`), as a job, and
/// answers with `answer`.
void submit_job(Context context, Submission submission, Accepted answer);
/// The same for a query that may name such a file, and one for the result: they are looked at first
/// (file_reference.cpp).
void submit_by_query(Context context, Submission submission, Accepted answer);
/// 202 with the job.
net::http::Response job_accepted(const jobs::Submitted& submitted, const std::string& node);

}  // namespace histod::daemon::api
