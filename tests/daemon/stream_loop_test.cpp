// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "daemon/streams/loop.hpp"
#include "tests/daemon/stream_support.hpp"

namespace histod::test {
namespace {

using daemon::streams::Clocks;
using daemon::streams::DelayHistogram;
using daemon::streams::FurtherTargets;
using daemon::streams::Loop;
using daemon::streams::Note;
using daemon::streams::NoteRing;
using daemon::streams::StreamBoard;
using daemon::streams::StreamConfig;
using daemon::streams::StreamSnapshot;
using daemon::streams::StreamState;

constexpr std::int64_t k_ms = 1'000'000;
std::int64_t now_ns = 0, real_ahead_ns = 0;

const net::udp::Address k_one = *net::udp::parse_address("192.0.2.1", 5004);
const net::udp::Address k_two = *net::udp::parse_address("192.0.2.2", 5004);

StreamConfig config_to(std::vector<net::udp::Address> targets) {
  StreamConfig out = stream_config(4);
  out.targets = std::move(targets);
  return out;
}

class LoopRig {
 public:
  explicit LoopRig(const StreamConfig& config)
      : loop(config, {source, board, notes}, {[] { return now_ns; }, [] { return now_ns + real_ahead_ns; }}) {}
  ~LoopRig() {
    loop.finish();
    EXPECT_EQ(source.stats().leases.get(), 0u) << "all packets are home";
  }
  void run(unsigned steps = 1) {
    for (unsigned i = 0; i < steps; ++i) loop.step();
  }
  void pass(std::int64_t ms) {
    now_ns += ms * k_ms;
    run();
  }
  std::vector<Note> told() {
    std::vector<Note> out;
    while (const auto note = notes.pop()) out.push_back(*note);
    return out;
  }

  FakeSource source;
  StreamBoard board;
  NoteRing notes;
  Loop loop;
};

TEST(StreamLoop, SendsOnInOrderAndTellsTheDelay) {
  now_ns = 1'000 * k_ms;
  LoopRig rig(config_to({k_one}));
  EXPECT_EQ(rig.board.read().state, StreamState::waiting);
  Sender sender;
  rig.source.burst_max = 3;
  const auto packets = sender.frame(picture(1, 20));
  for (const Bytes& packet : packets) rig.source.put(packet, now_ns - 2 * k_ms);
  rig.run(3);
  ASSERT_EQ(rig.source.sent.size(), packets.size());
  for (std::size_t i = 0; i < packets.size(); ++i) EXPECT_EQ(rig.source.sent[i].datagram, packets[i]);
  rig.pass(100);
  const StreamSnapshot now = rig.board.read();
  EXPECT_EQ(now.state, StreamState::running);
  EXPECT_EQ(now.sent, 4u);
  EXPECT_EQ(now.leases, 0u);
  EXPECT_EQ(now.frames_whole, 1u);
  EXPECT_EQ(now.delays.total(), 4u);
  EXPECT_EQ(now.recent_delays.at_permille(500), DelayHistogram::upper_ns(DelayHistogram::bucket_of(2 * k_ms)));
  EXPECT_GT(rig.source.waits, 0u);
}

TEST(StreamLoop, AClockThatIsSetChangesNeitherDelaysNorJitter) {
  constexpr std::int64_t k_hour_ms = 3'600'000, k_frame_ms = 33;
  now_ns = 1'000 * k_ms;
  LoopRig rig(config_to({k_one}));
  Sender sender;
  sender.lines_each = 8;  // a packet is a frame
  for (const std::int64_t set_ms : {0l, k_hour_ms, 0l, -k_hour_ms, 0l}) {
    real_ahead_ns += set_ms * k_ms;
    for (unsigned i = 0; i < 30; ++i) {
      now_ns += k_frame_ms * k_ms;
      rig.source.put(sender.frame(picture(1, 20))[0], now_ns + real_ahead_ns - 2 * k_ms);
      rig.run();
    }
  }
  rig.pass(100);
  const StreamSnapshot now = rig.board.read();
  EXPECT_EQ(now.state, StreamState::running);
  EXPECT_EQ(now.delays.total(), 150u);
  EXPECT_EQ(now.delays.at_permille(1), now.delays.at_permille(999));
  EXPECT_EQ(now.delays.at_permille(500), DelayHistogram::upper_ns(DelayHistogram::bucket_of(2 * k_ms)));
  EXPECT_LT(now.received.packet_jitter_ticks, 90'000 / 1'000) << "frames come a third of a millisecond early";
}

TEST(StreamLoop, WithDpdkTheFirstTargetHasItsNextHop) {
  StreamConfig config = config_to({k_one});
  const net::udp::Mac first{2, 0, 0, 0, 0, 1}, second{2, 0, 0, 0, 0, 2};
  config.next_hop = first;
  LoopRig rig(config);
  Sender sender;
  rig.source.put(sender.frame(picture(1, 20)));
  rig.run();
  rig.loop.set_targets({k_one}, second);
  rig.source.put(sender.frame(picture(1, 20)));
  rig.run();
  ASSERT_EQ(rig.source.sent.size(), 8u);
  EXPECT_EQ(rig.source.sent.front().next_hop, first);
  EXPECT_EQ(rig.source.sent.back().next_hop, second);
}

TEST(StreamLoop, TellsOnceThatTheWayOutCutsNothing) {
  LoopRig rig(config_to({k_one}));
  rig.pass(1'000);
  EXPECT_TRUE(rig.told().empty());
  for (unsigned i = 0; i < 3; ++i) {
    rig.source.count_uncut();
    rig.pass(1'000);
  }
  const auto notes = rig.told();
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].kind, Note::Kind::uncut);
  EXPECT_EQ(rig.board.read().port.uncut, 3u);
}

TEST(FurtherTargets, GroupsAreSentToByTheInterfaceAndBeyondARouter) {
  const net::udp::Address group = *net::udp::parse_address("239.255.77.8", 0),
                          lo = *net::udp::parse_address("127.0.0.1", 0);
  auto receiver = net::udp::Socket::open({.local = group, .timestamps = false});
  ASSERT_TRUE(receiver);
  const ip_mreqn membership{.imr_multiaddr = {inet_addr("239.255.77.8")},
                            .imr_address = {},
                            .imr_ifindex = static_cast<int>(net::udp::interface_index(lo))};
  ASSERT_EQ(::setsockopt(receiver->fd(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership), 0);
  constexpr int k_on = 1;
  ASSERT_EQ(::setsockopt(receiver->fd(), IPPROTO_IP, IP_RECVTTL, &k_on, sizeof k_on), 0);
  FakeSource source;
  Bytes datagram{std::byte{7}};
  const std::array<net::udp::Packet, 1> packets{net::udp::Packet(source, 0, datagram, {}, 0, false)};
  FurtherTargets further("127.0.0.1");
  further.set(std::array{receiver->local()});
  further.send(packets);
  EXPECT_EQ(further.sent(), 1u);
  std::array<std::byte, 8> bytes{};
  alignas(cmsghdr) std::array<char, 64> control{};
  iovec part{bytes.data(), bytes.size()};
  msghdr message{nullptr, 0, &part, 1, control.data(), control.size(), 0};
  ASSERT_EQ(::recvmsg(receiver->fd(), &message, 0), 1);
  const cmsghdr* const ttl = CMSG_FIRSTHDR(&message);
  ASSERT_TRUE(ttl != nullptr && ttl->cmsg_type == IP_TTL);
  EXPECT_EQ(*reinterpret_cast<const int*>(CMSG_DATA(ttl)), 16);
}

TEST(FurtherTargets, WithoutASocketEachPacketIsCountedAsFailed) {
  FakeSource source;
  Bytes datagram{std::byte{7}};
  const std::array<net::udp::Packet, 1> packets{net::udp::Packet(source, 0, datagram, {}, 0, false)};
  FurtherTargets further("");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  further.set(std::array{k_one, k_two});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  further.send(packets);
  EXPECT_EQ(further.sent(), 0u);
  EXPECT_EQ(further.failed(), 2u);
}

TEST(StreamLoop, WithoutTargetsItOnlyCounts) {
  LoopRig rig(config_to({}));
  Sender sender;
  rig.source.put(sender.frame(picture(1, 20)));
  rig.run();
  EXPECT_TRUE(rig.source.sent.empty());
  EXPECT_EQ(rig.source.stats().leases.get(), 0u);
  rig.pass(100);
  EXPECT_EQ(rig.board.read().lut, table_of(compute::Rule::opencv, {picture(1, 20)}));
}

TEST(StreamLoop, TellsSilenceAndItsEnd) {
  LoopRig rig(config_to({k_one}));
  Sender sender;
  rig.source.put(sender.frame(picture(1, 20)));
  rig.run();
  auto next = sender.frame(picture(2, 60));
  rig.source.put(next[0]);
  rig.run();
  rig.pass(900);
  EXPECT_EQ(rig.board.read().state, StreamState::running);
  rig.pass(200);
  EXPECT_EQ(rig.board.read().state, StreamState::silent);
  EXPECT_EQ(rig.board.read().frames_partial, 1u) << "what is open ends";
  rig.source.put(Bytes(5));
  rig.pass(10);
  EXPECT_EQ(rig.board.read().state, StreamState::silent) << "what is no packet breaks no silence";
  rig.source.put(sender.frame(picture(3, 60)));
  rig.pass(10);
  EXPECT_EQ(rig.board.read().state, StreamState::running);
  const auto notes = rig.told();
  ASSERT_EQ(notes.size(), 3u);
  EXPECT_EQ(notes[0].kind, Note::Kind::resumed);
  EXPECT_EQ(notes[0].a, 0x1234u);
  EXPECT_EQ(notes[1].kind, Note::Kind::silent);
  EXPECT_EQ(notes[1].a, 1'100u);
  EXPECT_EQ(notes[2].kind, Note::Kind::resumed);
}

TEST(StreamLoop, ChangesComeBetweenTwoFramesAndLoseNothing) {
  LoopRig rig(config_to({k_one}));
  Sender sender;
  const auto a = sender.frame(picture(1, 20)), b = sender.frame(picture(2, 60));
  rig.source.put({a[0], a[1]});
  rig.run();
  unsigned done = 0;
  ASSERT_TRUE(rig.loop.post([&] {
    rig.loop.set_targets({k_two}, {});
    ++done;
  }));
  rig.source.put({a[2], a[3]});
  rig.source.put(b);
  rig.run();  // one burst, with the border in its midst
  EXPECT_EQ(done, 1u);
  ASSERT_EQ(rig.source.sent.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(rig.source.sent[i].to, i < 4 ? k_one : k_two) << i;
}

TEST(StreamLoop, ChangesDoNotWaitForFramesThatNeverBegin) {
  LoopRig rig(config_to({k_one}));
  unsigned done = 0;
  ASSERT_TRUE(rig.loop.post([&] { ++done; }));
  rig.run();
  EXPECT_EQ(done, 1u) << "nothing comes in";
  Sender sender;
  rig.source.put(sender.frame(picture(1, 20))[0]);
  rig.run();
  ASSERT_TRUE(rig.loop.post([&] { ++done; }));
  for (unsigned i = 0; i < 3; ++i) {
    rig.source.put(Bytes(9));
    rig.pass(150);
  }
  EXPECT_EQ(done, 2u) << "a picture is open, and only garbage comes in";
  LoopRig stopped(config_to({}));
  ASSERT_TRUE(stopped.loop.post([&] { ++done; }));
  stopped.loop.finish();
  EXPECT_EQ(done, 3u) << "whoever waits for a change hears of it at the end";
  EXPECT_FALSE(stopped.loop.post([] {}));
}

TEST(StreamLoop, WarnsOfAFullCoreOnceUntilThereIsRoomAgain) {
  now_ns = 0;
  LoopRig rig(config_to({k_one}));
  Sender sender;
  const auto second_of = [&](std::int64_t busy_ms) {
    rig.source.on_receive = [busy_ms] { now_ns += busy_ms * k_ms / 10; };
    for (unsigned i = 0; i < 10; ++i) {
      rig.source.put(sender.frame(picture(1, 20)));
      rig.run();
      now_ns += (1'000 - busy_ms) * k_ms / 10;
    }
    rig.source.on_receive = {};
    rig.run();
  };
  second_of(500);
  rig.pass(100);
  EXPECT_NEAR(rig.board.read().core_busy, 0.5, 0.06);
  rig.told();
  second_of(900);
  second_of(950);
  second_of(750);
  second_of(850);
  second_of(300);
  second_of(900);
  std::vector<Note::Kind> kinds;
  for (const Note& note : rig.told()) kinds.push_back(note.kind);
  EXPECT_EQ(kinds, (std::vector{Note::Kind::near_quota, Note::Kind::off_quota, Note::Kind::near_quota}));
}

TEST(StreamLoop, TellsLossAndRatesBySecond) {
  now_ns = 0;
  LoopRig rig(config_to({k_one}));
  Sender sender;
  rig.source.put(sender.frame(picture(1, 20)));
  rig.run();
  sender.sequence = static_cast<std::uint16_t>(sender.sequence + 3'000);
  rig.source.put(sender.frame(picture(1, 20)));
  rig.run();
  rig.told();
  rig.pass(1'000);
  rig.pass(150);
  const auto notes = rig.told();
  ASSERT_GE(notes.size(), 1u);
  EXPECT_EQ(notes[0].kind, Note::Kind::loss);
  const StreamSnapshot now = rig.board.read();
  EXPECT_EQ(now.received.sequence.lost + now.received.sequence.missing, 3'000u);
  EXPECT_EQ(notes[0].a, now.received.sequence.lost);
  EXPECT_NEAR(now.packets_per_second, 8, 0.1);
  EXPECT_NEAR(now.frames_per_second, 2, 0.1);
}

/// How many of a kind there are, whatever else there is.
std::uint64_t count_of(const std::vector<Note>& notes, Note::Kind kind) {
  return static_cast<std::uint64_t>(std::ranges::count(notes, kind, &Note::kind));
}

/// Of all in the notes.
std::uint64_t changes_in(const std::vector<Note>& notes, Note::Kind kind) {
  std::uint64_t out = 0;
  for (const Note& note : notes) out += note.kind == kind ? note.count : 0;
  return out;
}

TEST(StreamLoop, SourcesThatAlternateAreToldASecondAtATime) {
  now_ns = 0;
  LoopRig rig(config_to({}));
  Sender one, other{.ssrc = 0x9999, .sequence = 7, .timestamp = 5};
  one.lines_each = other.lines_each = 4;
  const auto alternate = [&](unsigned times) {
    for (unsigned i = 0; i < times; ++i) {
      rig.source.put(one.frame(picture(1, 20)));
      rig.source.put(other.frame(picture(2, 60)));
      rig.run();
    }
  };
  alternate(200);
  auto notes = rig.told();
  EXPECT_EQ(count_of(notes, Note::Kind::ssrc_changed), 1u) << "the first, at once";
  rig.pass(1'000);
  const auto held = rig.told();
  ASSERT_EQ(count_of(held, Note::Kind::ssrc_changed), 1u);
  notes.insert(notes.end(), held.begin(), held.end());
  EXPECT_EQ(changes_in(notes, Note::Kind::ssrc_changed), 399u);
  const Note& last = *std::ranges::find(held, Note::Kind::ssrc_changed, &Note::kind);
  EXPECT_EQ(last.b, 0x9999u);
  EXPECT_EQ(rig.board.read().received.sequence.ssrc_changes, 399u);
  alternate(200);
  EXPECT_EQ(count_of(rig.told(), Note::Kind::ssrc_changed), 0u) << "some were told in this second";
  rig.pass(1'000);
  EXPECT_EQ(changes_in(rig.told(), Note::Kind::ssrc_changed), 400u);
  rig.pass(1'000);
  EXPECT_EQ(count_of(rig.told(), Note::Kind::ssrc_changed), 0u);
  rig.source.put(one.frame(picture(1, 20)));
  rig.run();
  EXPECT_EQ(changes_in(rig.told(), Note::Kind::ssrc_changed), 1u) << "at once again";
  alternate(1);
  rig.loop.finish();
  EXPECT_EQ(changes_in(rig.told(), Note::Kind::ssrc_changed), 1u) << "what was held is told at the end";
  EXPECT_EQ(rig.notes.lost(), 0u);
}

TEST(StreamLoop, SizesThatAlternateAreToldASecondAtATime) {
  now_ns = 0;
  LoopRig rig(config_to({}));
  Sender sender;
  for (unsigned i = 0; i < 600; ++i) {
    rig.source.put(sender.frame(picture(i, 20, i / 3 % 2 == 0 ? 16 : 24)));
    rig.run();
  }
  auto notes = rig.told();
  EXPECT_EQ(count_of(notes, Note::Kind::format_changed), 1u);
  rig.pass(1'000);
  const auto held = rig.told();
  EXPECT_EQ(count_of(held, Note::Kind::format_changed), 1u);
  notes.insert(notes.end(), held.begin(), held.end());
  EXPECT_EQ(changes_in(notes, Note::Kind::format_changed), 199u);
  EXPECT_EQ(rig.board.read().format_changes, 199u);
  EXPECT_EQ(rig.notes.lost(), 0u);
}

TEST(DelayHistogramTest, BucketsAreAnEighthOfTheirOctave) {
  for (std::uint64_t ns = 1; ns < (1ull << 40); ns = ns * 9 / 8 + 1) {
    const std::size_t bucket = DelayHistogram::bucket_of(ns);
    ASSERT_LT(bucket, DelayHistogram::k_buckets);
    if (bucket == 0 || bucket == DelayHistogram::k_buckets - 1) continue;
    EXPECT_LT(ns, DelayHistogram::upper_ns(bucket));
    EXPECT_GE(ns, DelayHistogram::upper_ns(bucket - 1));
    EXPECT_LE(DelayHistogram::upper_ns(bucket), ns + ns / 8 + 1);
  }
  DelayHistogram delays;
  EXPECT_EQ(delays.at_permille(500), 0u);
  for (unsigned i = 0; i < 1'000; ++i) delays.add(i < 990 ? 10'000 : 1'000'000);
  EXPECT_EQ(delays.at_permille(990), DelayHistogram::upper_ns(DelayHistogram::bucket_of(10'000)));
  EXPECT_EQ(delays.at_permille(999), DelayHistogram::upper_ns(DelayHistogram::bucket_of(1'000'000)));
  EXPECT_EQ(delays.below_octave(14), 990u);
  EXPECT_EQ(delays.below_octave(13), 0u);
}

TEST(NoteRingTest, KeepsOrderAndCountsWhatFindsNoRoom) {
  NoteRing ring;
  for (std::uint64_t i = 0; i < NoteRing::k_notes + 3; ++i) ring.push({.kind = Note::Kind::loss, .a = i});
  EXPECT_EQ(ring.lost(), 3u);
  for (std::uint64_t i = 0; i < NoteRing::k_notes; ++i) EXPECT_EQ(ring.pop()->a, i);
  EXPECT_FALSE(ring.pop());
}

}  // namespace
}  // namespace histod::test
