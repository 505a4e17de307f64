// SPDX-License-Identifier: Apache-2.0
#include "daemon/topology.hpp"

#include <algorithm>
#include <cassert>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <type_traits>

#include <hwloc.h>

namespace histod::daemon {
namespace {

struct Destroy {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Hwloc = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, Destroy>;

struct FreeBitmap {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<std::remove_pointer_t<hwloc_bitmap_t>, FreeBitmap>;

Hwloc make_hwloc() {
  hwloc_topology_t raw = nullptr;
  return Hwloc(hwloc_topology_init(&raw) == 0 ? raw : nullptr);
}

/// The node of a CPU. Where several kinds of memory sit beside the same CPUs, hwloc lists plain RAM first.
hwloc_obj_t node_of(hwloc_topology_t topology, unsigned cpu) {
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
    if (hwloc_bitmap_isset(node->cpuset, cpu)) return node;
  }
  return nullptr;
}

struct GatheredNode {
  std::uint64_t memory_bytes = 0;
  std::map<unsigned, std::vector<int>> cores;  ///< by hwloc's logical index
};

std::expected<Topology, std::string> gather(hwloc_topology_t topology, hwloc_const_bitmap_t allowed) {
  std::map<int, GatheredNode> nodes;
  for (hwloc_obj_t pu = nullptr; (pu = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PU, pu)) != nullptr;) {
    if (!hwloc_bitmap_isset(allowed, pu->os_index)) continue;
    hwloc_obj* const node = node_of(topology, pu->os_index);
    hwloc_obj* const core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
    GatheredNode& to = nodes[node == nullptr ? -1 : static_cast<int>(node->os_index)];
    if (node != nullptr) to.memory_bytes = node->attr->numanode.local_memory;
    to.cores[core == nullptr ? pu->logical_index : core->logical_index].push_back(static_cast<int>(pu->os_index));
  }
  if (nodes.empty()) return std::unexpected("no CPU is left that this process may run on");
  Topology out;
  for (auto& [number, gathered] : nodes) {
    NumaNode node{number, {}, gathered.memory_bytes};
    for (auto& [index, cpus] : gathered.cores) node.cores.push_back(std::move(cpus));
    out.nodes.push_back(std::move(node));
  }
  return out;
}

/// Worker CPUs of a node in the order of preference: the first of each core, then the second of each, ...
std::vector<int> worker_order(const NumaNode& node) {
  std::vector<int> order;
  const std::size_t count = node.cpus().size();
  for (std::size_t thread = 0; order.size() < count; ++thread) {
    for (const auto& core : node.cores)
      if (thread < core.size()) order.push_back(core[thread]);
  }
  return order;
}

std::vector<std::size_t> workers_by_node(const Topology& topology, unsigned wanted) {
  std::vector<std::size_t> counts(topology.nodes.size(), 0);
  if (wanted == 0) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      counts[i] = std::clamp<std::size_t>(topology.nodes[i].cpus().size() / 4, 1, 4);
    }
    return counts;
  }
  std::size_t left = std::min<std::size_t>(wanted, topology.cpu_count());
  for (std::size_t i = 0; left > 0; i = (i + 1) % counts.size()) {
    if (counts[i] == topology.nodes[i].cpus().size()) continue;
    ++counts[i];
    --left;
  }
  return counts;
}

std::vector<int> arena_cpus(const NumaNode& node, const std::vector<int>& taken) {
  std::vector<int> all = node.cpus();
  if (all.size() <= 2) return all;
  const std::set<int> of_workers(taken.begin(), taken.end());
  std::vector<int> rest;
  std::ranges::copy_if(all, std::back_inserter(rest), [&](int cpu) { return !of_workers.contains(cpu); });
  return rest.empty() ? all : rest;
}

/// Node by node in turn, until there are enough or no arena has a CPU to spare.
void take_for_streams(Placement& placement, unsigned wanted) {
  const auto spare = [&](const ArenaPlace& arena) {
    const auto is_workers = [&](const WorkerPlace& worker) { return worker.cpu == arena.cpus.back(); };
    return arena.cpus.size() > 1 && std::ranges::none_of(placement.workers, is_workers);
  };
  for (bool more = true; more;) {
    more = false;
    for (std::size_t i = 0; i < placement.arenas.size() && placement.streams.size() < wanted; ++i) {
      ArenaPlace& arena = placement.arenas[i];
      if (!spare(arena)) continue;
      placement.streams.push_back({arena.cpus.back(), arena.numa_node, i});
      arena.cpus.pop_back();
      more = true;
    }
  }
}

}  // namespace

std::vector<int> NumaNode::cpus() const {
  std::vector<int> all;
  for (const auto& core : cores) all.insert(all.end(), core.begin(), core.end());
  std::ranges::sort(all);
  return all;
}

std::size_t Topology::cpu_count() const {
  return std::accumulate(nodes.begin(), nodes.end(), std::size_t{0},
                         [](std::size_t sum, const NumaNode& node) { return sum + node.cpus().size(); });
}

std::expected<Topology, std::string> read_topology() {
  const Hwloc topology = make_hwloc();
  if (!topology || hwloc_topology_load(topology.get()) != 0) return std::unexpected("hwloc cannot read this machine");
  const Bitmap allowed(hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology.get())));
  const Bitmap bound(hwloc_bitmap_alloc());
  // The affinity of the calling thread, which is that of the process as long as it is the only one.
  if (hwloc_get_cpubind(topology.get(), bound.get(), HWLOC_CPUBIND_THREAD) == 0) {
    hwloc_bitmap_and(allowed.get(), allowed.get(), bound.get());
  }
  return gather(topology.get(), allowed.get());
}

std::expected<Topology, std::string> synthetic_topology(const std::string& description) {
  const Hwloc topology = make_hwloc();
  if (!topology || hwloc_topology_set_synthetic(topology.get(), description.c_str()) != 0 ||
      hwloc_topology_load(topology.get()) != 0) {
    return std::unexpected("\"" + description + "\" is no synthetic topology");
  }
  return gather(topology.get(), hwloc_topology_get_allowed_cpuset(topology.get()));
}

std::expected<Topology, std::string> topology_from_xml(const std::string& xml) {
  const Hwloc topology = make_hwloc();
  if (!topology || hwloc_topology_set_xmlbuffer(topology.get(), xml.c_str(), static_cast<int>(xml.size() + 1)) != 0 ||
      hwloc_topology_load(topology.get()) != 0) {
    return std::unexpected("the XML is no topology that hwloc understands");
  }
  return gather(topology.get(), hwloc_topology_get_allowed_cpuset(topology.get()));
}

Placement place(const Topology& topology, const PlacementOptions& options) {
  assert(!topology.nodes.empty());
  Placement placement;
  const std::vector<std::size_t> counts = workers_by_node(topology, options.workers);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    const NumaNode& node = topology.nodes[i];
    std::vector<int> of_workers = worker_order(node);
    of_workers.resize(counts[i]);
    for (const int cpu : of_workers) {
      placement.workers.push_back({options.pin ? cpu : -1, options.pin ? node.numa_node : -1, placement.arenas.size()});
    }
    placement.arenas.push_back({options.pin ? node.numa_node : -1, arena_cpus(node, of_workers), 0});
  }
  if (options.pin) take_for_streams(placement, options.streams);
  for (ArenaPlace& arena : placement.arenas) {
    arena.threads = options.arena_threads == 0 ? static_cast<unsigned>(arena.cpus.size()) : options.arena_threads;
    if (!options.pin) arena.cpus.clear();
  }
  return placement;
}

bool Placement::arena_apart(std::size_t worker) const {
  const std::vector<int>& cpus = arenas[arena_of(worker)].cpus;
  return workers[worker].cpu >= 0 && !cpus.empty() && !std::ranges::binary_search(cpus, workers[worker].cpu);
}

unsigned Placement::distance(std::size_t worker, int cpu) const {
  const WorkerPlace& place = workers[worker];
  if (place.cpu < 0 || cpu < 0) return 2;
  if (place.cpu == cpu) return 0;
  const auto beside = [&](const WorkerPlace& other) { return other.arena == place.arena && other.cpu == cpu; };
  return std::ranges::binary_search(arenas[place.arena].cpus, cpu) || std::ranges::any_of(workers, beside) ? 1 : 2;
}

}  // namespace histod::daemon
