// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "control/store.hpp"
#include "tests/sim/node_executor.hpp"

namespace histod::sim {

class Connection;

/// A node's way to the servers, which may be cut. Whoever is not heard of for his timeout, cut off, stopped or dead,
/// loses his session: first at the servers.
class Wire {
 public:
  explicit Wire(TestLoop& loop) : loop_(loop) {}
  void cut();
  void heal();
  bool is_cut() const { return cut_; }
  /// `inner` runs on the loop, as servers do, the rest on the process's thread.
  control::OpenStore opener(NodeExecutor& process, control::OpenStore inner);

 private:
  friend class Connection;
  TestLoop& loop_;
  bool cut_ = false;
  std::uint64_t cuts_ = 0;
  std::vector<std::weak_ptr<Connection>> connections_;
};

/// What the servers were asked.
struct Asked {
  std::uint64_t exists = 0, gets = 0, children = 0, multis = 0;
  std::uint64_t sum() const { return exists + gets + children + multis; }
};
/// What leaders have written, by the epochs that fenced it.
struct Fenced {
  std::uint64_t writes = 0;
  std::int32_t epoch = 0;
  bool ascending = true;
};
/// Counts on the way to the servers, and looks at what was done behind the fence of `epoch_path`.
control::OpenStore audited(control::OpenStore inner, std::string epoch_path, Asked& asked, Fenced& fenced);

}  // namespace histod::sim
