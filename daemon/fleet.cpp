// SPDX-License-Identifier: Apache-2.0
#include "daemon/fleet.hpp"

#include <chrono>
#include <utility>

#include "control/zk_store.hpp"
#include "daemon/wall_clock.hpp"

namespace histod::daemon {

namespace {

std::string joined(const std::vector<std::string>& servers) {
  std::string text;
  for (const std::string& server : servers) text += (text.empty() ? "" : ",") + server;
  return text;
}

}  // namespace

Fleet::Fleet(Options options, Log& log, FleetBoard& board, jobs::Engine& engine, MakeLink make_link,
             MakeCaller make_caller, MakePump make_pump)
    : executor_("histod-fleet") {
  executor_.post([this, options = std::move(options), &log, &board, &engine, make_link = std::move(make_link),
                  make_caller = std::move(make_caller), make_pump = std::move(make_pump)] {
    const auto make_work = [&](const FleetParts& parts) {
      auto work = std::make_unique<FleetWork>(parts, options.work, engine, make_link(executor_), make_caller(executor_),
                                              log, wall_clock_ms);
      coordinator_ = &work->coordinator();
      return work;
    };
    node_ =
        std::make_unique<FleetNode>(executor_, opener(options), options.settings, log, board, wall_clock_ms, make_work);
    node_->start();
    if (make_pump) pump_ = make_pump(executor_);
  });
}

Fleet::~Fleet() { stop(); }

control::OpenStore Fleet::opener(const Options& options) {
  if (!options.settings.servers.empty())
    return control::zookeeper_opener(executor_,
                                     {joined(options.settings.servers), options.session_timeout, options.credential});
  return alone_.emplace(executor_).opener({options.session_timeout, {}});
}

void Fleet::leave() {
  executor_.post([this] {
    coordinator_ = nullptr;
    node_.reset();
    pump_.reset();
  });
}

bool Fleet::stop_within(std::chrono::milliseconds at_most) {
  leave();
  return executor_.stop_within(at_most);
}

void Fleet::stop() {
  leave();
  executor_.stop();
}

}  // namespace histod::daemon
