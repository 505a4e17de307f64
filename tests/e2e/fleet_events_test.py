#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events over three nodes with real ZooKeeper servers: each is once on each, whoever is killed, and what the fleet says of itself."""
import json
import signal
import subprocess
import time

from fleet_test import PAUSE, FleetTest, fleet, wait_for
from harness import main


class FleetEventsTest(FleetTest):
    def tell(self, name, *ids):
        events = [{"specversion": "1.0", "id": each, "source": "/tests", "type": "io.histod.rollout.k8s.applied"} for each in ids]
        status, body = self.request_as(name, "/v1/events", json.dumps(events).encode())
        self.assertEqual(status, 202, body)

    def request_as(self, name, path, body):
        """curl knows the media type's field; the rig's own request does not."""
        field = self.state.parent / "field"
        field.write_text(f"Authorization: Bearer {self.token}\nContent-Type: application/cloudevents-batch+json\n")
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}", "-H", f"@{field}", "--data-binary", "@-",
                               self.nodes[name]["url"] + path], input=body, capture_output=True, timeout=60, check=True)
        answer, _, status = done.stdout.rpartition(b"\n")
        return int(status), answer

    def events(self, name, kind):
        status, body = self.request(name, f"/v1/events?after=0&limit=1000&type={kind}")
        return json.loads(body)["events"] if status == 200 else []

    def ids(self, name):
        return [each["id"] for each in self.events(name, "io.histod.rollout")]

    def everywhere(self, ids):
        """Waits until each node has these, each once; in what order those of one source came is told by `in_order`."""
        def condition():
            return all(sorted(self.ids(name)) == sorted(ids) for name in self.nodes)
        try:
            wait_for(condition, "all events are on all nodes")
        except AssertionError as error:
            seen = {name: sorted(self.ids(name)) for name in self.nodes}
            raise AssertionError(f"{error}: {seen}") from error

    def metric(self, name, what):
        text = self.request(name, "/metrics")[1].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(what + " "))

    def spooled(self, name):
        wait_for(lambda: self.metric(name, "histod_events_spooled_total") >= self.metric(name, "histod_event_ring_events")
                 and self.metric(name, "histod_events_spooled_total") >= self.metric(name, "histod_events_published_total"), f"{name} has written")

    def start_again(self, name):
        done = fleet("start", "--state", self.state, name)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.fleet = json.loads(done.stdout)
        self.nodes = {node["name"]: node for node in self.fleet["nodes"]}
        self.pids += [node["pid"] for node in self.fleet["nodes"]]

    def test_once_on_each_over_kills_and_restarts(self):
        self.up("4s", "-n", "3")
        self.agree(sorted(self.nodes), self.nodes)
        self.tell("node1", "warm")
        self.everywhere(["warm"])
        took = []
        told = ["warm"]
        for number in range(20):
            name = f"node{1 + number % 3}"
            told.append(f"{name}/{number}")
            since = time.monotonic()
            self.tell(name, told[-1])
            while not all(told[-1] in self.ids(each) for each in self.nodes):
                self.assertLess(time.monotonic() - since, 60, told[-1])
                PAUSE.wait(0.005)  # nobody tells: the nodes are asked again
            took.append(time.monotonic() - since)
        print(f"on all three nodes after {1e3 * sorted(took)[len(took) // 2]:.0f} ms (median), {1e3 * max(took):.0f} ms (longest), asking included", flush=True)
        for name in ("node1", "node2", "node3"):  # posted to each: one event
            self.tell(name, "shared")
        told.append("shared")
        self.everywhere(told)
        for killed, other in (("node2", "node3"), ("node1", "node2")):
            self.spooled(killed)
            self.send([self.nodes[killed]["pid"]], signal.SIGKILL)
            during = [f"{other}/without-{killed}/{number}" for number in range(300)]
            for first in range(0, 300, 100):
                self.tell(other, *during[first:first + 100])
            self.start_again(killed)
            more = [f"{killed}/again/{number}" for number in range(50)]
            wait_for(lambda killed=killed: self.request(killed, "/readyz")[0] == 200, f"{killed} serves")
            self.tell(killed, *more)
            told += during + more
            since = time.monotonic()
            self.everywhere(told)
            print(f"{killed} has all {len(told)} after {time.monotonic() - since:.1f} s", flush=True)
            for name in self.nodes:
                seen = self.ids(name)
                for source in (during, more):
                    self.assertEqual([each for each in seen if each in set(source)], source, f"{name}: in order")

    def test_zookeeper_stops_and_comes_back(self):
        self.up("4s", "-n", "3")
        self.agree(sorted(self.nodes), self.nodes)
        wait_for(lambda: {each["subject"] for each in self.events("node1", "io.histod.cluster.node_joined")} == set(self.nodes), "all joined")
        self.assertEqual(len(self.events("node1", "io.histod.cluster.leader")), 1)
        try:
            self.send(self.fleet["zookeeper"]["pids"], signal.SIGSTOP)
            for name in self.nodes:
                wait_for(lambda name=name: self.cluster(name)["zookeeper"]["state"] == "LOST", f"{name} is LOST")
        finally:
            self.send(self.fleet["zookeeper"]["pids"], signal.SIGCONT)
        self.agree(sorted(self.nodes), self.nodes)
        wanted = ["ZooKeeper Connection: OK", "ZooKeeper Connection: WARNING: SUSPENDED", "ZooKeeper Connection: LOST", "ZooKeeper Connection: OK"]
        for reader in self.nodes:
            for node in self.nodes:
                def said(reader=reader, node=node):
                    events = [each for each in self.events(reader, "io.histod.zookeeper") if each["node"] == node]
                    return [each["data"]["message"] for each in events if not each["type"].endswith(".connecting")]
                wait_for(lambda said=said: said()[-1:] == wanted[-1:] and len(said()) >= 4, f"{reader} heard of {node}")
                self.assertEqual(said(), wanted, f"{reader} of {node}")
        colours = {each["data"]["message"]: each["severity"] for each in self.events("node1", "io.histod.zookeeper")}
        self.assertEqual([colours[each] for each in wanted[:3]], ["ok", "warning", "error"])


if __name__ == "__main__":
    main()
