// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include <fmt/core.h>

#include "tests/sim/world.hpp"

namespace histod::sim {

using std::chrono::seconds;

namespace {

enum Kind : unsigned { crashes, stops, wires, peers, disks, slow, clocks, servers, k_kinds };

}  // namespace

/// Not each run has all of it: what goes with what is to differ.
Faults::Faults(World& world)
    : world_(world),
      enabled_(static_cast<unsigned>(1 + world.drawn((1u << k_kinds) - 1))),
      pause_(400 + world.drawn(6'000)) {}

void Faults::begin() {
  world_.network_.trouble = {static_cast<unsigned>(world_.drawn(25)), static_cast<unsigned>(world_.drawn(40)),
                             static_cast<unsigned>(world_.drawn(25))};
  world_.note(
      fmt::format("troubles {:08b}, each within {} ms; of 1000 messages {} get lost, {} come twice, {} are late",
                  enabled_, pause_.count(), world_.network_.trouble.lost_permille,
                  world_.network_.trouble.twice_permille, world_.network_.trouble.slow_permille));
  next();
}

void Faults::next() {
  world_.loop_.after(milliseconds(1 + world_.drawn(static_cast<std::uint64_t>(pause_.count()))), [this] {
    if (!world_.trouble_) return;
    one();
    next();
  });
}

void Faults::one() {
  if (!joined_ && world_.drawn(60) == 0) return join();
  Machine& machine = world_.some();
  if (!machine.process || busy_.contains(machine.number)) return;
  if (world_.drawn(5) == 0 && long_fault(machine)) return;
  short_fault(machine);
}

/// One after which others take over, at the most: it begins when what was before is mended, and a copy of all is left.
bool Faults::long_fault(Machine& machine) {
  if (long_under_way_ || !busy_.empty() || world_.up().size() < 3 || !world_.missing().empty()) return false;
  long_under_way_ = true;
  const auto takeover = world_.options_.settings.takeover_after;
  const milliseconds lasts = takeover + milliseconds(4'000 + world_.drawn(12'000));
  busy_.insert(machine.number);
  switch (world_.drawn(4)) {
    case 0:
      world_.crash(machine, true);
      end_long(machine, takeover);
      break;
    case 1:
      world_.crash(machine, false);
      restart(machine, lasts);
      end_long(machine, lasts + takeover);
      break;
    case 2:
      world_.note(fmt::format("{} is stopped for {} ms", machine.name, lasts.count()));
      ++world_.report_.stops;
      machine.process->executor().stop();
      go_on(machine, lasts);
      end_long(machine, lasts + takeover);
      break;
    default:
      world_.note(fmt::format("{} is cut off from the servers for {} ms", machine.name, lasts.count()));
      ++world_.report_.cuts;
      machine.wire.cut();
      if (world_.drawn(2) == 0) cut_peers(machine);
      heal_wire(machine, lasts);
      end_long(machine, lasts + takeover);
  }
  ++world_.report_.takeovers;
  machine.perhaps_given_up = true;
  return true;
}

void Faults::end_long(Machine& machine, milliseconds after) {
  world_.loop_.after(after, [this, &machine] {
    busy_.erase(machine.number);
    long_under_way_ = false;
  });
}

void Faults::restart(Machine& machine, milliseconds after) {
  world_.loop_.after(after, [this, &machine] {
    busy_.erase(machine.number);
    if (!machine.process && !machine.gone) world_.start(machine);
  });
}

void Faults::go_on(Machine& machine, milliseconds after) {
  world_.loop_.after(after, [this, &machine] {
    busy_.erase(machine.number);
    if (!machine.process || !machine.process->executor().stopped()) return;
    world_.note(machine.name + " goes on");
    machine.process->executor().go_on();
  });
}

void Faults::heal_wire(Machine& machine, milliseconds after) {
  world_.loop_.after(after, [this, &machine] {
    busy_.erase(machine.number);
    if (!machine.wire.is_cut()) return;
    world_.note(machine.name + " reaches the servers again");
    machine.wire.heal();
  });
}

/// From all others.
void Faults::cut_peers(Machine& machine) {
  for (const auto& other : world_.machines_) {
    if (other->number == machine.number) continue;
    world_.network_.cut(machine.number, other->number);
    world_.loop_.after(milliseconds(1'000 + world_.drawn(15'000)),
                       [this, a = machine.number, b = other->number] { world_.network_.heal(a, b); });
  }
}

/// A new node, without anything.
void Faults::join() {
  joined_ = true;
  world_.machines_.push_back(std::make_unique<Machine>(world_.around_, world_.machines_.size()));
  world_.start(*world_.machines_.back());
}

/// Shorter than what makes others take over, longer than a session at times.
void Faults::short_fault(Machine& machine) {
  const unsigned kind = static_cast<unsigned>(world_.drawn(k_kinds));
  if ((enabled_ >> kind & 1) == 0) return;
  const milliseconds lasts(100 + world_.drawn(4'500));
  const auto say = [&](std::string_view what) {
    world_.note(fmt::format("{} {} ({} ms)", machine.name, what, lasts.count()));
  };
  switch (kind) {
    case crashes:
      busy_.insert(machine.number);
      world_.crash(machine, false);
      return restart(machine, lasts);
    case stops:
      say("is stopped");
      ++world_.report_.stops;
      busy_.insert(machine.number);
      machine.process->executor().stop();
      return go_on(machine, lasts);
    case wires:
      say("is cut off from the servers");
      ++world_.report_.cuts;
      busy_.insert(machine.number);
      machine.wire.cut();
      return heal_wire(machine, lasts);
    case peers: {
      const std::size_t other = world_.some().number;
      if (other == machine.number) return cut_peers(machine);
      say(fmt::format("does not reach node {}", other));
      world_.network_.cut(machine.number, other);
      return world_.loop_.after(lasts * 4, [this, a = machine.number, b = other] { world_.network_.heal(a, b); });
    }
    case disks:
      say("has a disk that fails once");
      ++world_.report_.disk_failures;
      machine.memory->fail_at = machine.memory->calls + world_.drawn(12);
      machine.memory->failure =
          std::make_error_code(world_.drawn(2) == 0 ? std::errc::io_error : std::errc::no_space_on_device);
      return;
    case slow:
      say("has a slow disk");
      machine.slow_until = world_.loop_.now() + lasts * 2;
      return;
    case clocks:
      machine.clock_ms += static_cast<std::int64_t>(world_.drawn(10 * 3'600'000)) - 5 * 3'600'000;
      return say("has another time");
    default:
      world_.note("the servers are hard to reach");
      world_.store_faults_.drop_permille = 20;
      world_.store_faults_.expire_permille = 200;
      world_.store_faults_.delay_max_ms = milliseconds(150);
      world_.loop_.after(lasts, [this] {
        world_.store_faults_.drop_permille = 0;
        world_.store_faults_.delay_max_ms = milliseconds(10);
      });
  }
}

}  // namespace histod::sim
