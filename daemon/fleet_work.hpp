// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "daemon/announcer.hpp"
#include "daemon/coordinator.hpp"
#include "daemon/custody.hpp"
#include "daemon/fleet_node.hpp"

namespace histod::daemon {

/// What a node does for its fleet: datasets, and whose jobs are whose.
class FleetWork final : public FleetTask {
 public:
  struct Settings {
    Custody::Settings custody;
    Coordinator::Settings datasets;
  };

  FleetWork(const FleetParts& parts, const Settings& settings, jobs::Engine& engine, std::unique_ptr<PeerLink> link,
            std::unique_ptr<WebhookCaller> caller, Log& log, Coordinator::NowMs now)
      : link_(std::move(link)),
        caller_(std::move(caller)),
        custody_(parts.session, parts.paths, parts.membership, parts.election, engine, *link_, log, settings.custody),
        coordinator_(parts.session, parts.paths, parts.membership, parts.election, custody_, engine, *link_, log,
                     std::move(now), settings.datasets),
        announcer_(parts.session.executor(), parts.election, coordinator_, caller_.get(), log) {}
  Coordinator& coordinator() { return coordinator_; }

  void start() override {
    custody_.start();
    coordinator_.start();
  }
  void tick() override {
    custody_.tick();
    coordinator_.tick();
    announcer_.tick();
  }

 private:
  std::unique_ptr<PeerLink> link_;
  std::unique_ptr<WebhookCaller> caller_;
  Custody custody_;
  Coordinator coordinator_;
  Announcer announcer_;
};

}  // namespace histod::daemon
