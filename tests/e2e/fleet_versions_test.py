#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A release beside the one after it: histod-next writes later versions of every znode, message and record of the spool, with a member more
in each. They share a dataset, and open each other's spools."""
import json
import os
import signal

import dataset_test
from fleet_dataset_test import FleetDatasetTest
from fleet_test import fleet
from harness import PROGRAM, main

COUNT = 18


class VersionsTest(FleetDatasetTest):
    def change(self, *words):
        done = fleet(*words, "--state", self.state)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.nodes = {node["name"]: node for node in json.loads(done.stdout)["nodes"]}
        self.pids += [node["pid"] for node in self.nodes.values()]

    def restart(self, name, program):
        self.send([self.nodes[name]["pid"]], signal.SIGKILL)
        self.change("start", name, "--histod", program)
        self.agree(sorted(self.nodes), self.nodes)

    def add_some(self, dataset, sent):
        """One more at each node."""
        for name, (pixels, kind) in zip(sorted(self.nodes), list(dataset_test.pictures(len(sent) + 3))[len(sent):]):
            sent.append((self.add(name, dataset, pixels, kind), pixels))

    def check_whole(self, dataset, sent, asked):
        """Finalized at one node, applied at another, right at all of them."""
        made = self.finalize(asked, dataset, len(sent))
        tables = self.check_tables("node1", dataset, sent)
        self.tell("node2", f"/v1/datasets/{dataset}/apply", status=202)
        self.idle("node2", dataset, len(sent))
        for name in self.nodes:
            self.check_results(name, sent, tables)
        return made

    def records(self, name, folder):
        return [path.read_text() for path in (self.state / name / "spool" / folder).glob("*/record")]

    def check_nothing_is_foreign(self):
        for name in self.nodes:
            for said in ("of another release", "does not understand", "of a later release", "are broken", "security"):
                self.assertNotIn(said, self.log(name), name)

    def test_both_share_a_dataset_and_open_each_others_spools(self):
        following = os.environ["HISTOD_NEXT"]
        self.up("4s", "-n", "2", "--", "--min-nodes", "1")
        self.change("add", "--histod", following)
        self.agree(sorted(self.nodes), self.nodes)
        dataset, sent = self.fill(COUNT)
        self.assertEqual(self.check_whole(dataset, sent, "node3")["lut"]["revision"], 1)
        # Who has written what: the following one all with a member more, also what the others then write over it.
        credential = (self.state / "zookeeper-credential").read_text().strip()
        for path in ("nodes/node3", f"datasets/{dataset}"):
            znode = self.zookeeper(f"get /histod/{path}", credential=credential)
            self.assertIn('"later":1', znode)
            self.assertIn('"format":2', znode)
        self.assertNotIn('"later"', self.zookeeper("get /histod/nodes/node1", credential=credential))
        for folder in ("jobs", "datasets"):
            self.assertTrue(all('"later":1' in text for text in self.records("node3", folder)), folder)
            self.assertFalse(any('"later"' in text for text in self.records("node1", folder)), folder)
        # Back, and on: each finds all that the other has left.
        self.restart("node3", PROGRAM)
        self.restart("node1", following)
        self.add_some(dataset, sent)
        self.assertEqual(self.check_whole(dataset, sent, "node1")["lut"]["revision"], 2)
        self.check_nothing_is_foreign()
        for name in self.nodes:
            self.assertEqual(self.metric(name, "histod_jobs_adopted_total"), 0)


if __name__ == "__main__":
    main()
