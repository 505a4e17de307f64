// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/streams/state_json.hpp"
#include "daemon/streams/streams.hpp"
#include "net/udp/socket.hpp"
#include "tests/daemon/stream_support.hpp"

namespace histod::test {
namespace {

using daemon::streams::StreamConfig;
using daemon::streams::Streams;
using testing::Contains;
using testing::HasSubstr;

template <class T>
class Answer {
 public:
  daemon::jobs::Reply<T> reply() {
    return [this](daemon::jobs::Outcome<T> outcome) { promise_.set_value(std::move(outcome)); };
  }
  daemon::jobs::Outcome<T> get() { return promise_.get_future().get(); }

 private:
  std::promise<daemon::jobs::Outcome<T>> promise_;
};

class StreamService : public testing::Test {
 protected:
  StreamService() {
    placement_.arenas.push_back({.numa_node = -1, .cpus = {}, .threads = 1});
    start();
  }
  void start() {
    streams_.reset();
    streams_.emplace(Streams::Options{.placement = placement_, .arenas = {&arena_}, .dpdk = {}}, log_, sources_);
  }
  daemon::jobs::Outcome<bool> put(const StreamConfig& config) {
    Answer<bool> answer;
    streams_->put(config, answer.reply());
    return answer.get();
  }
  daemon::jobs::Outcome<Streams::RecordPtr> change(const std::string& text) {
    Answer<Streams::RecordPtr> answer;
    streams_->change("test", boost::json::parse(text).as_object(), answer.reply());
    return answer.get();
  }
  daemon::jobs::Outcome<void> remove(const std::string& name) {
    Answer<void> answer;
    streams_->remove(name, answer.reply());
    return answer.get();
  }
  boost::json::object state(const std::string& name = "test") {
    const auto record = streams_->find(name);
    return record ? daemon::streams::state_json(*record, true) : boost::json::object{{"state", "none"}};
  }
  std::vector<std::string> events() {
    std::vector<std::string> out;
    for (const auto& event : bus_.read_last(100, 1u << 20).events) {
      const std::string type(boost::json::parse(event->json).at("type").as_string());
      if (type.starts_with("io.histod.stream.")) out.push_back(type.substr(17));
    }
    return out;
  }
  /// Waits for what the stream says of itself.
  template <class Condition>
  void until(Condition condition) {
    while (!condition(state())) std::this_thread::yield();
  }

  std::function<void(std::string_view)> on_line_ = [](std::string_view) {
  };  ///< of the log; set before there are streams
  daemon::Log log_{daemon::LogLevel::info, daemon::LogFormat::logfmt, [this](std::string_view line) { on_line_(line); },
                   [] { return 0; }};
  daemon::telemetry::Bus bus_{
      {.identity = "01ARZ3NDEKTSV4RRFFQ69G5FAV", .node = "n"}, [] { return 0; }, nullptr, [](const std::string&) {}};
  daemon::telemetry::Sources sources_{bus_};
  compute::Arena arena_{{{}, 1}};
  daemon::Placement placement_;
  std::optional<Streams> streams_;
};

/// A socket of the test's own, at both ends of the stream.
struct Wire {
  Wire() : socket(net::udp::Socket::open({.local = *net::udp::parse_address("127.0.0.1", 0), .gro = false}).value()) {}
  void send(const Bytes& datagram, const std::string& to) const {
    sockaddr_storage address{};
    const auto colon = to.rfind(':');
    const auto bytes = net::udp::to_sockaddr(
        *net::udp::parse_address(to.substr(0, colon), static_cast<std::uint16_t>(std::stoul(to.substr(colon + 1)))),
        address);
    ASSERT_EQ(::sendto(socket.fd(), datagram.data(), datagram.size(), 0, reinterpret_cast<sockaddr*>(&address), bytes),
              static_cast<ssize_t>(datagram.size()));
  }
  Bytes receive() const {
    Bytes out(65'536);
    const ssize_t got = ::recv(socket.fd(), out.data(), out.size(), 0);
    out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return out;
  }
  net::udp::Socket socket;
};

TEST_F(StreamService, PacketsGoThroughARealPortWhileThingsChange) {
  const Wire one, two;
  StreamConfig config = stream_config(1);
  config.targets = {one.socket.local()};
  ASSERT_EQ(put(config).value(), true);
  EXPECT_EQ(state().at("state"), "waiting");
  const std::string local(state().at("local").as_string());
  Sender sender;
  const Picture a = picture(1, 20), b = picture(2, 60), c = picture(3, 90);
  const auto pass = [&](const Picture& from, const Wire& to) {
    std::vector<Bytes> out;
    for (const Bytes& packet : sender.frame(from)) {
      one.send(packet, local);
      out.push_back(to.receive());
    }
    return out;
  };
  const auto expected = [&](const Picture& from, const compute::Lut& lut) {
    Sender again = sender;
    std::vector<Bytes> out;
    for (const Bytes& packet : again.frame(from)) out.push_back(mapped(packet, payload_of(2), lut));
    return out;
  };
  const auto first = sender;
  const auto plain = pass(a, one);
  sender = first;
  EXPECT_EQ(plain, sender.frame(a));
  const std::string to_two = two.socket.local().text();
  const auto changed = change(R"({"targets":[")" + to_two + R"("],"window":{"frames":2},"rule":"exact"})");
  ASSERT_TRUE(changed) << changed.error().detail;
  EXPECT_EQ(state().at("config").at("window").at("frames"), 2);
  EXPECT_EQ(state().at("window").at("frames"), 2);
  auto wanted = expected(b, table_of(compute::Rule::exact, {a}));
  EXPECT_EQ(pass(b, two), wanted);
  // Two targets: the second gets the same.
  const std::string to_both = R"({"targets":[")" + one.socket.local().text() + R"(",")" + to_two + R"("]})";
  ASSERT_TRUE(change(to_both));
  wanted = expected(c, table_of(compute::Rule::exact, {a, b}));
  EXPECT_EQ(pass(c, one), wanted);
  for (const Bytes& packet : wanted) EXPECT_EQ(two.receive(), packet);
  until([](const boost::json::object& now) { return now.at("packets").at("sent").to_number<int>() == 16; });
  EXPECT_EQ(state().at("frames").at("whole"), 3);
  EXPECT_EQ(state().at("packets").at("lost"), 0);
  ASSERT_TRUE(remove("test"));
  EXPECT_EQ(state().at("state"), "none");
  EXPECT_EQ(remove("test").error().status, 404u);
  EXPECT_THAT(events(), testing::ElementsAre("started", "resumed", "stopped"));
  ASSERT_EQ(streams_->fallbacks().size(), 1u);
  EXPECT_EQ(streams_->fallbacks()[0].what, "stream shares CPUs");
}

TEST_F(StreamService, RefusesWhatCannotBe) {
  StreamConfig config = stream_config(1);
  ASSERT_TRUE(put(config));
  EXPECT_EQ(change(R"({"depth":8})").error().code, "bad-stream");
  EXPECT_EQ(change(R"({"window":{"frames":5000}})").error().limit, daemon::api::Amount("1024"));
  StreamConfig dpdk = config;
  dpdk.name = "other";
  dpdk.backend = daemon::streams::Backend::dpdk;
  dpdk.dpdk_port = "net_ring0";
  const auto refused = put(dpdk);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 409u);
  EXPECT_THAT(refused.error().detail, HasSubstr("--dpdk"));
  StreamConfig taken = config;
  taken.name = "other";
  const std::string local(state().at("local").as_string());
  taken.listen.port = static_cast<std::uint16_t>(std::stoul(local.substr(local.rfind(':') + 1)));
  EXPECT_EQ(put(taken).error().code, "stream-unavailable") << "the kernel says so";
  StreamConfig nowhere = config;
  nowhere.cpu = 4'000;
  EXPECT_THAT(put(nowhere).error().detail, HasSubstr("cpu 4000"));
  EXPECT_EQ(state().at("state"), "waiting") << "what was there goes on";
  for (unsigned i = 1; i < 16; ++i) {
    config.name = "s" + std::to_string(i);
    ASSERT_TRUE(put(config));
  }
  config.name = "one-more";
  EXPECT_EQ(put(config).error().code, "too-many-streams");
  EXPECT_EQ(streams_->list().size(), 16u);
  streams_->stop();
  EXPECT_EQ(put(config).error().status, 503u);
  EXPECT_TRUE(streams_->list().empty());
}

TEST_F(StreamService, ConfiguredStreamsThatFailAreShownAndTriedAgain) {
  StreamConfig config = stream_config(1);
  config.listen = *net::udp::parse_address("192.0.2.77", 5004);  // no address of this machine
  streams_->begin({config});
  EXPECT_EQ(state().at("state"), "failed");
  EXPECT_THAT(std::string(state().at("error").as_string()), HasSubstr("cannot bind 192.0.2.77:5004"));
  EXPECT_THAT(events(), testing::ElementsAre("failed"));
  EXPECT_TRUE(change(R"({"rule":"vips"})")) << "it is only remembered";
  StreamConfig better = stream_config(2);
  EXPECT_EQ(put(better).value(), false) << "it was there";
  EXPECT_EQ(state().at("state"), "waiting");
}

/// Two packets of each of two sources: each is believed in turn.
struct TwoSources {
  TwoSources() { one.lines_each = other.lines_each = 4; }
  void send(const Wire& from, const std::string& to) {
    for (const Bytes& packet : one.frame(picture(1, 20))) from.send(packet, to);
    for (const Bytes& packet : other.frame(picture(2, 60))) from.send(packet, to);
  }
  Sender one, other{.ssrc = 0x9999, .sequence = 7, .timestamp = 5};
};

TEST_F(StreamService, SourcesThatAlternateFasterThanTheyAreToldHoldNothingUp) {
  constexpr unsigned k_lines_max = 40;
  const Wire wire;
  TwoSources sources;
  std::atomic<unsigned> lines{0};
  std::atomic<bool> answered{false};
  // Before a line is written there is the next thing to tell.
  on_line_ = [&](std::string_view line) {
    if (line.find("SSRC") == line.npos || answered || ++lines > k_lines_max) return;
    const auto record = streams_->find("test");
    const auto changes = [&] { return record->board.read_short().received.sequence.ssrc_changes; };
    const std::uint64_t before = changes();
    sources.send(wire, record->status().local);
    while (changes() == before) std::this_thread::yield();
  };
  ASSERT_TRUE(put(stream_config(1)));
  sources.send(wire, std::string(state().at("local").as_string()));
  while (lines == 0) std::this_thread::yield();
  EXPECT_TRUE(change(R"({"rule":"exact"})"));
  EXPECT_LT(lines, k_lines_max);
  answered = true;
  EXPECT_TRUE(remove("test"));
}

TEST_F(StreamService, AStreamThatGetsNoDescriptorIsRefusedAndNothingEnds) {
  StreamConfig config = stream_config(1);
  config.targets = {*net::udp::parse_address("127.0.0.1", 5004), *net::udp::parse_address("127.0.0.1", 5006)};
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  unsigned refused = 0;
  for (bool made = false; !made; ++refused) {
    ASSERT_LT(refused, 64u);
    const int lowest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(::close(lowest), 0);
    const rlimit few{static_cast<rlim_t>(lowest) + refused, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const auto outcome = put(config);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    made = outcome.has_value();
    EXPECT_EQ(made ? "" : outcome.error().code, made ? "" : "stream-unavailable");
  }
  EXPECT_GT(refused, 2u) << "one for its socket, one for its ring, at least";
  EXPECT_EQ(state().at("state"), "waiting");
}

TEST_F(StreamService, AStreamThatGetsNoThreadIsRefusedAndNothingEnds) {
  pthread_attr_t before, endless;
  ASSERT_EQ(::pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(::pthread_attr_init(&endless), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&endless, std::size_t{1} << 48), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&endless), 0);  // no address space is as large
  const auto outcome = put(stream_config(1));
  ASSERT_EQ(::pthread_setattr_default_np(&before), 0);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, "stream-unavailable");
  EXPECT_THAT(outcome.error().detail, HasSubstr("thread"));
  EXPECT_TRUE(put(stream_config(1)));
}

TEST_F(StreamService, AChangeThatIsRefusedIsNotKept) {
  constexpr unsigned k_changes = 200;
  const Wire wire;
  ASSERT_TRUE(put(stream_config(1)));
  Sender sender;
  const auto begun = sender.frame(picture(1, 20));
  // While a picture is open changes wait, for a moment.
  wire.send(begun.front(), std::string(state().at("local").as_string()));
  until([](const boost::json::object& now) { return now.at("packets").at("received") == 1; });
  for (bool last_refused = false; !last_refused;) {
    std::vector<Answer<Streams::RecordPtr>> answers(k_changes);
    for (unsigned i = 0; i < k_changes; ++i)
      streams_->change("test", {{"window", {{"frames", i + 1}}}}, answers[i].reply());
    unsigned kept = 0;
    for (unsigned i = 0; i < k_changes; ++i) {
      const auto outcome = answers[i].get();
      last_refused = !outcome.has_value();
      if (outcome) kept = i + 1;
      ASSERT_EQ(outcome ? 503u : outcome.error().status, 503u);
    }
    EXPECT_EQ(state().at("config").at("window").at("frames"), kept);
    EXPECT_EQ(state().at("window").at("frames"), kept);
  }
}

/// Of a machine whose CPUs are shared out.
class StreamCpus : public StreamService {
 protected:
  void SetUp() override {
    cpu_set_t allowed;
    ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed)) cpus_.push_back(cpu);
    if (cpus_.size() < 2) GTEST_SKIP() << "skipped: two CPUs are needed";
  }
  /// A configuration of this name.
  static StreamConfig named(const std::string& name, std::optional<int> cpu = {}) {
    StreamConfig out = stream_config(1);
    out.name = name;
    out.cpu = cpu;
    return out;
  }
  std::vector<int> cpus_;
};

TEST_F(StreamCpus, ACpuThatAStreamTookIsAskedForInVain) {
  placement_.streams = {{.cpu = cpus_[0]}, {.cpu = cpus_[1]}};
  start();
  ASSERT_TRUE(put(named("taker")));
  EXPECT_EQ(state("taker").at("core").at("cpu"), cpus_[0]);
  const auto refused = put(named("asker", cpus_[0]));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "conflict");
  EXPECT_THAT(refused.error().detail, HasSubstr("taker"));
  EXPECT_EQ(refused.error().value, daemon::api::Amount(static_cast<std::uint64_t>(cpus_[0])));
  EXPECT_TRUE(put(named("taker", cpus_[0]))) << "its own";
  EXPECT_TRUE(put(named("asker", cpus_[1])));
  EXPECT_TRUE(put(named("taker"))) << "without that it was asked for";
  EXPECT_EQ(state("taker").at("core").at("cpu"), cpus_[0]);
}

TEST_F(StreamCpus, WhatAsksForNoneTakesNoneThatAnotherAskedFor) {
  placement_.streams = {{.cpu = cpus_[0]}, {.cpu = cpus_[1]}};
  start();
  StreamConfig failing = named("failing", cpus_[1]);
  failing.listen = *net::udp::parse_address("192.0.2.77", 5004);  // no address of this machine
  streams_->begin({named("any"), named("asker", cpus_[0]), failing});
  EXPECT_EQ(state("asker").at("core").at("cpu"), cpus_[0]);
  EXPECT_EQ(state("failing").at("state"), "failed");
  EXPECT_TRUE(state("any").at("core").at("cpu").is_null()) << "the other is kept for whom it is";
}

TEST_F(StreamCpus, ACpuOfWorkersOrComputingThreadsIsAFallback) {
  placement_.workers = {{.cpu = cpus_[0]}};
  placement_.arenas[0].cpus = {cpus_[0]};
  placement_.streams = {{.cpu = cpus_[1]}};
  start();
  ASSERT_TRUE(put(named("alone", cpus_[1])));
  EXPECT_TRUE(streams_->fallbacks().empty());
  ASSERT_TRUE(put(named("beside", cpus_[0])));
  ASSERT_EQ(streams_->fallbacks().size(), 1u);
  EXPECT_EQ(streams_->fallbacks()[0].what, "stream shares CPUs");
}

}  // namespace
}  // namespace histod::test
