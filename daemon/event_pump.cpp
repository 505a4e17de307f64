// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_pump.hpp"

#include <algorithm>
#include <utility>

#include "daemon/event_message.hpp"
#include "daemon/fleet_snapshot.hpp"

namespace histod::daemon {

namespace {

constexpr std::chrono::milliseconds k_gather{50};  ///< what is published in this time goes in one message
constexpr std::chrono::seconds k_look_again{1};
constexpr std::chrono::milliseconds k_pause_min{500}, k_pause_max{15'000};

}  // namespace

EventPump::EventPump(control::Executor& executor, telemetry::Bus& bus, const FleetBoard& board,
                     std::unique_ptr<EventLink> link, PumpStats& stats)
    : executor_(executor), bus_(bus), board_(board), stats_(stats), link_(std::move(link)) {
  auto wake = lifetime_.guard([this] { woken(); });
  subscription_ = bus_.subscribe([&executor, wake] { executor.post(wake); });
  executor_.post(lifetime_.guard([this] { tick(); }));
}

void EventPump::tick() {
  look();
  tell_all();
  executor_.after(k_look_again, lifetime_.guard([this] { tick(); }));
}

/// Who is a member now. What one has is asked again when he comes back.
void EventPump::look() {
  const auto fleet = board_.read();
  std::map<std::string, Peer> now;
  for (const control::Member& member : fleet->members) {
    if (member.name == fleet->self || member.identity.empty() || member.identity == bus_.identity()) continue;
    const auto known = peers_.find(member.identity);
    Peer& peer = now[member.identity] = known == peers_.end() ? Peer() : std::move(known->second);
    peer.name = member.name;
  }
  peers_ = std::move(now);
}

void EventPump::woken() {
  if (std::exchange(wake_comes_, true)) return;
  executor_.after(k_gather, lifetime_.guard([this] {
    wake_comes_ = false;
    subscription_->reading();
    tell_all();
  }));
}

void EventPump::tell_all() {
  for (auto& [identity, peer] : peers_) tell(identity, peer);
}

void EventPump::tell(const std::string& identity, Peer& peer) {
  if (peer.asking || executor_.now() < peer.not_before) return;
  const std::uint64_t after = peer.have.value_or(0);
  std::vector<telemetry::EventPtr> events;
  if (peer.have) {
    events = bus_.read_own(after, k_told_events_max, k_told_bytes_max);
    if (events.empty()) return;
  }
  peer.asking = true;
  const std::uint64_t last = events.empty() ? after : events.back()->origin_sequence;
  auto reply =
      lifetime_.guard([this, identity, after, last, count = events.size()](const jobs::Outcome<std::uint64_t>& have) {
        heard(identity, after, last, count, have);
      });
  link_->tell(peer.name, event_message_text(bus_.identity(), after, events), std::move(reply));
}

void EventPump::heard(const std::string& identity, std::uint64_t after, std::uint64_t last, std::size_t events,
                      const jobs::Outcome<std::uint64_t>& have) {
  const auto found = peers_.find(identity);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  peer.asking = false;
  // Who had to take something and says that he is where he was would be told the same for ever.
  const bool good = have && (events == 0 || *have != after);
  if (!good) {
    ++stats_.failures;
    peer.have.reset();
    peer.pause = std::clamp(peer.pause * 2, k_pause_min, k_pause_max);
    peer.not_before = executor_.now() + peer.pause;
    return;
  }
  if (*have >= last) stats_.told += events;
  peer.have = *have;
  peer.pause = std::chrono::milliseconds(0);
  tell(identity, peer);
}

}  // namespace histod::daemon
