// SPDX-License-Identifier: Apache-2.0
// A large fleet without trouble, but for two deaths: what it asks of ZooKeeper, and how long it takes to be whole
// again.
#include <fmt/core.h>

#include "tests/sim/world.hpp"

namespace histod::sim {

using std::chrono::seconds;

namespace {

constexpr seconds k_idle{60};

double per_second(std::uint64_t count, seconds over) {
  return static_cast<double>(count) / static_cast<double>(over.count());
}

}  // namespace

std::uint64_t World::asked() const {
  std::uint64_t sum = 0;
  for (const auto& machine : machines_) sum += machine->asked.sum();
  return sum;
}

Machine* World::leader() {
  for (Machine* const machine : up())
    if (machine->process->fleet()->leads) return machine;
  return nullptr;
}

/// Until everybody else has taken over what was there, and every job has a copy again. Virtual seconds.
double World::bury(Machine& machine) {
  const auto died = loop_.now();
  crash(machine, true);
  const bool whole = drive([this] { return missing().empty(); }, seconds(3'600), "the fleet is whole again");
  return whole ? std::chrono::duration<double>(loop_.now() - died).count() : -1;
}

World::Scale World::measure() {
  Scale out;
  out.nodes = options_.nodes;
  drive([this] { return missing().empty(); }, seconds(300), "the fleet comes together");
  out.operations_to_form = asked();
  loop_.pass(k_idle);
  out.idle_per_node_and_second = per_second(asked() - out.operations_to_form, k_idle) / static_cast<double>(out.nodes);

  const std::uint64_t before = asked(), led_before = leader() ? leader()->asked.sum() : 0;
  const auto began = loop_.now();
  begin_clients();
  drive([this] { return clients_done(); }, seconds(3'600), "every request has an answer");
  out.images = accepted_.size();
  finish_datasets();
  out.work_s = std::chrono::duration<double>(loop_.now() - began).count();
  const double idle = out.idle_per_node_and_second * out.work_s * static_cast<double>(out.nodes);
  out.operations_for_images = static_cast<double>(asked() - before) - idle;
  Machine* const led = leader();
  if (led == nullptr) fail("nobody leads");
  if (led == nullptr) return out;
  out.leader_share = static_cast<double>(led->asked.sum() - led_before) / static_cast<double>(asked() - before);

  Machine* const other = up()[up().front() == led ? 1 : 0];
  out.recovery_s = bury(*other);
  out.leader_recovery_s = bury(*led);
  come_to_rest();
  judge();
  out.adopted = 0;
  for (Machine* const machine : up()) out.adopted += machine->process->engine().counts().adopted;
  out.failures = report_.failures;
  return out;
}

std::string World::Scale::text() const {
  return fmt::format(
      R"({{"nodes":{},"images":{},"operations_to_form":{},"idle_operations_per_node_and_second":{:.3f},)"
      R"("work_virtual_s":{:.1f},"operations_for_images":{:.0f},"operations_per_image":{:.5f},"leader_share":{:.4f},)"
      R"("adopted":{},"recovery_virtual_s":{:.1f},"leader_recovery_virtual_s":{:.1f},"wrong":{}}})",
      nodes, images, operations_to_form, idle_per_node_and_second, work_s, operations_for_images,
      images > 0 ? operations_for_images / static_cast<double>(images) : 0, leader_share, adopted, recovery_s,
      leader_recovery_s, failures.size());
}

}  // namespace histod::sim
