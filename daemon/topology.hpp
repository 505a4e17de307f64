// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

namespace histod::daemon {

/// One NUMA node with the CPUs that this process may use. A node without such a CPU is not listed.
struct NumaNode {
  int numa_node = 0;                    ///< the system's number; -1: these CPUs are on none
  std::vector<std::vector<int>> cores;  ///< the system's CPU numbers by physical core; no core is empty
  std::uint64_t memory_bytes = 0;       ///< 0: unknown
  std::vector<int> cpus() const;        ///< ascending
};

struct Topology {
  std::vector<NumaNode> nodes;  ///< never empty; every CPU is on exactly one
  std::size_t cpu_count() const;
};

/// This machine, restricted to what affinity and cgroup allow.
std::expected<Topology, std::string> read_topology();
/// hwloc's synthetic notation, such as "numa:2 core:8 pu:2".
std::expected<Topology, std::string> synthetic_topology(const std::string& description);
/// A topology that `lstopo --of xml` wrote.
std::expected<Topology, std::string> topology_from_xml(const std::string& xml);

struct PlacementOptions {
  unsigned workers = 0;        ///< in all; 0: a quarter of each node's CPUs, at least 1 and at most 4 per node
  unsigned arena_threads = 0;  ///< per node; 0: one for each CPU of the arena
  bool pin = true;
  unsigned streams = 0;  ///< CPUs for live video, in all; each is taken from an arena that has another left
};

struct WorkerPlace {
  int cpu = -1;           ///< -1: not pinned
  int numa_node = -1;     ///< -1: not bound
  std::size_t arena = 0;  ///< index of the arena that serves it
};

struct ArenaPlace {
  int numa_node = -1;
  std::vector<int> cpus;  ///< ascending; empty: not pinned
  unsigned threads = 1;
};

/// A CPU that is a live stream's alone.
struct StreamPlace {
  int cpu = -1;
  int numa_node = -1;
  std::size_t arena = 0;  ///< index of the arena that makes its previews
};

/// Workers are listed node by node; there is one arena for each node that has a worker, in the order of
/// Topology::nodes.
struct Placement {
  std::vector<WorkerPlace> workers;
  std::vector<ArenaPlace> arenas;
  std::vector<StreamPlace> streams;  ///< may be fewer than were asked for; none where nothing is pinned
  /// Index of the arena that serves this worker.
  std::size_t arena_of(std::size_t worker) const { return workers[worker].arena; }
  /// Whether the worker has a CPU that its arena does not use; false where nothing is pinned.
  bool arena_apart(std::size_t worker) const;
  /// From the worker to a CPU: 0: it is its own, 1: of its node, 2: of another, or nobody knows.
  unsigned distance(std::size_t worker, int cpu) const;
};

/// Workers take the first CPU of a node's first physical cores; the arena gets the node's other CPUs, or all of them
/// where the node has two or fewer or the workers took every one. An explicit number of workers is dealt out node by
/// node in turn and never exceeds the number of CPUs. So are CPUs for live video, each the last of an arena's that is
/// no worker's. Without `pin`: the same numbers, no CPUs.
Placement place(const Topology& topology, const PlacementOptions& options);

}  // namespace histod::daemon
