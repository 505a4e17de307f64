#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who is told that a dataset of several nodes is done, when the leader, who tells him, dies before or while he does: the next leader tells
him of the same revision, in the same words, signed."""
import json
import pathlib
import signal
import urllib.parse

import images
from fleet_data_test import FleetDataTest
from fleet_test import wait_for
from harness import main
from webhook_test import KEY, Receiver


class FleetWebhookTest(FleetDataTest):
    def ask(self, name, method, path, body=None, status=200):
        got, _, answer = self.call(name, path, method, body)
        self.assertEqual(got, status, answer[:500])
        return json.loads(answer)

    def wait(self, name, dataset, condition):
        def known():
            status, _, body = self.call(name, f"/v1/datasets/{dataset}")
            return status == 200 and condition(json.loads(body))
        wait_for(known, f"{name} says so of the dataset")

    def address(self, name):
        return urllib.parse.urlsplit(self.nodes[name]["url"]).hostname

    def leader(self):
        any_node = next(iter(self.nodes))
        return wait_for(lambda: (seen := self.cluster(any_node)) and seen["leader"]["name"] in self.nodes and seen["leader"]["name"], "a leader")

    def kill(self, name):
        self.send([self.nodes.pop(name)["pid"]], signal.SIGKILL)

    def add(self, dataset, *seeds):
        """Each to another node."""
        names = list(self.nodes)
        for index, seed in enumerate(seeds):
            body = images.encode(images.noisy(40, 30, seed, 1, 90), "png")
            self.ask(names[index % len(names)], "POST", f"/v1/datasets/{dataset}/images", body, 202)

    def finalize_and_apply(self, name, dataset):
        self.wait(name, dataset, lambda state: state["progress"]["phase"] == "idle")
        state = self.ask(name, "POST", f"/v1/datasets/{dataset}/finalize", b"")
        self.ask(name, "POST", f"/v1/datasets/{dataset}/apply", b"", 202)
        return state["lut"]

    def test_the_next_leader_tells_what_the_last_one_did_not(self):
        receiver = Receiver("0.0.0.0")
        self.addCleanup(receiver.stop)
        port = receiver.server.server_port
        secret = pathlib.Path(self.state).parent / "webhook-key"
        secret.touch(mode=0o600)
        secret.write_text(KEY + "\n")
        self.up("2s", "-n", "3", "--", "--takeover-after", "2s", "--min-nodes", "1", "--webhook-allow", f"{{bridge}}:{port}",
                "--webhook-secret-file", str(secret))
        host = self.fleet["zookeeper"]["servers"].split(":")[0]
        dataset = self.ask("node1", "POST", f"/v1/datasets?rule=exact&webhook=http://{host}:{port}/done%3Fjob=7", b"", 201)["id"]

        # Applied, and not delivered: it is refused, and then there is no leader.
        receiver.statuses[:] = [500]
        self.add(dataset, 1, 2, 3, 4)
        lut = self.finalize_and_apply("node2", dataset)
        told = {"dataset": dataset, "revision": 1, "digest": lut["digest"], "images": 4, "failed": 0}
        leader = self.leader()
        self.assertEqual((receiver.next(self), receiver.callers[0]), ((500, told), self.address(leader)))
        receiver.may_answer.clear()
        self.kill(leader)
        receiver.may_answer.set()
        self.assert_told_by_the_next(receiver, dataset, told)

        # Delivered, and not noted: he is told a second time. Every image is on two disks again before the next node dies.
        receiver.may_answer.clear()
        self.add(dataset, 5)
        wait_for(lambda: all(len(list((self.state / name / "spool" / "jobs").glob("*/record"))) == 5 for name in self.nodes), "copies are made")
        lut = self.finalize_and_apply(next(iter(self.nodes)), dataset)
        told = {"dataset": dataset, "revision": 2, "digest": lut["digest"], "images": 5, "failed": 0}
        leader = self.leader()
        self.assertEqual((receiver.next(self), receiver.callers[-1]), ((204, told), self.address(leader)))
        self.kill(leader)
        receiver.may_answer.set()
        self.assert_told_by_the_next(receiver, dataset, told)

    def assert_told_by_the_next(self, receiver, dataset, told):
        """Once at least, by a node that has never told anybody, and then it is noted."""
        leader = self.leader()
        wait_for(lambda: self.address(leader) in receiver.callers, f"{leader} tells it")
        self.wait(leader, dataset, lambda state: state["webhook"]["notified_revision"] == told["revision"])
        while not receiver.heard.empty():
            self.assertEqual(receiver.next(self), (204, told))


if __name__ == "__main__":
    main()
