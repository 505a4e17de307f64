// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/soak.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "tools/histobench/failure.hpp"
#include "tools/histobench/http_client.hpp"
#include "tools/histobench/measure.hpp"

namespace histod::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t k_small_bytes = 256 * 1024;
constexpr std::chrono::milliseconds k_pause_when_refused{20};
constexpr unsigned k_ok = 200, k_busy = 503;

/// What is wrong with an answer, or nothing. A refusal is none.
std::string judge(const SoakRequest& request, const Reply& reply) {
  if (reply.status == k_busy) return "";
  if (reply.status != k_ok)
    return fmt::format("POST {} answers {}: {:.200}", request.target, reply.status, reply.text());
  return std::ranges::equal(reply.body, request.expected)
             ? ""
             : fmt::format("POST {} answers {} bytes that differ from the {} expected ones", request.target,
                           reply.body.size(), request.expected.size());
}

class Soak {
 public:
  Soak(const SoakTarget& target, std::span<const SoakRequest> requests) : target_(target), requests_(requests) {
    for (const SoakRequest& request : requests) weights_.push_back(request.weight);
  }

  SoakResult run(unsigned clients, double seconds) {
    const auto started = Clock::now();
    const auto end = started + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 0; i < clients; ++i) threads.emplace_back([this, i, end] { ask_until(end, i); });
      const auto step = (end - started) / std::max<std::int64_t>(k_samples_min, static_cast<std::int64_t>(seconds));
      for (auto next = started + step; next <= end && !failed_; next += step) {
        std::this_thread::sleep_until(next);
        result_.samples.push_back(target_.sample());
      }
    }
    result_.seconds = std::chrono::duration<double>(Clock::now() - started).count();
    return std::move(result_);
  }

 private:
  static constexpr std::int64_t k_samples_min = 4;

  void ask_until(Clock::time_point end, unsigned client) {
    std::mt19937 random(client);
    std::discrete_distribution<std::size_t> choice(weights_.begin(), weights_.end());
    try {
      HttpClient connection(target_.port, target_.authorization);
      while (Clock::now() < end && !failed_) ask(connection, requests_[choice(random)]);
    } catch (const Failure& failure) {
      note({}, 0, 0, failure.what());
    }
  }

  void ask(HttpClient& connection, const SoakRequest& request) {
    const auto sent = Clock::now();
    const Reply reply = connection.post(request.target, request.body);
    const double took_ms = std::chrono::duration<double, std::milli>(Clock::now() - sent).count();
    note(request.body, reply.status, took_ms, judge(request, reply));
    if (reply.status == k_busy) std::this_thread::sleep_for(k_pause_when_refused);
  }

  void note(std::span<const std::byte> body, unsigned status, double took_ms, const std::string& wrong) {
    const std::lock_guard lock(mutex_);
    if (!wrong.empty() && result_.wrong.empty()) result_.wrong = wrong;
    failed_ = failed_ || !wrong.empty();
    if (status == k_busy) ++result_.refused;
    if (status == k_ok) (body.size() <= k_small_bytes ? result_.small_ms : result_.large_ms).push_back(took_ms);
  }

  const SoakTarget& target_;
  const std::span<const SoakRequest> requests_;
  std::vector<double> weights_;
  std::mutex mutex_;
  std::atomic<bool> failed_ = false;
  SoakResult result_;
};

SoakSample median_of(std::span<const SoakSample> samples) {
  std::vector<double> resident, descriptors;
  for (const SoakSample& sample : samples) {
    resident.push_back(sample.resident_mib);
    descriptors.push_back(sample.descriptors);
  }
  return {median(resident), median(descriptors)};
}

}  // namespace

SoakResult soak(const SoakTarget& target, std::span<const SoakRequest> requests, unsigned clients, double seconds) {
  return Soak(target, requests).run(clients, seconds);
}

Drift drift_of(std::span<const SoakSample> samples) {
  const std::size_t quarter = samples.size() / 4;
  return {median_of(samples.subspan(quarter, quarter)), median_of(samples.last(quarter))};
}

}  // namespace histod::bench
