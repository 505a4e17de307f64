// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/peers.hpp"
#include "net/http/server.hpp"
#include "tests/daemon/api_rig.hpp"
#include "tests/support/scripted_server.hpp"

/// Several nodes in one program that reach each other over loopback; the test says who is a member.
namespace histod::test {

/// An identity that a test can read.
inline std::string identity_of(const std::string& name) { return std::string(26 - name.size(), '0') + name; }

/// One node: an ApiRig that listens.
class ListeningRig {
 public:
  explicit ListeningRig(const std::string& name) : name_(name) {
    rig.options.node_name = name;
    rig.services.identity = identity_of(name);
    rig.begin_events(identity_of(name));
    rig.services.peers = std::make_unique<const daemon::Peers>(rig.services.fleet, std::string(k_peer_token));
    rig.at_worker([this] {
      const auto on_accept = [this](int fd) { EXPECT_TRUE(rig.worker().adopt(fd, nullptr)); };
      listener_ = std::move(net::http::Listener::open(rig.worker().io(), "127.0.0.1", 0, on_accept).value());
    });
  }
  ~ListeningRig() {
    rig.at_worker([this] { listener_.reset(); });
    rig.worker().stop_and_join();
  }
  const std::string& name() const { return name_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(listener_->port()); }

  ApiRig rig;

 private:
  const std::string name_;
  std::unique_ptr<net::http::Listener> listener_;
};

class FleetRig {
 public:
  explicit FleetRig(std::size_t nodes) {
    for (std::size_t i = 1; i <= nodes; ++i) nodes_.push_back(std::make_unique<ListeningRig>("N" + std::to_string(i)));
    publish();
  }
  ApiRig& operator[](std::size_t index) { return nodes_[index]->rig; }

  /// What all nodes see from now on; `more` are members by name, with their addresses, beside the nodes that live or
  /// instead of them.
  void publish(const std::map<std::string, std::string>& more = {}) {
    std::map<std::string, std::string> members = more;
    for (const auto& node : nodes_) members.emplace(node->name(), node->url());
    for (const auto& node : nodes_) {
      daemon::FleetSnapshot fleet;
      fleet.state = control::SessionState::connected;
      fleet.servers = {"zk1:2181"};
      fleet.self = node->name();
      for (const auto& [name, url] : members)
        fleet.members.push_back({.name = name, .identity = identity_of(name), .address = url});
      node->rig.services.fleet.publish(std::make_shared<const daemon::FleetSnapshot>(std::move(fleet)));
    }
  }

 private:
  std::vector<std::unique_ptr<ListeningRig>> nodes_;
};

/// A dataset that this node knows of, as the fleet would have told it.
inline std::string make_dataset(ApiRig& node, const std::string& id = "01ARYZ6S41TSV4RRFFQ69G5FAV") {
  daemon::jobs::DatasetRecord record;
  record.id = id;
  record.name = "walls";
  record.created_ms = record.changed_ms = EngineRig::k_start_ms;
  const auto made = node.engine_rig.ask<daemon::jobs::DatasetStatus>(&daemon::jobs::Engine::put_dataset, record,
                                                                     daemon::jobs::SharedTables());
  EXPECT_TRUE(made) << made.error().detail;
  return id;
}

inline std::string url_of(const ScriptedServer& server) { return "http://127.0.0.1:" + std::to_string(server.port()); }

}  // namespace histod::test
