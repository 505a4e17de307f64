# SPDX-License-Identifier: Apache-2.0
"""The daemon on a machine of two nodes, which hwloc makes of two CPUs of this one: who runs where, and who answers.
HWLOC_THISSYSTEM keeps the affinity real, so that threads are pinned for good; memory cannot be bound to a node that is
not there, and the daemon says so."""
import concurrent.futures
import json
import os
import pathlib
import unittest

import images
from harness import Daemon, main

CPUS = sorted(os.sched_getaffinity(0))
TWO_NODES = {"HWLOC_SYNTHETIC": "numa:2 core:1 pu:1", "HWLOC_THISSYSTEM": "1"}


def threads(daemon):
    """Names and CPUs of all threads. Those of the arenas have the name of whoever started them, and are pinned while
    they are in an arena only: tests/compute/arena_test.cpp looks at them there."""
    found = []
    for task in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir():
        found.append(((task / "comm").read_text().strip(), sorted(os.sched_getaffinity(int(task.name)))))
    return found


@unittest.skipIf(CPUS[:2] != [0, 1], "CPUs 0 and 1 are not both ours, and the machine that hwloc makes up has these")
class TwoNodes(unittest.TestCase):
    def test_each_node_has_its_worker_and_its_arena(self):
        with Daemon(environment=TWO_NODES) as daemon:
            node = json.loads(daemon.request("GET", "/v1/node")[2])
            self.assertEqual([(w["cpu"], w["numa_node"]) for w in node["workers"]], [(0, 0), (1, 1)])
            self.assertEqual([(a["numa_node"], a["cpus"], a["threads"]) for a in node["arenas"]],
                             [(0, [0], 1), (1, [1], 1)])
            found = threads(daemon)
            self.assertIn(("histod-w0", [0]), found)
            self.assertIn(("histod-w1", [1]), found)

    def test_both_answer_and_no_worker_leaves_its_cpu(self):
        gray = images.noisy(700, 500)
        body, expected = images.encode(gray), images.equalized(gray)
        with Daemon(environment=TWO_NODES) as daemon:
            def once(_):
                return (images.decode(daemon.request("POST", "/v1/equalize", body)[2]) == expected).all()
            with concurrent.futures.ThreadPoolExecutor(8) as clients:
                self.assertTrue(all(clients.map(once, range(80))))
            node = json.loads(daemon.request("GET", "/v1/node")[2])
            served = [w["images"] for w in node["workers"]]
            self.assertEqual(sum(served), 80)
            self.assertGreater(min(served), 0, "one node did all the work")
            found = threads(daemon)
            self.assertIn(("histod-w0", [0]), found)
            self.assertIn(("histod-w1", [1]), found)
            self.assertEqual(daemon.stop(), 0)

    def test_memory_that_cannot_be_bound_is_told(self):
        if pathlib.Path("/sys/devices/system/node/node1").exists():
            self.skipTest("this machine has a second node")
        with Daemon(environment=TWO_NODES) as daemon:
            node = json.loads(daemon.request("GET", "/v1/node")[2])
            self.assertIn("memory not bound to its NUMA node", [fallback["what"] for fallback in node["fallbacks"]])


class OneNode(unittest.TestCase):
    def test_nothing_is_bound_without_pinning(self):
        with Daemon("--no-pin", environment=TWO_NODES) as daemon:
            node = json.loads(daemon.request("GET", "/v1/node")[2])
            self.assertEqual([(w["cpu"], w["numa_node"]) for w in node["workers"]], [(-1, -1), (-1, -1)])
            self.assertEqual([a["cpus"] for a in node["arenas"]], [[], []])
            self.assertNotIn("memory not bound to its NUMA node", [fallback["what"] for fallback in node["fallbacks"]])


if __name__ == "__main__":
    main()
