// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <numeric>

#include <gtest/gtest.h>

#include "daemon/streams/processor.hpp"
#include "tests/daemon/stream_support.hpp"

namespace histod::test {
namespace {

using compute::Rule;
using daemon::streams::Note;
using daemon::streams::NoteRing;
using daemon::streams::Processor;
using daemon::streams::StreamConfig;
using daemon::streams::StreamSnapshot;

class ProcessorRig final : Processor::Listener {
 public:
  explicit ProcessorRig(const StreamConfig& config) : processor(config, *this, notes, nullptr) {}

  /// What is sent on of these, in place.
  std::vector<Bytes> pass(std::vector<Bytes> packets) {
    std::vector<Bytes> out;
    for (Bytes& packet : packets)
      if (processor.process(packet, ++now_ns * 1'000'000)) out.push_back(packet);
    return out;
  }
  StreamSnapshot state() const {
    StreamSnapshot out;
    processor.describe(out);
    return out;
  }
  std::vector<Note> told() {
    std::vector<Note> out;
    while (const auto note = notes.pop()) out.push_back(*note);
    return out;
  }
  void frame_begins() override {
    if (on_frame) on_frame();
  }

  NoteRing notes;
  std::function<void()> on_frame;
  Processor processor;
  std::int64_t now_ns = 1000;
};

/// What a sender's packets are to become, by a table.
std::vector<Bytes> mapped_all(const std::vector<Bytes>& packets, const compute::Lut& lut, unsigned lines = 2) {
  std::vector<Bytes> out;
  for (const Bytes& packet : packets) out.push_back(mapped(packet, payload_of(lines), lut));
  return out;
}

compute::Lut identity() {
  compute::Lut out(256);
  std::iota(out.begin(), out.end(), std::uint16_t{0});
  return out;
}

TEST(StreamProcessor, EachFrameHasTheTableOfThoseBeforeIt) {
  for (const Rule rule : {Rule::opencv, Rule::exact, Rule::reference, Rule::pillow, Rule::vips}) {
    StreamConfig config = stream_config(3);
    config.live.rule = rule;
    ProcessorRig rig(config);
    Sender sender;
    std::vector<Picture> before;
    for (unsigned i = 0; i < 8; ++i) {
      const Picture now = picture(i, 10 * i);
      const auto packets = sender.frame(now);
      const std::vector<Picture> window(before.end() - std::min<std::ptrdiff_t>(3, std::ssize(before)), before.end());
      EXPECT_EQ(rig.pass(packets), mapped_all(packets, before.empty() ? identity() : table_of(rule, window))) << i;
      before.push_back(now);
    }
    EXPECT_EQ(rig.state().frames_whole, 8u);
    EXPECT_EQ(rig.state().frames_partial, 0u);
    EXPECT_EQ(rig.state().window_filled, 3u);
    EXPECT_EQ(rig.state().received.sequence.received, 32u);
    EXPECT_TRUE(rig.told().empty());
  }
}

TEST(StreamProcessor, WhatIsNotNewIsNeitherCountedNorSentOn) {
  ProcessorRig rig(stream_config(1));
  Sender sender;
  const Picture first = picture(1, 20), second = picture(2, 90);
  auto packets = sender.frame(first);
  packets.insert(packets.begin() + 2, packets[1]);  // a duplicate
  EXPECT_EQ(rig.pass(packets).size(), 4u);
  auto more = sender.frame(second);
  more[1].resize(more[1].size() - 1);  // truncated
  EXPECT_EQ(rig.pass(more).size(), 3u);
  EXPECT_EQ(rig.pass({Bytes(7), Bytes(100)}).size(), 0u);
  const StreamSnapshot now = rig.state();
  EXPECT_EQ(now.received.sequence.duplicates, 1u);
  EXPECT_EQ(now.received.faults[static_cast<std::size_t>(net::rtp::Fault::payload_truncated)], 1u);
  EXPECT_EQ(now.received.sequence.missing, 1u);
  EXPECT_EQ(now.lut, table_of(Rule::opencv, {first})) << "the second has not ended";
  rig.processor.flush();
  EXPECT_TRUE(rig.processor.between_pictures());
  Picture partial = second;
  partial.octets.erase(partial.octets.begin() + 2 * 32, partial.octets.begin() + 4 * 32);
  partial.height -= 2;
  EXPECT_EQ(rig.state().lut, table_of(Rule::opencv, {partial})) << "of what was received";
  EXPECT_EQ(rig.state().frames_partial, 1u);
}

TEST(StreamProcessor, PacketsOfTwoFramesInAnyOrderHaveTheirFramesTable) {
  ProcessorRig rig(stream_config(2));
  Sender sender;
  const Picture a = picture(1, 20), b = picture(2, 90), c = picture(3, 50);
  rig.pass(sender.frame(a));
  auto packets = sender.frame(b);
  const auto next = sender.frame(c);
  const compute::Lut of_a = table_of(Rule::opencv, {a});
  // The last packet of b comes behind the first of c, which began when only a had ended.
  std::vector<Bytes> order{packets[0], packets[1], packets[2], next[0], packets[3], next[1], next[2], next[3]};
  EXPECT_EQ(rig.pass(order), mapped_all(order, of_a));
  EXPECT_EQ(rig.state().lut, table_of(Rule::opencv, {b, c}));
  EXPECT_EQ(rig.state().received.sequence.reordered, 1u);
  EXPECT_EQ(rig.state().frames_whole, 3u);
}

TEST(StreamProcessor, ChangesHoldFromTheFrameThatBegins) {
  ProcessorRig rig(stream_config(1));
  Sender sender;
  const Picture a = picture(1, 20), b = picture(2, 90), c = picture(3, 60);
  rig.pass(sender.frame(a));
  auto options = stream_config(2).live;
  options.rule = Rule::exact;
  rig.on_frame = [&] { rig.processor.configure(options); };
  auto packets = sender.frame(b);
  EXPECT_EQ(rig.pass(packets), mapped_all(packets, table_of(Rule::exact, {a})));
  rig.on_frame = {};
  packets = sender.frame(c);
  EXPECT_EQ(rig.pass(packets), mapped_all(packets, table_of(Rule::exact, {a, b})));
}

TEST(StreamProcessor, AnotherSourceGoesOnWithTheWindow) {
  ProcessorRig rig(stream_config(4));
  Sender sender;
  const Picture a = picture(1, 20), b = picture(2, 90), c = picture(3, 60);
  rig.pass(sender.frame(a));
  Sender other{.ssrc = 0x9999, .sequence = 7, .timestamp = 5};
  // Nobody believes in one packet of another source: it is none of the stream's.
  EXPECT_EQ(rig.pass(other.frame(b)).size(), 3u);
  EXPECT_EQ(rig.state().ssrc, 0x9999u);
  EXPECT_EQ(rig.state().received.sequence.strays, 1u);
  EXPECT_EQ(rig.state().received.sequence.ssrc_changes, 1u);
  const auto notes = rig.told();
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].kind, Note::Kind::ssrc_changed);
  EXPECT_EQ(notes[0].b, 0x9999u);
  rig.pass(other.frame(c));
  EXPECT_EQ(rig.state().window_filled, 3u) << "a, what was received of b, and c";
  rig.processor.flush();
  EXPECT_EQ(rig.state().received.sequence.lost + rig.state().received.sequence.missing, 0u);
}

/// Two pictures in a row that end with their marker say what size they have.
void expect_new_size(unsigned width, unsigned height) {
  ProcessorRig rig(stream_config(4));
  Sender sender;
  const Picture old = picture(1, 20);
  rig.pass(sender.frame(old));
  const Picture now = picture(2, 90, width, height), then = picture(3, 140, width, height);
  rig.pass(sender.frame(now));
  EXPECT_EQ(rig.state().format_changes, 0u);
  rig.pass(sender.frame(now));
  ASSERT_EQ(rig.state().format_changes, 1u);
  EXPECT_EQ(rig.state().format.width, width);
  EXPECT_EQ(rig.state().format.height, height);
  EXPECT_EQ(rig.state().window_filled, 0u);
  auto packets = sender.frame(now);
  EXPECT_EQ(rig.pass(packets), packets) << "the window begins anew";
  packets = sender.frame(then);
  EXPECT_EQ(rig.pass(packets), mapped_all(packets, table_of(Rule::opencv, {now})));
  const auto notes = rig.told();
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].kind, Note::Kind::format_changed);
  EXPECT_EQ(notes[0].c, width);
  EXPECT_EQ(notes[0].d, height);
}

TEST(StreamProcessor, NoticesSmallerAndLargerPictures) {
  expect_new_size(12, 8);
  expect_new_size(16, 6);
  expect_new_size(24, 8);
  expect_new_size(16, 12);
  expect_new_size(8, 20);
}

TEST(StreamProcessor, ASenderThatBeginsAgainAtAnotherSizeIsAnotherSource) {
  ProcessorRig rig(stream_config(4));
  Sender one, two{.ssrc = 0x9999, .sequence = 7, .timestamp = 5};
  rig.pass(one.frame(picture(1, 20)));
  for (unsigned i = 0; i < 3; ++i) rig.pass(two.frame(picture(i, 90, 24, 12)));
  EXPECT_EQ(rig.state().format_changes, 1u);
  EXPECT_EQ(rig.state().ssrc, 0x9999u);
  EXPECT_EQ(rig.state().received.sequence.ssrc_changes, 1u);
}

TEST(StreamProcessor, LossIsNoOtherSize) {
  ProcessorRig rig(stream_config(4));
  Sender sender;
  for (unsigned i = 0; i < 6; ++i) {
    auto packets = sender.frame(picture(i, 30));
    packets.erase(packets.begin() + i % 4);
    rig.pass(packets);
  }
  EXPECT_EQ(rig.state().format_changes, 0u);
  EXPECT_EQ(rig.state().received.sequence.missing, 6u - 1) << "the very first was never missed";
}

TEST(StreamProcessor, FieldsOfAFrameShareATableAndCountAsOneFrame) {
  StreamConfig config = stream_config(2);
  config.format.interlaced = true;
  ProcessorRig rig(config);
  Sender sender;
  std::vector<Picture> before;
  for (unsigned i = 0; i < 4; ++i) {
    const Picture now = picture(i, 20 * i);
    std::vector<Bytes> packets;
    for (const unsigned field : {0u, 1u}) {
      packets.push_back(sender.packet(now, field, 2, false, 2, field));
      packets.push_back(sender.packet(now, field + 4, 2, true, 2, field));
      sender.timestamp += 1'500;
    }
    const std::vector<Picture> window(before.end() - std::min<std::ptrdiff_t>(2, std::ssize(before)), before.end());
    EXPECT_EQ(rig.pass(packets), mapped_all(packets, before.empty() ? identity() : table_of(Rule::opencv, window)));
    before.push_back(now);
  }
  EXPECT_EQ(rig.state().frames_whole, 4u);
  EXPECT_EQ(rig.state().format_changes, 0u);
}

}  // namespace
}  // namespace histod::test
