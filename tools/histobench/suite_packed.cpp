// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <string>

#include <opencv2/imgproc.hpp>

#include "compute/video/packed.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

namespace {

using compute::video::PackedForm;
using compute::video::Sampling;

constexpr Size k_1080p{1920, 1080}, k_tiny_video{384, 216};
/// Payload of a packet of 1080p: whole pgroups of both depths.
constexpr std::size_t k_packet_bytes = 1320;

/// A frame of 4:2:2 whose Y is the input and whose chroma is in the middle, its rows one behind the other.
std::vector<std::byte> pack(const Input& input, unsigned depth) {
  std::vector<std::byte> bytes;
  const std::uint64_t neutral = 1u << (depth - 1);
  const auto sample = [&](std::size_t i) -> std::uint64_t {
    return depth == 8 ? input.pixels.ptr<std::uint8_t>()[i] : input.pixels.ptr<std::uint16_t>()[i] >> (16 - depth);
  };
  for (std::size_t i = 0; i + 2 <= input.pixels.total(); i += 2) {
    const std::uint64_t group = ((neutral << depth | sample(i)) << depth | neutral) << depth | sample(i + 1);
    for (unsigned byte = depth / 2; byte-- > 0;) bytes.push_back(static_cast<std::byte>(group >> (8 * byte)));
  }
  return bytes;
}

/// A frame that is counted, and one that a table is applied to; both competitors begin with the same bytes.
class PackedComparison {
 public:
  PackedComparison(const Input& input, unsigned depth)
      : depth_(depth),
        form_{Sampling::ycbcr422, static_cast<std::uint8_t>(depth)},
        frame_(pack(input, depth)),
        counter_(form_),
        map_(form_),
        counts_(form_.levels()),
        lut_(form_.levels()) {
    // Not monotone, so that no sample can be taken for another.
    for (std::size_t i = 0; i < lut_.size(); ++i) lut_[i] = static_cast<std::uint16_t>((5 * i + 1) % lut_.size());
    map_.set(lut_);
  }

  Competitor count() {
    return {{}, [this] {
              std::ranges::fill(counts_.counts(), 0);
              for_packets(frame_, [this](std::span<std::byte> packet) { counter_.count(packet); });
              counter_.fold_into(counts_);
            }};
  }
  Competitor apply() {
    return {[this] { ours_ = frame_; },
            [this] { for_packets(ours_, [this](std::span<std::byte> packet) { map_.apply(packet); }); }};
  }

  Competitor peer_count() {
    return {{}, [this] { depth_ == 8 ? count_by_opencv() : count_by_group(); }};
  }
  Competitor peer_apply() {
    return {[this] {
              theirs_ = frame_;
              for (int i = 0; depth_ == 8 && i < 256; ++i)
                table_.ptr<cv::Vec2b>()[i] = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(lut_[i])};
            },
            [this] { depth_ == 8 ? apply_by_opencv() : apply_by_group(); }};
  }

  bool counts_agree() const { return std::ranges::equal(counts_.counts(), peer_counts_); }
  bool frames_agree() const { return ours_ == theirs_; }

 private:
  template <class F>
  static void for_packets(std::span<std::byte> frame, F f) {
    for (; !frame.empty(); frame = frame.subspan(std::min(frame.size(), k_packet_bytes)))
      f(frame.first(std::min(frame.size(), k_packet_bytes)));
  }

  void count_by_opencv() {
    const cv::Mat pixels(1, static_cast<int>(frame_.size() / 2), CV_8UC2, frame_.data());
    const int channel = 1, bins = 256;
    const float range[] = {0, 256};
    const float* ranges = range;
    cv::Mat counts;
    cv::calcHist(&pixels, 1, &channel, cv::Mat(), counts, 1, &bins, &ranges);
    peer_counts_.assign(counts.ptr<float>(), counts.ptr<float>() + 256);
  }
  void apply_by_opencv() {
    cv::Mat pixels(1, static_cast<int>(theirs_.size() / 2), CV_8UC2, theirs_.data());
    cv::LUT(pixels, table_, pixels);
  }

  /// A pgroup as one number.
  static std::uint64_t group_at(const std::byte* bytes) {
    std::uint64_t group = 0;
    for (unsigned i = 0; i < 5; ++i) group = group << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return group;
  }
  void count_by_group() {
    peer_counts_.assign(1024, 0);
    for (std::size_t i = 0; i < frame_.size(); i += 5) {
      const std::uint64_t group = group_at(frame_.data() + i);
      ++peer_counts_[(group >> 20) & 0x3ff];
      ++peer_counts_[group & 0x3ff];
    }
  }
  void apply_by_group() {
    for (std::size_t i = 0; i < theirs_.size(); i += 5) {
      const std::uint64_t group = group_at(theirs_.data() + i);
      const std::uint64_t chroma = group & ~(std::uint64_t{0x3ff} << 20 | 0x3ff);
      const std::uint64_t mapped = chroma | std::uint64_t{lut_[(group >> 20) & 0x3ff]} << 20 | lut_[group & 0x3ff];
      for (unsigned byte = 0; byte < 5; ++byte) theirs_[i + byte] = static_cast<std::byte>(mapped >> (32 - 8 * byte));
    }
  }

  unsigned depth_;
  PackedForm form_;
  std::vector<std::byte> frame_, ours_, theirs_;
  compute::video::LumaCounter counter_;
  compute::video::LumaMap map_;
  compute::Histogram counts_;
  compute::Lut lut_;
  std::vector<std::uint64_t> peer_counts_;
  cv::Mat table_ = cv::Mat(1, 256, CV_8UC2);
};

void run_depth(const Input& input, unsigned depth, unsigned rounds, const Sink& sink) {
  PackedComparison comparison(input, depth);
  const std::string form = depth == 8 ? "UYVY 8-bit" : "UYVY 10-bit";
  cv::setNumThreads(1);
  Row count{
      .work = "count, " + form, .input = input.label(), .peer = depth == 8 ? "cv::calcHist" : "by pgroup, scalar"};
  count.values = take_turns(comparison.count(), comparison.peer_count(), rounds);
  if (!comparison.counts_agree()) count.wrong = "the counts differ from the peer's";
  sink.row(std::move(count));
  Row apply{.work = "apply, " + form, .input = input.label(), .peer = depth == 8 ? "cv::LUT" : "by pgroup, scalar"};
  apply.values = take_turns(comparison.apply(), comparison.peer_apply(), rounds);
  if (!comparison.frames_agree()) apply.wrong = "the bytes differ from the peer's";
  sink.row(std::move(apply));
}

}  // namespace

void run_packed_suite(const Settings& settings, const Sink& sink) {
  const Size size = settings.scale == Scale::tiny ? k_tiny_video : k_1080p;
  for (const unsigned depth : {8u, 10u}) {
    const int input_depth = depth == 8 ? 8 : 16;
    std::vector<Input> inputs{noise(size, input_depth)};
    if (auto photo = photograph(settings.photo, size, input_depth)) inputs.push_back(std::move(*photo));
    for (const Input& input : inputs) {
      sink.input(input.label(), digest(input.bytes()));
      run_depth(input, depth, settings.rounds, sink);
    }
  }
}

}  // namespace histod::bench
