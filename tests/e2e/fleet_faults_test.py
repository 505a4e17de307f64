#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every fault that a fleet has to survive, in the middle of a dataset: what was accepted is there and right, the tables are those of an
undisturbed run, and how long it took. Prints a row for each: fault, seconds, accepted jobs, those lost, whether the digests are equal.

A few of them are run always, all of them with E2E_FAULTS=all (some minutes). `fleet_faults_test.py -k NAME` runs those whose name has NAME.
"""
import functools
import hashlib
import itertools
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time
import unittest
import urllib.error

import numpy as np

import dataset_test
import images
from fleet_dataset_test import FleetDatasetTest
from fleet_test import fleet, fleet_network, wait_for, zookeeper_server
from harness import PROGRAM, Daemon, main, need

COUNT = int(os.environ.get("E2E_FAULTS_IMAGES", "48"))
LARGE = 12
OPTIONS = ("--", "--takeover-after", "2s", "--min-nodes", "1")
ALL = os.environ.get("E2E_FAULTS") == "all"
whole = unittest.skipUnless(ALL, "of the whole set: E2E_FAULTS=all")
ROWS = []


@functools.cache
def pictures():
    """(pixels, body), the small ones of several kinds, between them large ones which a node works on for a while."""
    out = [(pixels, dataset_test.encoded(pixels, kind)) for pixels, kind in dataset_test.pictures(COUNT)]
    for number in range(LARGE):
        pixels = images.noisy(1600, 1200, 1000 + number, mean=60 + 10 * number)
        out.insert(number * 4, (pixels, images.encode(pixels)))
    return out


@functools.cache
def tables():
    return dataset_test.naive_tables([pixels for pixels, _ in pictures()])


@functools.cache
def undisturbed_digest():
    """Of one daemon to which nothing happens."""
    with Daemon().start() as daemon:
        def ask(path, body=b""):
            status, _, answer = daemon.request("POST", path, body)
            assert status in (200, 201, 202), answer
            return json.loads(answer)
        dataset = ask("/v1/datasets?rule=exact&color=channels")["id"]
        for _, body in pictures():
            ask(f"/v1/datasets/{dataset}/images", body)
        wait_for(lambda: json.loads(daemon.request("GET", f"/v1/datasets/{dataset}")[2])["progress"]["phase"] == "idle", "counted")
        return ask(f"/v1/datasets/{dataset}/finalize")["lut"]["digest"]


def tearDownModule():
    print("\n| fault | recovery s | jobs accepted | lost | digest equal |\n|---|---|---|---|---|")
    print("\n".join(ROWS), flush=True)


class Asked(threading.Thread):
    """A question whose answer is long in coming."""

    def __init__(self, question):
        super().__init__()
        self.question, self.answer = question, None
        self.start()

    def run(self):
        self.answer = self.question()


class Uploads:
    """All pictures into one dataset, by a thread for each node; what one node refuses another one gets."""

    def __init__(self, test, dataset):
        self.test, self.dataset = test, dataset
        self.left = queue.Queue()
        for index in range(len(pictures())):
            self.left.put(index)
        self.accepted, self.unknown, self.refused = {}, set(), []
        self.threads = []

    def begin(self, names):
        for name in names:
            self.threads.append(threading.Thread(target=self.work, args=(name,)))
            self.threads[-1].start()

    def work(self, name):
        while len(self.accepted) + len(self.unknown) < len(pictures()):
            try:
                index = self.left.get(timeout=0.1)
            except queue.Empty:
                continue  # another one may be refused yet
            try:
                status, answer = self.test.post(name, f"/v1/datasets/{self.dataset}/images", pictures()[index][1])
            except KeyError:  # the node has been killed, and was not asked
                self.left.put(index)
                return
            if status == 202:
                self.accepted[index] = answer["id"]
            elif status == 0:
                self.unknown.add(index)  # it may have been accepted: nobody said
                return
            else:
                self.refused.append((name, status))
                self.left.put(index)
                self.test.pause.wait(0.2)

    def reached(self, count):
        wait_for(lambda: len(self.accepted) >= count, f"{count} images are accepted")

    def end(self):
        for thread in self.threads:
            thread.join()

    def settle(self, name):
        """Of these nobody knows whether they were accepted: a finalize waits for what is taken over, then they are there or are sent again."""
        if not self.unknown:
            return
        wait_for(lambda: self.test.post(name, f"/v1/datasets/{self.dataset}/finalize")[0] == 200, "all are counted")
        listed = self.test.tell(name, f"/v1/datasets/{self.dataset}/images?limit=1000", "GET", None)["jobs"]
        for index in self.unknown:
            sha256 = hashlib.sha256(pictures()[index][1]).hexdigest()
            found = [job["id"] for job in listed if job["input"]["sha256"] == sha256]
            self.test.assertLessEqual(len(found), 1)
            print(f"no answer came for an image: it was {'kept' if found else 'not kept'}", flush=True)
            self.accepted[index] = found[0] if found else self.test.tell(name, f"/v1/datasets/{self.dataset}/images", body=pictures()[index][1],
                                                                        status=202)["id"]
        self.unknown.clear()


class FaultsTest(FleetDatasetTest):
    def start(self, nodes=3, add=None, uploads=True):
        """The fleet, plain jobs, and uploads that go on. `add`: a node more, with these words for tools/fleet."""
        undisturbed_digest()
        self.pause = threading.Event()
        self.up("4s", "-n", str(nodes), *OPTIONS)
        if add is not None:
            self.nodes = self.tool("add", *add)
        self.plain = {}
        self.dataset = self.tell("node1", "/v1/datasets?rule=exact&color=channels", status=201)["id"]
        for name in self.nodes:
            wait_for(lambda one=name: self.call(one, f"/v1/datasets/{self.dataset}")[0] == 200, f"{name} knows the dataset")
        self.submit_plain(self.nodes)
        self.uploads = Uploads(self, self.dataset)
        if uploads:
            self.uploads.begin(sorted(self.nodes))

    def start_finalized(self, nodes=3):
        """Undisturbed up to the tables."""
        self.start(nodes)
        self.uploads.end()
        self.assertEqual(self.finalize("node1", self.dataset, len(pictures()))["lut"]["digest"], undisturbed_digest())

    def post(self, name, path, body=b""):
        """(status, JSON); status 0 when there is no answer."""
        try:
            status, _, answer = self.call(name, path, "POST", body)
            return status, json.loads(answer)
        except (OSError, urllib.error.URLError, ValueError):
            return 0, None

    def submit_plain(self, names, rounds=3):
        for number, name in itertools.product(range(rounds), names):
            pixels = images.noisy(700, 500, 100 * number + len(self.plain))
            self.plain[self.submit(name, images.encode(pixels))["id"]] = pixels

    def is_of(self, name, job, pixels):
        status, _, body = self.call(name, f"/v1/jobs/{job}/result")
        return status == 200 and np.array_equal(dataset_test.decoded(body), dataset_test.expected(pixels, tables()))

    def has_ended(self, name, job):
        """A job that no node knows has, too."""
        found = self.job(name, job)
        return found == 404 or (isinstance(found, dict) and found["state"] in ("done", "failed"))

    def leader_and_workers(self):
        leader = self.cluster("node1")["leader"]["name"]
        return leader, [name for name in sorted(self.nodes) if name != leader]

    def begin_applying(self, name):
        """It goes on when something is made of it already, and something is not."""
        self.tell(name, f"/v1/datasets/{self.dataset}/apply", status=202)
        progress = wait_for(lambda: (one := self.state_of(name, self.dataset)["progress"])["items_done"] and one, "something is made")
        print(f"in the middle: {progress['phase']}, {progress['items_done']} of {progress['items_total']}", flush=True)

    def signal_zookeepers(self, number, count=3):
        for pid in self.fleet["zookeeper"]["pids"][:count]:
            os.kill(pid, number)

    def tool(self, *words):
        done = fleet(words[0], "--state", self.state, *words[1:])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.fleet = json.loads(done.stdout)
        self.pids += [node["pid"] for node in self.fleet["nodes"]] + self.fleet["zookeeper"]["pids"]
        return {node["name"]: node for node in self.fleet["nodes"]}

    def taken_over(self, names):
        wait_for(lambda: sum(self.metric(name, "histod_jobs_adopted_total") for name in names), f"{names} take over")

    def recovered(self, fault, since, name):
        """Finalizes, applies, looks at everything that was ever accepted, and prints the row."""
        self.uploads.end()
        self.uploads.settle(name)
        digest = self.finalize(name, self.dataset, len(pictures()))["lut"]["digest"]
        self.tell(name, f"/v1/datasets/{self.dataset}/apply", status=202)
        self.idle(name, self.dataset, len(pictures()))
        seconds = time.monotonic() - since
        self.check_tables(name, self.dataset, [(None, pixels) for pixels, _ in pictures()])
        for node in self.nodes:
            wait_for(lambda one=node: self.state_of(one, self.dataset)["lut"]["digest"] == digest, f"{node} has the same tables")
        lost = [job for index, job in self.uploads.accepted.items() if not self.is_of(name, job, pictures()[index][0])]
        for job, pixels in self.plain.items():
            wait_for(lambda one=job: self.has_ended(name, one), f"{job} ends")
            status, _, body = self.call(name, f"/v1/jobs/{job}/result")
            if status != 200 or not np.array_equal(images.decode(body), images.equalized(pixels)):
                lost.append(job)
        equal = digest == undisturbed_digest()
        jobs = len(self.uploads.accepted) + len(self.plain)
        ROWS.append(f"| {fault} | {seconds:.1f} | {jobs} | {len(lost)} | {'yes' if equal else 'NO'} |")
        print(ROWS[-1], flush=True)
        self.assertEqual((lost, equal), ([], True))


class NodesTest(FaultsTest):
    def test_short_worker_killed_in_mid_apply(self):
        self.start_finalized()
        _, (worker, other) = self.leader_and_workers()
        self.begin_applying(other)
        self.kill(worker)
        self.recovered("kill -9 of a worker while it applies", time.monotonic(), other)

    def test_short_node_stopped_past_takeover(self):
        self.start()
        leader, (worker, other) = self.leader_and_workers()
        self.uploads.reached(len(pictures()) // 3)
        os.kill(self.nodes[worker]["pid"], signal.SIGSTOP)
        self.addCleanup(os.kill, self.nodes[worker]["pid"], signal.SIGCONT)
        self.taken_over([leader, other])
        os.kill(self.nodes[worker]["pid"], signal.SIGCONT)
        self.recovered("SIGSTOP of a worker during uploads, SIGCONT after takeover", time.monotonic(), worker)
        self.assertGreater(self.metric(worker, "histod_jobs_disowned_total"), 0)

    @whole
    def test_leader_killed_during_uploads(self):
        self.start()
        leader, (worker, _) = self.leader_and_workers()
        self.uploads.reached(len(pictures()) // 3)
        self.kill(leader)
        self.recovered("kill -9 of the leader during uploads", time.monotonic(), worker)

    @whole
    def test_leader_stopped_past_takeover_while_it_applies(self):
        self.start_finalized()
        leader, (worker, other) = self.leader_and_workers()
        self.begin_applying(worker)
        os.kill(self.nodes[leader]["pid"], signal.SIGSTOP)
        self.addCleanup(os.kill, self.nodes[leader]["pid"], signal.SIGCONT)
        self.taken_over([worker, other])
        os.kill(self.nodes[leader]["pid"], signal.SIGCONT)
        self.recovered("SIGSTOP of the leader while it applies, SIGCONT after takeover", time.monotonic(), other)

    @whole
    def test_owner_killed_right_after_202(self):
        self.start()
        self.uploads.end()
        _, (worker, other) = self.leader_and_workers()
        self.submit_plain([worker])
        self.kill(worker)
        self.recovered("kill -9 of a job's owner right after its 202", time.monotonic(), other)

    @whole
    def test_node_killed_and_started_again_after_takeover(self):
        self.start()
        leader, (worker, other) = self.leader_and_workers()
        self.uploads.reached(len(pictures()) // 3)
        self.kill(worker)
        self.taken_over([leader, other])
        since = time.monotonic()
        self.nodes = self.tool("start", worker)
        self.recovered("kill -9 of a worker during uploads, started again after takeover", since, worker)

    @whole
    def test_node_joins_in_mid_job(self):
        self.start(nodes=2)
        self.uploads.reached(len(pictures()) // 3)
        since = time.monotonic()
        self.nodes = self.tool("add")
        self.uploads.begin(["node3"])
        self.recovered("a node joins during uploads", since, "node3")


class ZooKeeperTest(FaultsTest):
    def test_short_quorum_lost_and_back(self):
        self.start()
        self.uploads.end()
        self.idle("node1", self.dataset, len(pictures()))
        self.signal_zookeepers(signal.SIGKILL, 2)
        finalizing = Asked(lambda: self.post("node2", f"/v1/datasets/{self.dataset}/finalize"))
        for name in self.nodes:
            wait_for(lambda one=name: self.cluster(one)["zookeeper"]["state"] == "LOST", f"{name} is LOST")
        self.submit_plain(self.nodes)
        self.assertIsNone(finalizing.answer)
        since = time.monotonic()
        self.tool("start", "zookeeper1", "zookeeper2")
        finalizing.join()
        self.assertEqual((finalizing.answer[0], finalizing.answer[1]["lut"]["digest"]), (200, undisturbed_digest()))
        self.recovered("2 of 3 servers killed before finalize, started again", since, "node1")

    def test_short_zookeeper_gone(self):
        self.start_finalized()
        ended, answers = threading.Event(), []

        def work(name):
            pixels = images.noisy(300, 200, len(name))
            body, number = images.encode(pixels), 0
            while not ended.is_set():
                number += 1
                answers.append(self.call(name, "/v1/equalize", "POST", body)[0])
                if number % 20 == 1:
                    self.submit_plain([name], 1)
                    self.tell(name, "/v1/jobs/" + self.add(name, self.dataset, pixels), "DELETE", None, status=204)
                ended.wait(0.02)
        self.signal_zookeepers(signal.SIGSTOP)
        self.addCleanup(self.signal_zookeepers, signal.SIGCONT)
        workers = [Asked(functools.partial(work, name)) for name in self.nodes]
        finalizing = Asked(lambda: self.post("node2", f"/v1/datasets/{self.dataset}/finalize"))
        self.pause.wait(60 if ALL else 15)
        self.assertEqual([self.cluster(name)["zookeeper"]["state"] for name in self.nodes], ["LOST"] * 3)
        self.assertIsNone(finalizing.answer)
        self.signal_zookeepers(signal.SIGCONT)
        since = time.monotonic()
        self.agree(sorted(self.nodes), self.nodes)
        ended.set()
        for worker in workers:
            worker.join()
        finalizing.join()
        self.assertEqual((set(answers), finalizing.answer[0]), ({200}, 200))
        self.recovered(f"ZooKeeper gone for {60 if ALL else 15} s", since, "node3")
        for name in self.nodes:
            self.assertRegex(self.log(name), r"(?s)state=CONNECTED.*state=SUSPENDED.*state=LOST.*state=CONNECTED")

    @whole
    def test_ensemble_started_again_while_nodes_apply(self):
        self.start_finalized()
        self.begin_applying("node1")
        since = time.monotonic()
        self.signal_zookeepers(signal.SIGKILL)
        self.tool("start", "zookeeper1", "zookeeper2", "zookeeper3")
        self.recovered("all servers killed and started again while nodes apply", since, "node2")

    @whole
    def test_strangers_may_write_nothing(self):
        self.start()
        self.uploads.reached(1)
        since = time.monotonic()
        right = (self.state / "zookeeper-credential").read_text().strip()
        writes = ("set /histod/epoch x", "delete /histod/epoch", "create /histod/nodes/stranger x", f"set /histod/datasets/{self.dataset} x",
                  "create /histod/stranger x", "setAcl /histod world:anyone:cdrwa")
        for login in ((), ("addauth digest histod:wrong",), ("addauth digest stranger:" + right.partition(":")[2],)):
            told = self.client(*login, *writes)
            self.assertEqual(told.count("Insufficient permission"), len(writes), told)
        self.assertEqual(self.client("addauth digest " + right, "get /histod/epoch", "getAcl /histod").count("Insufficient permission"), 0)
        self.recovered("writes to znodes without the credential, or with another (refused)", since, "node1")

    def client(self, *lines):
        """What ZooKeeper's own client says to these."""
        done = subprocess.run(["java", "-cp", str(zookeeper_server.JAR), "org.apache.zookeeper.ZooKeeperMain", "-server",
                               self.fleet["zookeeper"]["servers"]], input="\n".join([*lines, "quit", ""]), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        return done.stdout


@whole
class CutOffTest(FaultsTest):
    """ZooKeeper's ports are dropped in a node's namespace; other nodes and clients still reach it."""
    FROM, TO = ("INPUT", "--sport"), ("OUTPUT", "--dport")

    def cut(self, what, *ways):
        need("iptables")
        self.start()
        leader, (worker, other) = self.leader_and_workers()
        self.uploads.reached(len(pictures()) // 3)
        self.filter(worker, "-A", ways)
        self.taken_over([leader, other])
        self.submit_plain([worker])
        self.assertNotEqual(self.cluster(worker)["zookeeper"]["state"], "CONNECTED")
        finalizing = Asked(lambda: self.post(worker, f"/v1/datasets/{self.dataset}/finalize"))
        self.uploads.end()
        self.pause.wait(1)  # for what is accepted only now to get into trouble, if it does
        self.assertIsNone(finalizing.answer)
        self.filter(worker, "-D", ways)
        since = time.monotonic()
        finalizing.join()
        self.assertEqual((finalizing.answer[0], finalizing.answer[1]["lut"]["digest"]), (200, undisturbed_digest()))
        self.recovered(f"iptables DROP of ZooKeeper {what} a node during uploads", since, worker)

    def filter(self, name, action, ways):
        for chain, port in ways:
            fleet_network.run("nsenter", "--target", str(self.nodes[name]["pid"]), "--net", "iptables", action, chain, "--protocol", "tcp",
                              port, "2181:2183", "--jump", "DROP")

    def test_both_ways(self):
        self.cut("to and from", self.FROM, self.TO)

    def test_node_hears_nothing(self):
        self.cut("to", self.FROM)

    def test_node_is_not_heard(self):
        self.cut("from", self.TO)


@whole
class PlaceTest(FaultsTest):
    """Nodes whose disk, or clock, is another than that of the others."""

    def wrapped(self, text):
        """A program that starts histod by this line of shell, for tools/fleet add."""
        script = self.state.parent / "wrapped"
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o700)
        return "--histod", script

    def use_up(self, what, *add):
        """Room comes back when the plain jobs that took it are removed."""
        self.start(2, add, uploads=False)
        large, fillers = pictures()[0][1], []
        refused = 0
        while refused < 20:  # in a row: what is done leaves its image's room to its result
            status, answer = self.post("node3", "/v1/jobs", large)
            self.assertIn(status, (202, 507), answer)
            refused = refused + 1 if status == 507 else 0
            if status == 202:
                fillers.append(answer["id"])
            self.assertLess(len(fillers), 100)
            self.pause.wait(0.05)
        self.assertEqual(self.post("node3", f"/v1/datasets/{self.dataset}/images", large)[0], 507)
        self.uploads.begin(sorted(self.nodes))
        self.uploads.end()
        self.assertLessEqual(set(self.uploads.refused), {("node3", 507)})
        since = time.monotonic()
        for job in fillers:
            self.tell("node1", f"/v1/jobs/{job}", "DELETE", None, status=204)
        print(f"{len(fillers)} plain jobs filled it, {len(self.uploads.refused)} images were refused", flush=True)
        self.recovered(what, since, "node3")

    def test_spool_budget_used_up(self):
        self.use_up("spool of a node is full (--spool-budget), until jobs are removed", "--", "--spool-budget", "48MiB")

    def test_disk_full(self):
        spool = self.state / "node3" / "spool"
        mount = f"mkdir -p {spool} && mount -t tmpfs -o size=48m,mode=700 histod-test {spool}"
        self.use_up("disk of a node is full (tmpfs), until jobs are removed",
                    *self.wrapped(f"exec unshare --mount sh -c '{mount} && exec {PROGRAM} \"$@\"' sh \"$@\""))

    def test_clock_jumps(self):
        library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
        self.assertIsNotNone(library, "install libfaketime (tools/test does)")
        clock = self.state.parent / "clock"

        def put(seconds):
            new = clock.with_suffix(".new")
            new.write_text(f"{seconds:+d}\n")
            new.rename(clock)
        put(0)
        faked = f"LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={clock} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
        self.start(2, self.wrapped(f"exec env {faked} {PROGRAM} \"$@\""))
        self.uploads.reached(len(pictures()) // 3)
        put(3600)
        since = time.monotonic()
        self.submit_plain(["node3"])
        ahead = self.job("node3", list(self.plain)[-1])["created_at"]
        put(-3600)
        self.submit_plain(["node3"])
        behind = self.job("node3", list(self.plain)[-1])["created_at"]
        print(f"created at {ahead}, then at {behind}", flush=True)
        self.assertGreater(ahead, behind)
        self.recovered("clock of a node an hour ahead, then an hour behind, during uploads", since, "node3")


if __name__ == "__main__":
    main()
