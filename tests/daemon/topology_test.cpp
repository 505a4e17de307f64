// SPDX-License-Identifier: Apache-2.0
#include "daemon/topology.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>

namespace histod::daemon {
namespace {

Topology synthetic(const std::string& description) {
  const auto topology = synthetic_topology(description);
  EXPECT_TRUE(topology) << topology.error();
  return topology ? *topology : Topology{};
}

const NumaNode& node_with(const Topology& topology, int numa_node) {
  return *std::ranges::find(topology.nodes, numa_node, &NumaNode::numa_node);
}

bool contains(const std::vector<int>& cpus, int cpu) { return std::ranges::find(cpus, cpu) != cpus.end(); }

TEST(TopologyTest, TwoSocketsOfEightCores) {
  const Topology topology = synthetic("numa:2 core:8 pu:2");
  ASSERT_EQ(topology.nodes.size(), 2u);
  EXPECT_EQ(topology.cpu_count(), 32u);
  for (const NumaNode& node : topology.nodes) {
    EXPECT_EQ(node.cores.size(), 8u);
    EXPECT_GT(node.memory_bytes, 0u);
    for (const auto& core : node.cores) EXPECT_EQ(core.size(), 2u);
  }
  const Placement placement = place(topology, {});
  ASSERT_EQ(placement.workers.size(), 8u);
  ASSERT_EQ(placement.arenas.size(), 2u);
  EXPECT_EQ(placement.arenas[0].cpus.size(), 12u);
  EXPECT_EQ(placement.arenas[0].threads, 12u);
}

TEST(TopologyTest, OneCpuServesBoth) {
  const Placement placement = place(synthetic("numa:1 core:1 pu:1"), {});
  ASSERT_EQ(placement.workers.size(), 1u);
  EXPECT_EQ(placement.workers[0].cpu, 0);
  EXPECT_EQ(placement.arenas.at(0).cpus, std::vector<int>{0});
}

TEST(TopologyTest, TwoCpusAreSharedByWorkerAndArena) {
  const Placement placement = place(synthetic("numa:1 core:2 pu:1"), {});
  EXPECT_EQ(placement.workers.size(), 1u);
  EXPECT_EQ(placement.arenas.at(0).cpus, (std::vector<int>{0, 1}));
  EXPECT_EQ(place(synthetic("numa:1 core:3 pu:1"), {}).arenas.at(0).cpus, (std::vector<int>{1, 2}));
}

TEST(TopologyTest, StreamsHaveCpusThatAreNobodyElses) {
  const Placement placement = place(synthetic("numa:2 core:8 pu:2"), {.streams = 3});
  ASSERT_EQ(placement.streams.size(), 3u);
  EXPECT_EQ(placement.streams[0].arena, 0u);
  EXPECT_EQ(placement.streams[1].arena, 1u);
  EXPECT_EQ(placement.streams[2].arena, 0u);
  EXPECT_EQ(placement.arenas[0].cpus.size(), 10u);
  EXPECT_EQ(placement.arenas[0].threads, 10u);
  EXPECT_EQ(placement.arenas[1].threads, 11u);
  for (const StreamPlace& stream : placement.streams) {
    EXPECT_EQ(stream.numa_node, placement.arenas[stream.arena].numa_node);
    for (const ArenaPlace& arena : placement.arenas) EXPECT_FALSE(contains(arena.cpus, stream.cpu));
    for (const WorkerPlace& worker : placement.workers) EXPECT_NE(worker.cpu, stream.cpu);
  }
}

TEST(TopologyTest, StreamsLeaveEachArenaACpu) {
  const Placement two = place(synthetic("numa:1 core:2 pu:1"), {.streams = 4});
  ASSERT_EQ(two.streams.size(), 1u) << "the other one is the worker's and the arena's";
  EXPECT_EQ(two.streams[0].cpu, 1);
  EXPECT_EQ(two.arenas.at(0).cpus, std::vector<int>{0});
  EXPECT_TRUE(place(synthetic("numa:1 core:1 pu:1"), {.streams = 4}).streams.empty());
  EXPECT_EQ(place(synthetic("numa:1 core:4 pu:1"), {.streams = 9}).streams.size(), 2u);
  const Placement loose = place(synthetic("numa:1 core:4 pu:1"), {.pin = false, .streams = 2});
  EXPECT_TRUE(loose.streams.empty());
  EXPECT_EQ(loose.arenas.at(0).threads, 3u);
}

TEST(TopologyTest, WorkersTakeWholeCoresFirst) {
  const Topology topology = synthetic("numa:1 core:4 pu:2");
  const Placement placement = place(topology, {.workers = 5});
  std::vector<int> cpus;
  for (const WorkerPlace& worker : placement.workers) cpus.push_back(worker.cpu);
  const auto& cores = topology.nodes[0].cores;
  EXPECT_EQ(cpus, (std::vector<int>{cores[0][0], cores[1][0], cores[2][0], cores[3][0], cores[0][1]}));
}

TEST(TopologyTest, ExplicitWorkersAreDealtOutOverTheNodes) {
  const Topology topology = synthetic("numa:4 core:2 pu:1");
  std::map<int, int> by_node;
  for (const WorkerPlace& worker : place(topology, {.workers = 6}).workers) ++by_node[worker.numa_node];
  EXPECT_EQ(by_node, (std::map<int, int>{{0, 2}, {1, 2}, {2, 1}, {3, 1}}));
  const Placement one = place(topology, {.workers = 1});
  EXPECT_EQ(one.workers.size(), 1u);
  EXPECT_EQ(one.arenas.size(), 1u);  // the nodes without a worker have nothing to compute
  EXPECT_EQ(place(topology, {.workers = 1000}).workers.size(), 8u);
}

TEST(TopologyTest, WithoutPinningOnlyTheNumbersCount) {
  const Topology topology = synthetic("numa:2 core:8 pu:2");
  const Placement pinned = place(topology, {}), loose = place(topology, {.pin = false});
  ASSERT_EQ(loose.workers.size(), pinned.workers.size());
  ASSERT_EQ(loose.arenas.size(), pinned.arenas.size());
  for (std::size_t i = 0; i < loose.workers.size(); ++i) {
    EXPECT_EQ(loose.workers[i].cpu, -1);
    EXPECT_EQ(loose.workers[i].numa_node, -1);
    EXPECT_EQ(loose.arena_of(i), pinned.arena_of(i));
  }
  for (std::size_t i = 0; i < loose.arenas.size(); ++i) {
    EXPECT_TRUE(loose.arenas[i].cpus.empty());
    EXPECT_EQ(loose.arenas[i].threads, pinned.arenas[i].threads);
  }
}

using Case = std::tuple<std::string, unsigned>;
class PlacementInvariants : public testing::TestWithParam<Case> {};

TEST_P(PlacementInvariants, Hold) {
  const auto& [description, workers] = GetParam();
  const Topology topology = synthetic(description);
  const Placement placement = place(topology, {.workers = workers, .arena_threads = 0});
  ASSERT_FALSE(placement.workers.empty());
  std::set<int> worker_cpus, arena_cpus, arena_nodes;
  for (std::size_t i = 0; i < placement.workers.size(); ++i) {
    const WorkerPlace& worker = placement.workers[i];
    EXPECT_TRUE(contains(node_with(topology, worker.numa_node).cpus(), worker.cpu)) << "a worker is not on its node";
    EXPECT_TRUE(worker_cpus.insert(worker.cpu).second) << "two workers on CPU " << worker.cpu;
    ASSERT_LT(placement.arena_of(i), placement.arenas.size());
    EXPECT_EQ(placement.arenas[placement.arena_of(i)].numa_node, worker.numa_node);
  }
  for (const ArenaPlace& arena : placement.arenas) {
    const std::vector<int> node_cpus = node_with(topology, arena.numa_node).cpus();
    EXPECT_TRUE(arena_nodes.insert(arena.numa_node).second) << "two arenas on one node";
    EXPECT_FALSE(arena.cpus.empty());
    EXPECT_EQ(arena.threads, arena.cpus.size());
    EXPECT_TRUE(std::ranges::is_sorted(arena.cpus));
    std::size_t shared = 0;
    for (const int cpu : arena.cpus) {
      EXPECT_TRUE(contains(node_cpus, cpu)) << "an arena leaves its node";
      EXPECT_TRUE(arena_cpus.insert(cpu).second) << "CPU " << cpu << " is in two arenas";
      shared += worker_cpus.contains(cpu);
    }
    const bool all_shared = arena.cpus == node_cpus;
    EXPECT_TRUE(shared == 0 || all_shared);
    EXPECT_TRUE(all_shared || node_cpus.size() > 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, PlacementInvariants,
                         testing::Combine(testing::Values("numa:2 core:8 pu:2", "numa:2 core:8 pu:1",
                                                          "numa:1 core:1 pu:1", "numa:1 core:1 pu:2",
                                                          "numa:4 core:6 pu:2", "numa:1 core:64 pu:2",
                                                          "numa:8 core:1 pu:1", "numa:1 core:3 pu:1",
                                                          "pack:2 numa:2 l3:2 core:4 pu:2", "core:6 pu:1"),
                                          testing::Values(0u, 1u, 3u, 7u, 64u)));

TEST(TopologyTest, WorkersPerNodeFollowTheRule) {
  for (const auto& [cores, expected] :
       std::map<int, std::size_t>{{1, 1}, {4, 1}, {7, 1}, {8, 2}, {12, 3}, {16, 4}, {64, 4}}) {
    const Topology topology = synthetic("numa:2 core:" + std::to_string(cores) + " pu:1");
    EXPECT_EQ(place(topology, {}).workers.size(), 2 * expected) << cores;
  }
  EXPECT_EQ(place(synthetic("numa:1 core:8 pu:1"), {.arena_threads = 3}).arenas.at(0).threads, 3u);
}

/// As containers and some firmware show a machine: no NUMA node at all in the description.
constexpr const char* k_xml_without_numa = R"(<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
 <object type="Machine" os_index="0" cpuset="0x0000000f" complete_cpuset="0x0000000f" allowed_cpuset="0x0000000d"
   nodeset="0x00000001" complete_nodeset="0x00000001" allowed_nodeset="0x00000001" gp_index="1">
  <object type="Core" os_index="0" cpuset="0x00000003" complete_cpuset="0x00000003" nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="2">
   <object type="PU" os_index="0" cpuset="0x00000001" complete_cpuset="0x00000001" nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="3"/>
   <object type="PU" os_index="1" cpuset="0x00000002" complete_cpuset="0x00000002" nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="4"/>
  </object>
  <object type="Core" os_index="1" cpuset="0x0000000c" complete_cpuset="0x0000000c" nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="5">
   <object type="PU" os_index="2" cpuset="0x00000004" complete_cpuset="0x00000004" nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="6"/>
   <object type="PU" os_index="3" cpuset="0x00000008" complete_cpuset="0x00000008" nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="7"/>
  </object>
 </object>
</topology>)";

/// Whether the worker may leave work to the arena and go on by itself at the same time.
TEST(PlacementTest, AnArenaIsApartWhereItHasOtherCpusThanTheWorker) {
  const struct {
    const char* machine;
    bool pin;
    bool apart;
  } cases[] = {{"core:8 pu:1", true, true},   {"core:4 pu:1", true, true},  {"numa:2 core:4 pu:2", true, true},
               {"core:8 pu:1", false, false}, {"core:2 pu:1", true, false}, {"core:1 pu:1", true, false}};
  for (const auto& c : cases) {
    const auto topology = synthetic_topology(c.machine);
    ASSERT_TRUE(topology) << c.machine;
    const Placement placement = place(*topology, {.pin = c.pin});
    ASSERT_FALSE(placement.workers.empty());
    for (std::size_t i = 0; i < placement.workers.size(); ++i)
      EXPECT_EQ(placement.arena_apart(i), c.apart) << c.machine << (c.pin ? "" : " not pinned");
  }
}

/// Against the definition, told by the nodes of the machine: own CPU, own node, another.
TEST(PlacementTest, DistanceFromAWorkerToACpu) {
  for (const char* machine : {"numa:2 core:4 pu:2", "numa:4 core:2 pu:1", "numa:1 core:8 pu:2", "numa:2 core:1 pu:1"}) {
    const Topology topology = synthetic(machine);
    for (const unsigned workers : {0u, 2u, 5u, 64u}) {
      const Placement placement = place(topology, {.workers = workers});
      for (std::size_t i = 0; i < placement.workers.size(); ++i) {
        const WorkerPlace& worker = placement.workers[i];
        for (const NumaNode& node : topology.nodes)
          for (const int cpu : node.cpus()) {
            const unsigned expected = cpu == worker.cpu ? 0 : node.numa_node == worker.numa_node ? 1 : 2;
            EXPECT_EQ(placement.distance(i, cpu), expected) << machine << ", worker " << i << ", CPU " << cpu;
          }
        EXPECT_EQ(placement.distance(i, -1), 2u) << "the kernel did not say";
        EXPECT_EQ(placement.distance(i, 1000), 2u) << "a CPU that is not ours";
      }
    }
    const Placement loose = place(topology, {.pin = false});
    for (std::size_t i = 0; i < loose.workers.size(); ++i) EXPECT_EQ(loose.distance(i, 0), 2u) << "nothing is pinned";
  }
}

/// Memory, workers and arena of a node stay together: on no machine does work cross from one node to another.
TEST(PlacementTest, EachNodeIsServedByItself) {
  for (const char* machine : {"numa:2 core:4 pu:2", "numa:4 core:6 pu:2", "numa:8 core:1 pu:1"}) {
    const Topology topology = synthetic(machine);
    const Placement placement = place(topology, {});
    ASSERT_EQ(placement.arenas.size(), topology.nodes.size()) << machine;
    for (const NumaNode& node : topology.nodes) {
      std::set<int> used;
      for (std::size_t i = 0; i < placement.workers.size(); ++i) {
        if (placement.workers[i].numa_node != node.numa_node) continue;
        used.insert(placement.workers[i].cpu);
        const ArenaPlace& arena = placement.arenas[placement.arena_of(i)];
        EXPECT_EQ(arena.numa_node, node.numa_node) << machine;
        used.insert(arena.cpus.begin(), arena.cpus.end());
      }
      const std::vector<int> cpus = node.cpus();
      EXPECT_EQ(used, std::set<int>(cpus.begin(), cpus.end())) << machine << ": no CPU of a node is idle";
    }
  }
}

TEST(TopologyTest, ADescriptionWithoutANodeIsRefused) {
  const auto topology = topology_from_xml(k_xml_without_numa);
  ASSERT_FALSE(topology);
  EXPECT_EQ(topology.error(), "the XML is no topology that hwloc understands");
}

TEST(TopologyTest, CpusThatAreNotAllowedAreLeftOut) {
  std::string xml = k_xml_without_numa;
  const std::string node =
      R"(<object type="NUMANode" os_index="0" cpuset="0x0000000f" complete_cpuset="0x0000000f" nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="8" local_memory="1048576"/>)";
  xml.insert(xml.find("<object type=\"Core\""), node);
  const auto topology = topology_from_xml(xml);
  ASSERT_TRUE(topology) << topology.error();
  ASSERT_EQ(topology->nodes.size(), 1u);
  EXPECT_EQ(topology->nodes[0].memory_bytes, 1048576u);
  EXPECT_EQ(topology->nodes[0].cpus(), (std::vector<int>{0, 2, 3}));
  EXPECT_EQ(topology->nodes[0].cores.size(), 2u);
}

TEST(TopologyTest, NonsenseIsRefused) {
  EXPECT_FALSE(synthetic_topology("no such thing"));
  EXPECT_FALSE(synthetic_topology(""));
  EXPECT_FALSE(topology_from_xml("<topology>"));
  EXPECT_FALSE(topology_from_xml(""));
}

TEST(TopologyTest, ThisMachineIsWhatTheKernelAllows) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  const auto topology = read_topology();
  ASSERT_TRUE(topology) << topology.error();
  std::set<int> found;
  for (const NumaNode& node : topology->nodes) {
    for (const int cpu : node.cpus()) {
      EXPECT_TRUE(found.insert(cpu).second) << "a CPU on two nodes";
      EXPECT_TRUE(CPU_ISSET(static_cast<std::size_t>(cpu), &allowed));
    }
  }
  EXPECT_EQ(found.size(), static_cast<std::size_t>(CPU_COUNT(&allowed)));
}

TEST(TopologyTest, AffinityIsRespected) {
  cpu_set_t allowed, one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  int cpu = CPU_SETSIZE - 1;
  while (!CPU_ISSET(static_cast<std::size_t>(cpu), &allowed)) --cpu;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(cpu), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  const auto topology = read_topology();
  ASSERT_EQ(::sched_setaffinity(0, sizeof allowed, &allowed), 0);
  ASSERT_TRUE(topology) << topology.error();
  ASSERT_EQ(topology->nodes.size(), 1u);
  EXPECT_EQ(topology->nodes[0].cpus(), std::vector<int>{cpu});
}

}  // namespace
}  // namespace histod::daemon
