// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>
#include <thread>

#include <opencv2/imgproc.hpp>

#include "compute/equalize.hpp"
#include "tools/histobench/suites.hpp"

namespace histod::bench {

namespace {

/// equalize() works in place, so each round begins with a fresh copy; the peer's input is copied as well, so that both
/// find the caches alike.
class Comparison {
 public:
  Comparison(const Input& input, unsigned threads)
      : input_(input), arena_({.cpus = {}, .threads = threads}), threads_(threads) {}

  Competitor ours(const compute::EqualizeOptions& options) {
    return {[this] { input_.pixels.copyTo(ours_); }, [this, options] { equalize(options); }};
  }

  /// `work` is given the input and a matrix of its size for the result.
  Competitor peer(std::function<void(const cv::Mat&, cv::Mat&)> work) {
    return {[this] {
              input_.pixels.copyTo(peer_input_);
              peer_output_.create(peer_input_.size(), peer_input_.type());
              cv::setNumThreads(static_cast<int>(threads_));
            },
            [this, work = std::move(work)] { work(peer_input_, peer_output_); }};
  }

  bool exact() const {
    return !failed_ && std::equal(ours_.datastart, ours_.dataend, peer_output_.datastart, peer_output_.dataend);
  }

 private:
  void equalize(const compute::EqualizeOptions& options) {
    compute::EqualizePage page;
    page.image = {reinterpret_cast<std::byte*>(ours_.data),
                  static_cast<std::uint32_t>(ours_.cols),
                  static_cast<std::uint32_t>(ours_.rows),
                  ours_.step[0],
                  {.depth_bits = static_cast<std::uint8_t>(8 * ours_.elemSize())}};
    failed_ = !compute::equalize({&page, 1}, options, arena_) || failed_;
  }

  const Input& input_;
  compute::Arena arena_;
  const unsigned threads_;
  cv::Mat ours_, peer_input_, peer_output_;
  bool failed_ = false;
};

/// One table, one sample after the other, and the rule `opencv` in its own words.
void equalize_by_one_table(const cv::Mat& in, cv::Mat& out) {
  const std::span from(in.ptr<std::uint16_t>(), in.total());
  auto* to = out.ptr<std::uint16_t>();
  std::vector<std::uint32_t> counts(65536);
  std::uint32_t* const table = counts.data();
  for (const std::uint16_t sample : from) ++table[sample];
  std::size_t first = 0;
  while (counts[first] == 0) ++first;
  std::vector<std::uint16_t> lut(65536);
  const auto scale = 65535.f / static_cast<float>(from.size() - counts[first]);
  std::uint64_t sum = 0;
  for (std::size_t i = first + 1; i < counts.size(); ++i) {
    sum += counts[i];
    lut[i] = cv::saturate_cast<std::uint16_t>(static_cast<float>(sum) * scale);
  }
  const std::uint16_t* const mapped = lut.data();
  for (const std::uint16_t sample : from) *to++ = mapped[sample];
}

struct Case {
  const char* target;
  const char* work;
  const char* peer_name;
  double target_ratio;
  unsigned threads;
  compute::EqualizeOptions options;
  std::function<void(const cv::Mat&, cv::Mat&)> peer;
};

void run_case(const Case& what, const Input& input, unsigned rounds, const Sink& sink) {
  Comparison comparison(input, what.threads);
  Row row{.target = what.target, .work = what.work, .input = input.label(), .peer = what.peer_name};
  row.values = take_turns(comparison.ours(what.options), comparison.peer(what.peer), rounds);
  row.target_ratio = what.target_ratio;
  if (!comparison.exact()) row.wrong = "the bytes differ from the peer's";
  sink.row(std::move(row));
}

Case equalize_8bit(double target_ratio) {
  return {"P1", "equalize, 1 thread", "cv::equalizeHist", target_ratio, 1, {}, [](const cv::Mat& in, cv::Mat& out) {
            cv::equalizeHist(in, out);
          }};
}

Case equalize_16bit() { return {"P1", "equalize, 1 thread", "one table, scalar", 2, 1, {}, equalize_by_one_table}; }

Case clahe(unsigned threads) {
  compute::EqualizeOptions options;
  options.method = compute::Method::clahe;
  return {"P6", "CLAHE 8x8, all threads", "cv::CLAHE", 1.5, threads, options, [](const cv::Mat& in, cv::Mat& out) {
            cv::createCLAHE(2.0, {8, 8})->apply(in, out);
          }};
}

void run_size(const Settings& settings, Size size, const Sink& sink) {
  std::vector<Input> inputs{noise(size, 8), noise(size, 16)};
  for (const int depth : {8, 16}) {
    if (auto photo = photograph(settings.photo, size, depth)) inputs.push_back(std::move(*photo));
  }
  if (inputs.size() == 2) sink.note(k_no_photograph);
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  for (const Input& input : inputs) {
    const bool narrow = input.pixels.depth() == CV_8U;
    sink.input(input.label(), digest(input.bytes()));
    run_case(narrow ? equalize_8bit(input.name == "noise" ? 2.5 : 3.5) : equalize_16bit(), input, settings.rounds,
             sink);
    run_case(clahe(threads), input, settings.rounds, sink);
  }
}

}  // namespace

void run_kernel_suite(const Settings& settings, const Sink& sink) {
  run_size(settings, settings.scale == Scale::tiny ? k_tiny : k_12mp, sink);
  if (settings.scale == Scale::full) run_size(settings, k_75mp, sink);
}

}  // namespace histod::bench
