// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/fan_out.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <fmt/core.h>

#include "daemon/api/results.hpp"
#include "daemon/fleet_snapshot.hpp"
#include "daemon/trace_context.hpp"
#include "daemon/worker.hpp"

namespace histod::daemon::api {

namespace http = net::http;
namespace json = boost::json;

namespace {

constexpr std::chrono::milliseconds k_patience{2'000};
constexpr std::uint64_t k_list_bytes_max = 8u << 20;

/// Until the last node has answered, or was cancelled.
struct Round {
  Round(std::unique_ptr<Listening> listening_, std::size_t nodes) : listening(std::move(listening_)), left(nodes) {}

  std::unique_ptr<Listening> listening;  ///< null: it has heard enough
  std::vector<http::Client::Call> calls;
  std::size_t left;

  void hear(Heard heard) {
    --left;
    if (!listening) return;
    if (!listening->hear(std::move(heard)))
      for (auto& call : calls) call.cancel();
    else if (left > 0)
      return;
    std::exchange(listening, nullptr)->end();
  }
};

std::string names(const std::vector<std::string>& nodes) {
  std::string out;
  for (const std::string& node : nodes) out += (out.empty() ? "" : ", ") + node;
  return out;
}

/// Who has the thing that is asked for.
class Search final : public Listening {
 public:
  Search(Context context, Problem not_here) : context_(std::move(context)), not_here_(std::move(not_here)) {}

  bool hear(Heard heard) override {
    if (!heard.answer) {
      silent_.push_back(std::move(heard.node));
      return true;
    }
    const unsigned status = heard.answer->status;
    const bool told = status < 300 || status == 409 || status == 410;
    if (status == 404) return true;
    if (status == 503 || told) found_ = std::move(*heard.answer);
    // Busy is also who does not have it.
    if (!told && status != 503) silent_.push_back(std::move(heard.node));
    return !told;
  }

  void end() override {
    if (found_) return context_.send(passed_on(std::move(*found_)));
    if (silent_.empty()) return context_.fail(not_here_);
    context_.fail(make_problem(503, "unreachable",
                               "it is not here, and nodes that may have it do not answer: " + names(silent_)));
  }

 private:
  Context context_;
  Problem not_here_;
  std::optional<http::PeerAnswer> found_;
  std::vector<std::string> silent_;
};

std::string_view id_of(const json::value& value) {
  const auto* object = value.if_object();
  const auto* id = object == nullptr ? nullptr : object->if_contains("id");
  return id == nullptr || !id->is_string() ? std::string_view() : std::string_view(id->get_string());
}

class Joining final : public Listening {
 public:
  Joining(Context context, MergedList form, const json::object& own)
      : context_(std::move(context)), form_(std::move(form)) {
    take(own);
  }

  bool hear(Heard heard) override {
    const auto object = object_of(heard);
    if (!object || !take(*object)) unreachable_.push_back(std::move(heard.node));
    return true;
  }

  void end() override {
    std::ranges::sort(things_, [this](const json::value& a, const json::value& b) {
      return form_.newest_first ? id_of(a) > id_of(b) : id_of(a) < id_of(b);
    });
    const auto twice = std::ranges::unique(things_, {}, id_of);
    things_.erase(twice.begin(), twice.end());
    more_ = more_ || things_.size() > form_.limit;
    if (things_.size() > form_.limit) things_.resize(form_.limit);
    json::object out{{form_.member, json::array(things_.begin(), things_.end())}};
    if (form_.more) out["next"] = more_ && !things_.empty() ? json::value(id_of(things_.back())) : json::value(nullptr);
    if (!unreachable_.empty()) out["unreachable"] = json::array(unreachable_.begin(), unreachable_.end());
    context_.send(json_response(200, out));
  }

 private:
  bool take(const json::object& answer) {
    const auto* list = answer.if_contains(form_.member);
    if (list == nullptr || !list->is_array()) return false;
    const json::array& things = list->get_array();
    if (std::ranges::any_of(things, [](const json::value& thing) { return id_of(thing).empty(); })) return false;
    things_.insert(things_.end(), things.begin(), things.end());
    const auto* next = answer.if_contains("next");
    more_ = more_ || (next != nullptr && next->is_string());
    return true;
  }

  Context context_;
  MergedList form_;
  std::vector<json::value> things_;
  std::vector<std::string> unreachable_;
  bool more_ = false;
};

}  // namespace

http::Response passed_on(http::PeerAnswer answer) {
  static constexpr std::string_view k_kept[] = {"Cache-Control",  "Content-Disposition",  "Histod-Lut-Digest",
                                                "Histod-Version", "Idempotency-Replayed", "Location",
                                                "Retry-After",    "Server-Timing"};
  http::Response response;
  response.status = answer.status;
  response.content_type = answer.field("Content-Type");
  for (const std::string_view name : k_kept)
    if (const auto value = answer.field(name); !value.empty()) response.fields.emplace_back(name, value);
  if (answer.body.empty()) return response;
  const auto offset = static_cast<std::size_t>(answer.body.data() - answer.lease.data());
  response.body = http::LeasedBytes{std::move(answer.lease), offset, answer.body.size()};
  return response;
}

std::vector<std::string> others(const Context& context) {
  return context.forwarded ? std::vector<std::string>() : members_but_this(context.services);
}

std::vector<std::string> members_but_this(const Services& services) {
  std::vector<std::string> out;
  if (!services.peers) return out;
  const auto fleet = services.fleet.read();
  for (const control::Member& member : fleet->members)
    if (member.name != fleet->self) out.push_back(member.name);
  return out;
}

void ask_all(Services& services, Worker& worker, const std::vector<std::string>& nodes, const Question& question,
             std::unique_ptr<Listening> listening) {
  // Held by the replies, each of which comes exactly once, also when the worker ends.
  const auto round = std::make_shared<Round>(std::move(listening), nodes.size());
  const std::string traceparent = question.traceparent.empty() ? next_traceparent({}) : question.traceparent;
  const auto hear = [round](Heard heard) { round->hear(std::move(heard)); };
  for (const std::string& node : nodes) {
    http::PeerRequest request;
    request.method = question.method;
    request.target = question.target;
    request.response_bytes_max = question.answer_bytes_max;
    request.deadlines = question.deadlines;
    request.fields = question.fields;
    request.fields.emplace_back(k_forwarded, "1");
    if (const auto addressed = services.peers->address(request, node, traceparent); !addressed) {
      hear({node, std::unexpected(http::PeerError{http::PeerError::Kind::resolve, addressed.error()})});
      continue;
    }
    round->calls.push_back(worker.client().request(
        std::move(request),
        [hear, node](std::expected<http::PeerAnswer, http::PeerError> answer) { hear({node, std::move(answer)}); }));
  }
}

Question same_question(const Context& context) {
  const http::RequestHead& head = context.request.head;
  Question out;
  out.method = head.method == "HEAD" ? "GET" : head.method;
  out.target = head.path;
  if (!head.query.empty()) out.target.append("?").append(head.query);
  out.deadlines = {k_patience, k_patience, k_patience};
  out.traceparent = context.traceparent;
  return out;
}

void look_elsewhere(Context context, const Question& question, Problem not_here) {
  const auto nodes = others(context);
  if (nodes.empty()) return context.fail(not_here);
  Services& services = context.services;
  Worker& worker = context.worker;
  ask_all(services, worker, nodes, question, std::make_unique<Search>(std::move(context), std::move(not_here)));
}

void answer_list(Context context, MergedList form, const json::object& own) {
  const auto nodes = others(context);
  if (nodes.empty()) return context.send(json_response(200, own));
  Services& services = context.services;
  Worker& worker = context.worker;
  Question question = same_question(context);
  question.answer_bytes_max = k_list_bytes_max;
  ask_all(services, worker, nodes, question, std::make_unique<Joining>(std::move(context), std::move(form), own));
}

std::optional<json::object> object_of(const Heard& heard) {
  if (!heard.answer || heard.answer->status != 200) return std::nullopt;
  const auto& body = heard.answer->body;
  boost::system::error_code error;
  json::value value = json::parse({reinterpret_cast<const char*>(body.data()), body.size()}, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

}  // namespace histod::daemon::api
