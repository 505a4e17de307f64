// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstring>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>
#include <sys/socket.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/video_trial.hpp"

namespace histod::bench {
namespace {

using testing::HasSubstr;

unsigned at(std::span<const std::byte> packet, std::size_t i) { return std::to_integer<unsigned>(packet[i]); }
unsigned at16(std::span<const std::byte> packet, std::size_t i) { return at(packet, i) << 8 | at(packet, i + 1); }

/// Each level as often as any other: equalizing changes nothing, so that a program that changes nothing is right.
Input even_input() {
  cv::Mat pixels(64, 128, CV_8U);
  for (int i = 0; i < 64 * 128; ++i) pixels.data[i] = static_cast<std::uint8_t>(i * 37);
  return {"even", pixels};
}

TEST(VideoFrame, IsPacketsOfOneLengthThatSayWhatRfc4175Wants) {
  for (const Size size : {Size{1920, 8}, Size{384, 6}, Size{1440, 4}, Size{1366, 3}}) {
    VideoFrame frame(dim_noise(size));
    ASSERT_EQ(frame.packets() % static_cast<std::size_t>(size.height), 0u);
    const std::size_t octets = frame.packet_octets(), payload = octets - 20;
    EXPECT_LE(octets, 1472u);
    EXPECT_EQ(payload * frame.packets(), std::size_t{2} * size.width * size.height);
    const std::uint64_t number = 70'000;
    const auto packets = frame.numbered(number, 0, frame.packets());
    for (std::size_t i = 0; i < frame.packets(); ++i) {
      const auto packet = packets.subspan(i * octets, octets);
      const std::uint64_t sequence = number * frame.packets() + i;
      EXPECT_EQ(at(packet, 0), 0x80u);
      EXPECT_EQ(at(packet, 1), i + 1 == frame.packets() ? 0x80u + 96 : 96u);
      EXPECT_EQ(at16(packet, 2), sequence & 0xffff);
      EXPECT_EQ(at16(packet, 12), sequence >> 16 & 0xffff);
      EXPECT_EQ(at16(packet, 4) << 16 | at16(packet, 6), number * 3000);
      const std::size_t line = i * payload / (2 * size.width), column = i * payload / 2 % size.width;
      EXPECT_EQ(at16(packet, 14), payload);
      EXPECT_EQ(at16(packet, 16), line);
      EXPECT_EQ(at16(packet, 18), column);
      EXPECT_EQ(frame.packet_of(line, column), i);
      EXPECT_EQ(std::memcmp(packet.data() + 20, frame.sent().data + i * payload, payload), 0);
    }
  }
}

TEST(VideoFrame, KnowsWhatOpenCvMakesOfItsLuma) {
  const Input input = dim_noise({384, 8});
  const VideoFrame frame(input);
  cv::Mat luma, expected, chroma_in, chroma_out;
  cv::equalizeHist(input.pixels, expected);
  cv::extractChannel(frame.equalized(), luma, 1);
  EXPECT_EQ(cv::norm(luma, expected, cv::NORM_L1), 0);
  cv::extractChannel(frame.sent(), chroma_in, 0);
  cv::extractChannel(frame.equalized(), chroma_out, 0);
  EXPECT_EQ(cv::norm(chroma_in, chroma_out, cv::NORM_L1), 0);
  EXPECT_THAT(video_difference(frame.sent(), frame.equalized()), HasSubstr("pixel "));
  EXPECT_EQ(video_difference(frame.sent(), frame.sent().clone()), "");
  EXPECT_EQ(video_difference(frame.sent(), cv::Mat(2, 2, CV_8UC2)), "the pictures have other sizes");
}

TEST(VideoCanvas, PutsSegmentsWhereTheyBelong) {
  VideoCanvas canvas({8, 4});
  // Two segments: 4 octets of line 1 from pixel 6 on, 8 of line 2 from its beginning on.
  const std::array<unsigned char, 38> packet{0x80, 0xe0, 0, 1, 0, 0, 0,    2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 1, 0x80,
                                             6,    0,    8, 0, 2, 0, 0x00, 9, 8, 7, 6, 1, 2, 3, 4, 5, 6, 7, 8};
  VideoCanvas::Place place;
  const auto bytes = std::as_bytes(std::span(packet));
  ASSERT_TRUE(canvas.add(bytes, place));
  EXPECT_TRUE(place.marker);
  EXPECT_EQ(place.line, 2u);
  EXPECT_EQ(place.column, 3u);
  EXPECT_EQ(place.octets, 12u);
  EXPECT_EQ(canvas.pixels().at<cv::Vec2b>(1, 6), cv::Vec2b(9, 8));
  EXPECT_EQ(canvas.pixels().at<cv::Vec2b>(1, 7), cv::Vec2b(7, 6));
  EXPECT_EQ(canvas.pixels().at<cv::Vec2b>(2, 3), cv::Vec2b(7, 8));
  EXPECT_EQ(canvas.pixels().at<cv::Vec2b>(3, 0), cv::Vec2b(0, 0));
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(canvas.add(bytes.first(i), place)) << i;
  auto beyond = packet;
  beyond[17] = 4;  // a line that is not there
  EXPECT_FALSE(canvas.add(std::as_bytes(std::span(beyond)), place));
  beyond = packet;
  beyond[25] = 6;  // over the line's end
  EXPECT_FALSE(canvas.add(std::as_bytes(std::span(beyond)), place));
}

TEST(Delays, AreFromTheChunkThatHadThePixels) {
  VideoSent sent{.frames = 2, .packets = 6, .chunk = 2, .at_ns = {1'000'000, 2'000'000, 11'000'000, 12'000'000}};
  EXPECT_EQ(sent.at(1, 2, 3), 12'000'000);
  VideoSink::Got got{.frames = 2, .seen = {{0, 0, 4'000'000}, {0, 2, 4'000'000}, {1, 1, 11'500'000}}, .last = {}};
  EXPECT_THAT(delays_ms(sent, got, 3), testing::ElementsAre(0.5, 2, 3));
  got.frames = 1;
  EXPECT_THAT(delays_ms(sent, got, 3), testing::IsEmpty());
}

TEST(VideoSender, SendsEveryPacketOnce) {
  for (const bool segments : {false, true}) {
    const Input input = dim_noise({384, 64});
    VideoFrame frame(input);
    const int cpu = usable_cpus().front();
    VideoSink sink(frame, nullptr, cpu);
    VideoSender sender(frame, {.cpu = cpu, .segments = segments});
    for (const std::uint64_t frames : {1u, 3u}) {
      sink.begin();
      const VideoSent sent = sender.send(sink.address(), 100, frames, 10);
      const VideoSink::Got got = sink.end(frames);
      EXPECT_EQ(sent.packets, frames * 64);
      EXPECT_EQ(got.frames, frames);
      EXPECT_EQ(got.octets, frames * 2 * 384 * 64);
      EXPECT_EQ(got.strangers, 0u);
      EXPECT_EQ(video_difference(got.last, frame.sent()), "");
      std::set<std::pair<unsigned, unsigned>> seen;
      for (const VideoSink::Seen& one : got.seen) seen.emplace(one.frame, one.packet);
      EXPECT_EQ(seen.size(), sent.packets);
      EXPECT_EQ(delays_ms(sent, got, 64).size(), sent.packets);
    }
    EXPECT_EQ(sender.packets(), 4u * 64);
  }
}

TEST(UdpSocket, CanBeHadAtAFreePortOnly) {
  const UdpSocket one;
  EXPECT_NE(one.bind("127.0.0.1").sin_port, 0);
  EXPECT_THROW(UdpSocket().bind("192.0.2.77"), Failure);
}

/// Sends on what comes, after `spoil`, which may say that it is lost.
class Relay final : public VideoEqualizer {
 public:
  using Spoil = bool (*)(std::span<std::byte> packet);
  Relay(const sockaddr_in& target, Spoil spoil) : address_(socket_.bind("127.0.0.1")) {
    const int room = 16 << 20;
    ::setsockopt(socket_.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    thread_ = std::thread([this, target, spoil] { run(target, spoil); });
  }
  ~Relay() override {
    stopping_ = true;
    ::shutdown(socket_.fd, SHUT_RDWR);
    thread_.join();
  }
  sockaddr_in address() const override { return address_; }
  Counts counts(std::uint64_t) override { return {packets_, frames_, 1e-3 * static_cast<double>(packets_)}; }

 private:
  void run(const sockaddr_in& target, Spoil spoil) {
    std::array<std::byte, 2048> bytes;
    for (;;) {
      const ssize_t got = ::recv(socket_.fd, bytes.data(), bytes.size(), 0);
      if (stopping_) return;
      if (got <= 0) continue;
      const auto packet = std::span(bytes).first(static_cast<std::size_t>(got));
      if (spoil(packet)) continue;
      ::sendto(socket_.fd, bytes.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&target), sizeof target);
      ++packets_;
      if ((packet[1] & std::byte{0x80}) != std::byte{0}) ++frames_;
    }
  }

  UdpSocket socket_;
  sockaddr_in address_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> packets_{0}, frames_{0};
  std::thread thread_;
};

struct Meter : testing::Test {
  Meter() : frame(even_input()), sink(frame, nullptr, cpu), sender(frame, {.cpu = cpu, .segments = false}) {}
  VideoFigures measure(Relay::Spoil spoil) {
    VideoMeter meter(frame, sender, sink, sink.address(), plan);
    return meter.measure([spoil](const sockaddr_in& to) { return std::make_unique<Relay>(to, spoil); }, true);
  }
  std::string failure_of(Relay::Spoil spoil) {
    try {
      measure(spoil);
    } catch (const Failure& failure) {
      return failure.what();
    }
    return "no failure";
  }
  const int cpu = usable_cpus().front();
  VideoPlan plan{.search_s = 0.01,
                 .steady_s = 0.05,
                 .delay_s = 0.1,
                 .first_rate = 20,
                 .delay_rate = 40,
                 .loss_rates = {10, 30},
                 .frames_least = 2,
                 .bisections = 1};
  VideoFrame frame;
  VideoSink sink;
  VideoSender sender;
};

TEST_F(Meter, FindsRatesCostAndDelays) {
  const VideoFigures figures = measure([](std::span<std::byte>) { return false; });
  EXPECT_GT(figures.highest, 0);
  // A packet is a millisecond, by what it says.
  EXPECT_NEAR(figures.frames_per_cpu_second, 1000.0 / static_cast<double>(frame.packets()), 0.2);
  EXPECT_GT(figures.delay_ms[0], 0);
  EXPECT_LE(figures.delay_ms[0], figures.delay_ms[1]);
  EXPECT_LE(figures.delay_ms[1], figures.delay_ms[2]);
  EXPECT_EQ(figures.own_delay_ms[0], 0) << "it says nothing";
  ASSERT_EQ(figures.lost.size(), 2u);
}

TEST_F(Meter, BelievesNobodyWhoseLastPictureIsNotTheOracles) {
  const auto wrong = failure_of([](std::span<std::byte> packet) {
    packet[21] ^= std::byte{1};
    return false;
  });
  EXPECT_THAT(wrong, HasSubstr("of a picture that came out is "));
}

TEST_F(Meter, SaysHowMuchComesOutWhereNotAllDoes) {
  plan.frames_least = 1;
  plan.delay_s = 0;
  const auto lossy = failure_of([](std::span<std::byte> packet) { return at(packet, 17) == 3; });
  EXPECT_THAT(lossy, HasSubstr("of 1 frames of 64 packets at 40 frames/s only 63 packets come out"));
}

TEST(Gstreamer, IsThereOrSaysWhatToInstall) {
  const std::string missing = gstreamer_missing();
  if (missing.empty())
    EXPECT_THAT(gstreamer_version(), HasSubstr("."));
  else
    EXPECT_THAT(missing, testing::AnyOf(HasSubstr("install gst"), HasSubstr("build with")));
}

}  // namespace
}  // namespace histod::bench
