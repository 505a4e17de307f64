// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace histod::bench {

/// One of the requests that a soak mixes, and what its answer is, byte for byte.
struct SoakRequest {
  std::string target;
  std::span<const std::byte> body;
  std::span<const std::byte> expected;
  unsigned weight = 1;  ///< how often it comes, beside the others
};

/// What was seen of the daemon once a second.
struct SoakSample {
  double resident_mib = 0;
  double descriptors = 0;
};

struct SoakResult {
  std::vector<double> small_ms, large_ms;  ///< latencies of answers 200; small: a body of at most 256 KiB
  std::size_t refused = 0;                 ///< answers 503, after which a client waits a moment
  std::vector<SoakSample> samples;
  double seconds = 0;
  std::string wrong;  ///< the first answer that was neither the expected bytes nor 503; empty: none
};

struct SoakTarget {
  std::uint16_t port = 0;
  std::string authorization;
  std::function<SoakSample()> sample;
};

/// `clients` threads, each with a connection of its own, ask for one of `requests` after the other, at random from a
/// fixed seed, each as soon as it has its answer, for that time. Every byte of every answer is compared.
SoakResult soak(const SoakTarget& target, std::span<const SoakRequest> requests, unsigned clients, double seconds);

/// The medians of the second and of the last quarter of the samples: the first quarter is for warming up. Needs four
/// samples or more.
struct Drift {
  SoakSample before, after;
};
Drift drift_of(std::span<const SoakSample> samples);

}  // namespace histod::bench
