// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the tools of a rollout say, as events. Pure: no clock, no I/O; an event without a time of the tool's has none.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "daemon/telemetry/event.hpp"

namespace histod::daemon::telemetry {

/// What is longer becomes one event that says so.
inline constexpr std::size_t k_line_bytes_max = 2 * 1'024 * 1'024;

/// One stream of a tool's output; for one thread. It takes whatever it is given: unknown types and members of a tool's
/// newer version, lines that are not the tool's, truncated ones. Every event is within the bounds of event_trouble(),
/// and all of its text has gone through redact.hpp.
///
/// An event's id is a digest of tool, rolloutid, place in the stream and text, so that the same recording gives the
/// same events every time. Its source is "/rollout/TOOL".
class Normalizer {
 public:
  virtual ~Normalizer() = default;

  /// A line without its end. A JSON document that is printed over several lines, the first being "{" and the last
  /// "}", is put together.
  virtual std::vector<Event> feed(std::string_view line) = 0;
  /// The stream has ended: what was held back, once.
  virtual std::vector<Event> end() = 0;
};

struct NormalizerOptions {
  std::string rolloutid = {};  ///< of all events; empty: the tool's own, where it has one
};

/// "terraform", "tinkerbell", "ansible", "kubeadm" (and kubelet), "k8s", "argocd", "flux", "systemd".
std::span<const std::string_view> normalizer_tools();
/// Null: there is no such tool.
std::unique_ptr<Normalizer> make_normalizer(std::string_view tool, NormalizerOptions options);

/// The whole body of a request (a webhook's): one JSON document, an array of them, or lines; end() is called.
std::vector<Event> normalize_body(Normalizer& normalizer, std::string_view body);

}  // namespace histod::daemon::telemetry
