// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "control/executor.hpp"
#include "daemon/event_pump.hpp"
#include "daemon/peer_link.hpp"

namespace histod::daemon {

struct Services;

/// The other nodes over HTTP, through the first worker. Workers and executor outlive what is under way.
class HttpPeers final : public PeerLink {
 public:
  /// Of copy(): each holds an image in memory.
  static constexpr std::size_t k_copies_max = 4;

  HttpPeers(Services& services, control::Executor& executor) : services_(services), executor_(executor) {}

  void share(std::string node, AskedDataset dataset, Reply<jobs::Share> reply) override;
  void stage(std::string node, AskedDataset dataset, std::uint64_t revision, jobs::SharedTables tables,
             Reply<void> reply) override;
  void tables(std::string node, AskedDataset dataset, std::uint64_t revision, Reply<jobs::SharedTables> reply) override;
  void disown(std::string node, std::vector<std::string> ids, Reply<void> reply) override;
  void owned(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) override;
  void keep(std::string node, std::vector<std::string> ids, Reply<std::vector<std::string>> reply) override;
  /// Of which there are k_copies_max at one time; one more is refused.
  void copy(jobs::JobRecord record, Reply<void> reply) override;

 private:
  void ask_ids(const std::string& node, const std::string& target, const std::vector<std::string>& ids,
               Reply<std::vector<std::string>> reply);
  Services& services_;
  control::Executor& executor_;
  std::shared_ptr<std::size_t> copying_ = std::make_shared<std::size_t>(0);  ///< may outlive this
};

/// Events to the other nodes, the same way.
class HttpEvents final : public EventLink {
 public:
  HttpEvents(Services& services, control::Executor& executor) : services_(services), executor_(executor) {}
  void tell(std::string node, std::string message, jobs::Reply<std::uint64_t> have) override;

 private:
  Services& services_;
  control::Executor& executor_;
};

}  // namespace histod::daemon
