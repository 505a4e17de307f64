// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>

#include <fmt/format.h>
#include <sys/resource.h>

#include "tools/histobench/daemon.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/feed_client.hpp"
#include "tools/histobench/feed_events.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

namespace {

using Clock = Poller::Clock;
using Seconds = std::chrono::duration<double>;

constexpr const char* k_busy_type = "histobench.busy";
constexpr const char* k_large_type = "histobench.large";
constexpr const char* k_never_type = "histobench.never";
constexpr std::size_t k_large_bytes = 32 * 1024;
constexpr double k_large_per_second = 128, k_per_second_meanwhile = 200;
constexpr int k_deaf_receive_bytes = 4096;
constexpr std::chrono::seconds k_patience_for_events{10}, k_patience_for_slow{60};

struct Crowd {
  std::size_t idle, busy, slow;
  double idle_s;  ///< how long nothing happens; each reader is pinged every 20 s
  double step_s;
  std::vector<double> events_per_s;  ///< a token may post 1,000 a second
};

Crowd crowd_of(Scale scale) {
  if (scale == Scale::full) return {5'000, 500, 10, 25, 10, {50, 200, 1'000}};
  if (scale == Scale::quick) return {500, 50, 10, 1, 2, {50, 200}};
  return {50, 10, 3, 0.1, 0.5, {100}};
}

/// As many open files as may be, for us and for what we start; as before afterwards.
class OpenFiles {
 public:
  explicit OpenFiles(std::size_t wanted) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    if (before_.rlim_max < wanted)
      throw Failure(
          fmt::format("{} files must be open at once, here and in the daemon, but the hard limit is {}: raise "
                      "it (ulimit -Hn), or have fewer readers by --quick",
                      wanted, before_.rlim_max));
    const rlimit most{before_.rlim_max, before_.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &most) != 0)
      throw Failure(fmt::format("the limit of open files cannot be raised to {}: errno {}", most.rlim_max, errno));
  }
  ~OpenFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

 private:
  rlimit before_{};
};

double our_cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

/// Time, and the CPU time of the daemon and of us, since it was made.
class Span {
 public:
  explicit Span(const Daemon& daemon) : daemon_(daemon), cpu_s_(daemon.cpu_seconds()) {}
  double seconds() const { return Seconds(Clock::now() - began_).count(); }
  double cpu_percent() const { return 100 * (daemon_.cpu_seconds() - cpu_s_) / seconds(); }
  double our_cpu_percent() const { return 100 * (our_cpu_seconds() - our_cpu_s_) / seconds(); }

 private:
  const Daemon& daemon_;
  double cpu_s_, our_cpu_s_ = our_cpu_seconds();
  Clock::time_point began_ = Clock::now();
};

std::size_t files_of(const Crowd& crowd) { return crowd.idle + crowd.busy + 2 * crowd.slow + 256; }

class FeedSuite {
 public:
  FeedSuite(const Settings& settings, const Sink& sink)
      : sink_(sink),
        crowd_(crowd_of(settings.scale)),
        files_(files_of(crowd_)),
        daemon_(settings.daemon_program, {"--connections", std::to_string(files_of(crowd_))}),
        readers_(poller_, daemon_.port(), daemon_.authorization()),
        source_(poller_, source_options(k_busy_type, 0)),
        busy_(crowd_.busy) {
    sink.fact("back-end", daemon_.backend());
    sink.fact("feed", fmt::format("{} idle readers, {} busy and {} slow ones; they share the daemon's CPUs",
                                  crowd_.idle, crowd_.busy, crowd_.slow));
  }
  void run();

 private:
  EventSource::Options source_options(const char* type, std::size_t filler_bytes) const {
    return {daemon_.port(), daemon_.authorization(), type, filler_bytes};
  }
  FeedReaders::Group group(const char* name, const char* type) const {
    return {.name = name, .target = fmt::format("/v1/events?type={}&limit=1", type), .told = {}};
  }
  void figure(const std::string& work, const std::string& input, const char* unit, double value,
              const std::string& wrong = {});
  void memory_row(const std::string& input);
  void crowd_row(FeedReaders::Group group, std::size_t count);
  void stay_idle();
  void step(double events_per_s);
  void delay_rows(const std::string& input);
  void serve_for(double seconds);
  void await_deliveries(const EventSource& source, const Deliveries& deliveries);
  void drop_slow_readers();
  std::uint64_t slow_readers_dropped(AskLine& line);
  std::string wrong() const;

  const Sink& sink_;
  const Crowd crowd_;
  const OpenFiles files_;
  Daemon daemon_;
  Poller poller_;
  FeedReaders readers_;
  EventSource source_;
  Deliveries busy_;
  std::string idle_wrong_;
};

void FeedSuite::figure(const std::string& work, const std::string& input, const char* unit, double value,
                       const std::string& wrong) {
  sink_.row({.work = work, .input = input, .unit = unit, .values = {{value}, {}}, .wrong = wrong});
  if (!wrong.empty()) throw Failure(wrong);
}

void FeedSuite::memory_row(const std::string& input) { figure("resident", input, "MiB", daemon_.memory().resident); }

std::string FeedSuite::wrong() const {
  for (const std::string* const what : {&idle_wrong_, &readers_.wrong(), &source_.wrong(), &busy_.wrong()})
    if (!what->empty()) return *what;
  return {};
}

/// What each costs is told without the pool, of which all use the same few pages in turn.
void FeedSuite::crowd_row(FeedReaders::Group group, std::size_t count) {
  const std::string input = fmt::format("{} {} readers", count, group.name);
  const Daemon::Memory before = daemon_.memory();
  const Span span(daemon_);
  readers_.open(std::move(group), count);
  figure("connected, with their hello", input, "", static_cast<double>(count), wrong());
  figure("time until they were", input, "s", span.seconds());
  figure("daemon's CPU meanwhile", input, "%", span.cpu_percent());
  const Daemon::Memory after = daemon_.memory();
  memory_row(input);
  const double grown_kib = 1024 * (after.resident - after.pool - before.resident + before.pool);
  figure("memory for each, without the pool", input, "KiB", grown_kib / static_cast<double>(count));
}

void FeedSuite::serve_for(double seconds) {
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
  while (Clock::now() < until && wrong().empty()) {
    source_.go_on();
    poller_.serve(std::min(until, source_.due()));
  }
}

void FeedSuite::stay_idle() {
  const std::string input = fmt::format("{} idle readers", crowd_.idle);
  const Span span(daemon_);
  serve_for(crowd_.idle_s);
  figure(fmt::format("daemon's CPU, {:g} s of pings at most", crowd_.idle_s), input, "%", span.cpu_percent(), wrong());
  if (crowd_.idle_s > 20) figure("pings answered", input, "", static_cast<double>(readers_.pings()));
}

/// Until every reader has had everything that was posted.
void FeedSuite::await_deliveries(const EventSource& source, const Deliveries& deliveries) {
  std::uint64_t before = deliveries.delivered();
  auto since = Clock::now();
  while (wrong().empty() && deliveries.wrong().empty() &&
         (source.unanswered() > 0 || !deliveries.complete(source.posted()))) {
    poller_.serve(Clock::now() + std::chrono::milliseconds(100));
    if (std::exchange(before, deliveries.delivered()) != deliveries.delivered()) since = Clock::now();
    if (Clock::now() - since > k_patience_for_events)
      throw Failure(fmt::format("{} events were posted, and {} deliveries made; no more came for {} s", source.posted(),
                                deliveries.delivered(), k_patience_for_events.count()));
  }
}

void FeedSuite::delay_rows(const std::string& input) {
  std::vector<double> delays_ms = busy_.take_delays_ms();
  std::ranges::sort(delays_ms);
  if (delays_ms.empty()) throw Failure("no event was delivered");
  figure("posted to delivered, p50", input, "ms", quantile(delays_ms, 0.5));
  figure("posted to delivered, p99", input, "ms", quantile(delays_ms, 0.99));
  figure("posted to delivered, max", input, "ms", delays_ms.back());
}

void FeedSuite::step(double events_per_s) {
  const std::string input = fmt::format("{} idle, {} busy, {:g} events/s", crowd_.idle, crowd_.busy, events_per_s);
  const std::uint64_t posted = source_.posted(), delivered = busy_.delivered();
  const Span span(daemon_);
  source_.start(events_per_s);
  serve_for(crowd_.step_s);
  source_.stop();
  const double cpu_percent = span.cpu_percent(), our_cpu_percent = span.our_cpu_percent();
  await_deliveries(source_, busy_);
  const double seconds = span.seconds();
  figure("events posted", input, "1/s", static_cast<double>(source_.posted() - posted) / seconds, wrong());
  figure("events delivered, each once, in order", input, "1/s",
         static_cast<double>(busy_.delivered() - delivered) / seconds);
  delay_rows(input);
  figure("daemon's CPU", input, "%", cpu_percent);
  figure("all its readers' CPU", input, "%", our_cpu_percent);
}

std::uint64_t FeedSuite::slow_readers_dropped(AskLine& line) {
  constexpr std::string_view k_name = "\nhistod_feed_slow_readers_total ";
  std::optional<std::uint64_t> dropped;
  line.ask(request_head("GET", "/metrics", daemon_.authorization(), 0), [&](unsigned status, std::string_view body) {
    const std::size_t at = body.find(k_name);
    if (status != 200 || at == std::string_view::npos) throw Failure("the daemon does not count slow readers");
    const std::string_view number = body.substr(at + k_name.size());
    std::from_chars(number.data(), number.data() + number.size(), dropped.emplace());
  });
  while (!dropped) {
    source_.go_on();
    poller_.serve(std::min(source_.due(), Clock::now() + std::chrono::milliseconds(100)));
  }
  return *dropped;
}

/// Some do not read what some others do read; the busy ones go on.
void FeedSuite::drop_slow_readers() {
  const std::string input =
      fmt::format("{} slow, {} busy, {:g} events/s", crowd_.slow, crowd_.busy, k_per_second_meanwhile);
  Deliveries prompt(crowd_.slow);
  FeedReaders::Group reading = group("prompt", k_large_type), deaf = group("slow", k_large_type);
  reading.told = [&prompt](std::size_t reader, std::string_view text) { prompt.told(reader, text); };
  deaf.deaf = true;
  deaf.receive_buffer_bytes = k_deaf_receive_bytes;
  readers_.open(std::move(reading), crowd_.slow);
  readers_.open(std::move(deaf), crowd_.slow);
  EventSource large(poller_, source_options(k_large_type, k_large_bytes));
  AskLine metrics(poller_, daemon_.port());
  const Span span(daemon_);
  const auto give_up = Clock::now() + k_patience_for_slow;
  source_.start(k_per_second_meanwhile);
  large.start(k_large_per_second);
  std::uint64_t dropped = 0;
  for (auto look = Clock::now(); dropped < crowd_.slow && wrong().empty() && Clock::now() < give_up;) {
    large.go_on();
    source_.go_on();
    poller_.serve(std::min({source_.due(), large.due(), look}));
    if (Clock::now() < look) continue;
    dropped = slow_readers_dropped(metrics);
    look = Clock::now() + std::chrono::milliseconds(100);
  }
  const double seconds = span.seconds();
  for (EventSource* const source : {&source_, &large}) source->stop();
  await_deliveries(source_, busy_);
  await_deliveries(large, prompt);
  dropped = slow_readers_dropped(metrics);
  std::string trouble = wrong();
  for (const std::string* const what : {&large.wrong(), &prompt.wrong()})
    if (trouble.empty()) trouble = *what;
  if (trouble.empty() && dropped != crowd_.slow)
    trouble = fmt::format("{} readers do not read, and {} were dropped", crowd_.slow, dropped);
  figure("readers dropped as too slow", input, "", static_cast<double>(dropped), trouble);
  figure(fmt::format("time until then, at {:g} MiB/s", k_large_per_second * k_large_bytes / (1 << 20)), input, "s",
         seconds);
  delay_rows(input);
  // Its readers' functions go with this frame.
  readers_.close();
}

void FeedSuite::run() {
  memory_row("before any reader");
  FeedReaders::Group idle = group("idle", k_never_type);
  idle.told = [this](std::size_t reader, std::string_view text) {
    idle_wrong_ = fmt::format("idle reader {} was told {:.100}", reader, text);
  };
  crowd_row(std::move(idle), crowd_.idle);
  stay_idle();
  FeedReaders::Group busy = group("busy", k_busy_type);
  busy.told = [this](std::size_t reader, std::string_view text) { busy_.told(reader, text); };
  crowd_row(std::move(busy), crowd_.busy);
  for (const double events_per_s : crowd_.events_per_s) step(events_per_s);
  memory_row("after these events");
  drop_slow_readers();
  daemon_.stop();
}

}  // namespace

void run_feed_suite(const Settings& settings, const Sink& sink) { FeedSuite(settings, sink).run(); }

}  // namespace histod::bench
