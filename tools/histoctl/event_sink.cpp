// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/event_sink.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <openssl/sha.h>

#include "daemon/wall_clock.hpp"
#include "tools/histoctl/answer.hpp"
#include "tools/histoctl/client.hpp"
#include "tools/histoctl/console.hpp"

namespace histod::ctl {
namespace {

constexpr std::size_t k_batch_events_max = 256;
constexpr std::size_t k_batch_bytes_max = 512u << 10;

class DaemonSink final : public EventSink {
 public:
  DaemonSink(const Arguments& arguments, const Settings& settings)
      : json_(arguments.has("json")), quiet_(arguments.has("quiet")), settings_(settings), client_(settings_) {}

  void put_text(std::string json) override {
    if (held_.size() == k_batch_events_max || bytes_ + json.size() > k_batch_bytes_max) flush();
    bytes_ += json.size() + 1;
    held_.push_back(std::move(json));
  }

  bool holds_some() const override { return !held_.empty(); }

  void flush() override {
    if (held_.empty()) return;
    const std::size_t events = held_.size();
    total_ += events;
    std::string body = "[";
    for (const std::string& each : held_) body += (body.size() > 1 ? "," : "") + each;
    body += "]";
    held_.clear();
    bytes_ = 0;
    if (hopeless_) {
      lost_ += events;
      return;
    }
    const auto sent = send(std::move(body));
    if (!sent) {
      lost_ += events;
      settings_.retries = 0;
      hopeless_ = sent.error().exit == Exit::refused || sent.error().exit == Exit::interrupted;
      if (!failure_) failure_ = sent.error();
    } else {
      settings_.retries = retries_;
    }
  }

  Result<Exit> finish() override {
    flush();
    if (json_) {
      print(to_text(boost::json::object{
                {"events", total_}, {"accepted", accepted_}, {"duplicates", duplicates_}, {"lost", lost_}}) +
            "\n");
    }
    if (failure_) {
      Failure failure = *failure_;
      if (failure.exit == Exit::interrupted) return std::unexpected(failure);
      failure.text = fmt::format("{} of {} events could not be delivered: {}", lost_, total_, failure.text);
      return std::unexpected(std::move(failure));
    }
    Console({.json = json_, .quiet = quiet_}, 0)
        .summary(fmt::format("{} events, {} of them known before", total_, duplicates_));
    return Exit::ok;
  }

 private:
  Result<void> send(std::string body) {
    Upload upload;
    upload.data = std::make_shared<const std::string>(std::move(body));
    Request request;
    request.method = "POST";
    request.target = "/v1/events";
    request.fields = {"Content-Type: application/cloudevents-batch+json"};
    request.upload = std::move(upload);
    request.retry_5xx = true;  // an event that arrives twice is known by its id
    const auto reply = fetch_json(client_, std::move(request));
    if (!reply) return std::unexpected(reply.error());
    accepted_ += number_field(*reply, "accepted");
    duplicates_ += number_field(*reply, "duplicates");
    return {};
  }

  const bool json_;
  const bool quiet_;
  Settings settings_;
  const unsigned retries_ = settings_.retries;
  Client client_;
  std::vector<std::string> held_;
  std::size_t bytes_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t lost_ = 0;
  bool hopeless_ = false;
  std::optional<Failure> failure_;
};

class FileSink final : public EventSink {
 public:
  FileSink(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}
  ~FileSink() override {
    if (file_ && file_ != stdout) std::fclose(file_);
  }

  void put_text(std::string json) override {
    json += '\n';
    if (std::fwrite(json.data(), 1, json.size(), file_) != json.size() && errno_ == 0) errno_ = errno;
    held_ = true;
  }
  bool holds_some() const override { return held_; }
  void flush() override {
    if (std::fflush(file_) != 0 && errno_ == 0) errno_ = errno;
    held_ = false;
  }
  Result<Exit> finish() override {
    flush();
    if (errno_ != 0) {
      return fail(Exit::some_failed, fmt::format("{}: cannot write: {}", one_line(path_), std::strerror(errno_)));
    }
    return Exit::ok;
  }

 private:
  std::FILE* file_;
  std::string path_;
  bool held_ = false;
  int errno_ = 0;
};

}  // namespace

void EventSink::put(daemon::telemetry::Event event) {
  if (event.time.empty()) event.time = time_text(daemon::wall_clock_ms());
  put_text(boost::json::serialize(daemon::telemetry::write_event(event)));
}

std::unique_ptr<EventSink> sink_to_daemon(const Arguments& arguments, const Settings& settings) {
  return std::make_unique<DaemonSink>(arguments, settings);
}

Result<std::unique_ptr<EventSink>> sink_to_file(const std::string& path) {
  std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  if (!file) return fail(Exit::usage, fmt::format("{}: cannot write: {}", one_line(path), std::strerror(errno)));
  return std::make_unique<FileSink>(file, path);
}

std::string time_text(std::int64_t ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(ms)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(at - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

std::string short_digest(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string out;
  for (std::size_t i = 0; i < 16; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace histod::ctl
