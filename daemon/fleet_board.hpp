// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace histod::daemon {

struct FleetSnapshot;

/// Where the fleet's thread leaves what it knows and all others read it, without waiting for each other's work.
class FleetBoard {
 public:
  using Listener = std::function<void(const FleetSnapshot& before, const FleetSnapshot& now)>;

  FleetBoard();
  /// Before the fleet's thread begins: called there at each publication.
  void listen(Listener listener) { listener_ = std::move(listener); }
  void publish(std::shared_ptr<const FleetSnapshot> snapshot);
  std::shared_ptr<const FleetSnapshot> read() const;  ///< never null

 private:
  Listener listener_;
  mutable std::mutex mutex_;
  std::shared_ptr<const FleetSnapshot> snapshot_;
};

}  // namespace histod::daemon
