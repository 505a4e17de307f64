// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "compute/codec/codec.hpp"
#include "daemon/streams/preview.hpp"
#include "daemon/streams/processor.hpp"
#include "tests/daemon/stream_support.hpp"

namespace histod::test {
namespace {

namespace codec = compute::codec;
using daemon::streams::NoteRing;
using daemon::streams::PreviewBoard;
using daemon::streams::Previewer;
using daemon::streams::Processor;
using daemon::streams::StreamConfig;
using Side = PreviewBoard::Side;

struct Decoded {
  std::uint32_t width = 0, height = 0;
  std::vector<std::byte> rgb;
  double mean(std::size_t channel) const {
    double sum = 0;
    for (std::size_t i = channel; i < rgb.size(); i += 3) sum += std::to_integer<unsigned>(rgb[i]);
    return sum / (static_cast<double>(rgb.size()) / 3);
  }
};

Decoded decoded(const std::string& jpeg, compute::Arena& arena) {
  const auto file = std::as_bytes(std::span(jpeg));
  const auto info = codec::probe(file, {});
  if (!info) return {};
  std::vector<std::byte> memory(info->pixel_bytes + 64);
  void* at = memory.data();
  std::size_t room = memory.size();
  std::align(64, info->pixel_bytes, at, room);
  const auto image = codec::decode(file, *info, {static_cast<std::byte*>(at), info->pixel_bytes}, {}, arena);
  if (!image) return {};
  const compute::ImageView& page = image->pages.front();
  Decoded out{page.width, page.height, {}};
  for (std::uint32_t y = 0; y < page.height; ++y)
    out.rgb.insert(out.rgb.end(), page.row(y), page.row(y) + page.row_bytes());
  return out;
}

/// A picture of one colour but for a little: left half darker.
Picture halves(unsigned width, unsigned height, unsigned dark, unsigned light, unsigned cb, unsigned cr) {
  Picture out{width, height, {}};
  for (unsigned i = 0; i < width * height; ++i) {
    out.octets.push_back(static_cast<std::byte>(i % 2 == 0 ? cb : cr));
    out.octets.push_back(static_cast<std::byte>(i % width < width / 2 ? dark : light));
  }
  return out;
}

struct PreviewRig {
  explicit PreviewRig(StreamConfig config)
      : previewer(config.format, arena, board, 7), processor(config, nobody, notes, &previewer) {
    previewer.configure(config.preview);
  }
  void pass(Sender& sender, const Picture& picture, std::int64_t at_ns) {
    for (Bytes& packet : sender.frame(picture)) processor.process(packet, at_ns);
  }
  /// As whoever ends a stream does.
  void wait() {
    while (!board.read(Side::out)) std::this_thread::yield();
  }

  compute::Arena arena{{{}, 1}};
  PreviewBoard board;
  Previewer previewer;
  NoteRing notes;
  DeafListener nobody;
  Processor processor;
};

TEST(StreamPreview, ShowsTheLastWholeFrameBeforeAndAfter) {
  StreamConfig config = stream_config(1, 64, 48);
  config.preview = {.per_second = 5, .height_max = 16};
  PreviewRig rig(config);
  Sender sender;
  rig.pass(sender, halves(64, 48, 60, 100, 128, 128), 1'000'000'000);
  rig.wait();
  const auto first = rig.board.read(Side::in);
  EXPECT_EQ(first->epoch, 7u);
  EXPECT_EQ(first->number, 0u);
  const Decoded in = decoded(first->jpeg, rig.arena), out = decoded(rig.board.read(Side::out)->jpeg, rig.arena);
  ASSERT_EQ(in.width, 21u);
  ASSERT_EQ(in.height, 16u);
  EXPECT_NEAR(in.mean(0), 1.164 * (80 - 16), 3) << "narrow range made full";
  EXPECT_NEAR(in.mean(0), in.mean(2), 2);
  EXPECT_EQ(in.rgb, out.rgb) << "the first frame has the identity";
  EXPECT_GT(rig.previewer.copied_bytes(), 0u);

  // Too soon, then late enough, as soon as the arena is done; the table of the frame before makes 60 to 0 and 100 to
  // 255.
  rig.pass(sender, halves(64, 48, 60, 100, 128, 128), 1'100'000'000);
  for (std::int64_t at_ns = 1'300'000'000; rig.board.read(Side::out)->number < 2; at_ns += 200'000'000)
    rig.pass(sender, halves(64, 48, 60, 100, 90, 200), at_ns);
  const Decoded red = decoded(rig.board.read(Side::in)->jpeg, rig.arena),
                wide = decoded(rig.board.read(Side::out)->jpeg, rig.arena);
  EXPECT_GT(red.mean(0), red.mean(2) + 100);
  const auto at = [](const Decoded& of, std::size_t column) {
    return std::to_integer<int>(of.rgb[(8 * of.width + column) * 3 + 1]);
  };
  EXPECT_LT(at(wide, 3), at(red, 3));
  EXPECT_GT(at(wide, 17), at(red, 17));
}

TEST(StreamPreview, PartialFramesAndTheirKindAreNotShown) {
  StreamConfig config = stream_config(1, 64, 48);
  config.preview = {.per_second = 5, .height_max = 48};
  PreviewRig rig(config);
  Sender sender;
  auto packets = sender.frame(picture(1, 20, 64, 48));
  packets.erase(packets.begin() + 3);
  for (Bytes& packet : packets) rig.processor.process(packet, 1'000'000'000);
  rig.processor.flush();
  rig.pass(sender, picture(2, 20, 64, 48), 1'001'000'000);
  rig.wait();
  EXPECT_EQ(rig.board.read(Side::in)->number, 1u);
  config.preview.per_second = 0;
  rig.previewer.configure(config.preview);
  rig.pass(sender, picture(3, 20, 64, 48), 9'000'000'000);
  EXPECT_EQ(rig.board.read(Side::in)->number, 1u) << "none are asked for";
}

TEST(StreamPreview, TakesAnySamplingDepthAndSize) {
  using net::rtp::Sampling;
  for (const Sampling sampling : {Sampling::ycbcr_422, Sampling::ycbcr_420, Sampling::rgb, Sampling::rgba})
    for (const unsigned depth : {8u, 10u, 12u, 16u})
      for (const bool interlaced : {false, true}) {
        compute::Arena arena{{{}, 1}};
        PreviewBoard board;
        net::rtp::VideoFormat format{
            .sampling = sampling, .depth = depth, .width = 64, .height = 48, .interlaced = interlaced};
        const auto raster = net::rtp::Raster::make(format);
        ASSERT_TRUE(raster);
        {
          Previewer previewer(format, arena, board, 1);
          previewer.configure({.per_second = 1, .height_max = 20});
          ASSERT_TRUE(previewer.begin(5, 0, 1));
          const Bytes octets(raster->line_octets(), std::byte{0x80});
          const unsigned each = raster->pgroup().height;
          for (unsigned row = 0; row < raster->rows_of(0); row += each) {
            const net::rtp::Segment segment{.row = static_cast<std::uint16_t>(raster->row_of_frame(row, 0)),
                                            .pixels = 64};
            previewer.keep(segment, octets);
          }
          compute::Lut lut(1u << depth);
          for (std::size_t i = 0; i < lut.size(); ++i) lut[i] = static_cast<std::uint16_t>(i);
          previewer.end(true, lut);
        }
        const auto shown = board.read(Side::out);
        ASSERT_TRUE(shown);
        const Decoded picture = decoded(shown->jpeg, arena);
        EXPECT_LE(picture.height, 20u);
        EXPECT_GT(picture.height, 8u);
        EXPECT_NEAR(picture.width * 48.0 / 64.0, picture.height, 4);
      }
}

}  // namespace
}  // namespace histod::test
