// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/feed_events.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "tools/histobench/http_client.hpp"

namespace histod::bench {

namespace {

using Clock = Poller::Clock;

constexpr double k_batches_per_s_max = 100;
constexpr std::size_t k_texts_kept = 8;

std::int64_t ns_of(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

/// Words: a long run of one character could be taken for a secret.
std::string filler_of(std::size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += "large ";
  out.resize(bytes);
  return out;
}

}  // namespace

EventSource::EventSource(Poller& poller, const Options& options)
    : options_(options), filler_(filler_of(options.filler_bytes)), line_(poller, options.port) {}

void EventSource::start(double per_second) {
  batch_events_ = static_cast<std::size_t>(std::max(1.0, std::ceil(per_second / k_batches_per_s_max)));
  const std::chrono::duration<double> interval(static_cast<double>(batch_events_) / per_second);
  interval_ = std::chrono::duration_cast<std::chrono::nanoseconds>(interval);
  due_ = Clock::now();
}

std::string EventSource::request(std::size_t events) const {
  std::string body = "[";
  for (std::size_t i = 0; i < events; ++i) {
    const std::uint64_t number = posted_ + i;
    body += fmt::format(
        R"({}{{"specversion":"1.0","id":"{}-{}","source":"/histobench","type":"{}","data":{{"message":"event {}",)"
        R"("number":{},"due_ns":{},"filler":"{}"}}}})",
        i == 0 ? "" : ",", options_.type, number, options_.type, number, number, ns_of(due_), filler_);
  }
  body += "]";
  return request_head("POST", "/v1/events", options_.authorization, body.size(), "application/cloudevents-batch+json") +
         body;
}

void EventSource::go_on() {
  for (const auto now = Clock::now(); due_ <= now; due_ += interval_) {
    const std::size_t events = batch_events_;
    line_.ask(request(events), [this, events](unsigned status, std::string_view body) {
      if (status == 202 && body.contains(fmt::format("\"accepted\":{},", events))) return;
      if (wrong_.empty()) wrong_ = fmt::format("POST /v1/events answers {}: {:.200}", status, body);
    });
    posted_ += events;
  }
}

const std::vector<Deliveries::Posted>& Deliveries::read(std::string_view text) {
  if (const auto known = std::ranges::find(latest_, text, &Read::text); known != latest_.end()) return known->events;
  Read fresh{std::string(text), {}};
  const boost::json::value told = boost::json::parse(text);
  for (const auto& event : told.as_array()) {
    const auto& data = event.at("data");
    const std::chrono::nanoseconds due(data.at("due_ns").to_number<std::int64_t>());
    fresh.events.push_back({data.at("number").to_number<std::uint64_t>(), Clock::time_point(due)});
  }
  if (latest_.size() == k_texts_kept) latest_.pop_back();
  return latest_.emplace_front(std::move(fresh)).events;
}

void Deliveries::told(std::size_t reader, std::string_view text) {
  if (!wrong_.empty()) return;
  const auto now = Clock::now();
  try {
    for (const Posted& event : read(text)) {
      if (event.number != next_[reader]) {
        wrong_ = fmt::format("reader {} was told event {}, not {}", reader, event.number, next_[reader]);
        return;
      }
      ++next_[reader];
      ++delivered_;
      delays_ms_.push_back(std::chrono::duration<double, std::milli>(now - event.due).count());
    }
  } catch (const std::exception&) {  // Boost.JSON's, of several kinds
    wrong_ = fmt::format("reader {} was told no events of ours: {:.200}", reader, text);
  }
}

std::vector<double> Deliveries::take_delays_ms() { return std::exchange(delays_ms_, {}); }

}  // namespace histod::bench
