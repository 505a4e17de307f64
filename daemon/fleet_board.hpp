// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>

namespace histod::daemon {

struct FleetSnapshot;

/// Where the fleet's thread leaves what it knows and all others read it, without waiting for each other's work.
class FleetBoard {
 public:
  FleetBoard();
  void publish(std::shared_ptr<const FleetSnapshot> snapshot);
  std::shared_ptr<const FleetSnapshot> read() const;  ///< never null

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const FleetSnapshot> snapshot_;
};

}  // namespace histod::daemon
