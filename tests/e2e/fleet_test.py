#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole fleets by tools/fleet: nodes and servers that die, stop and come back, and what is left behind."""
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import images
from harness import PROGRAM, failed, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "fleet"
sys.path.insert(0, str(ROOT / "tools" / "lib"))
import fleet_network  # noqa: E402
import fleet_processes  # noqa: E402
import zookeeper_server  # noqa: E402

PATIENCE_S = 90
PAUSE = threading.Event()
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fleet(*words):
    return subprocess.run([sys.executable, str(TOOL), *map(str, words)], capture_output=True, text=True, timeout=400, check=False)


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        PAUSE.wait(0.05)  # nobody tells: the node is asked again
    return found


class FleetTest(unittest.TestCase):
    def setUp(self):
        if reason := fleet_network.refusal() or zookeeper_server.missing():
            print(f"skipped: {reason}", flush=True)
            self.skipTest(reason)
        folder = tempfile.TemporaryDirectory(prefix="histod-fleet-test-")
        self.addCleanup(folder.cleanup)
        self.state = pathlib.Path(folder.name) / "state"

    def up(self, session_timeout, *words):
        done = fleet("up", "--state", self.state, "--histod", PROGRAM, "--session-timeout", session_timeout, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.fleet = json.loads(done.stdout)
        self.nodes = {node["name"]: node for node in self.fleet["nodes"]}
        self.pids = [node["pid"] for node in self.fleet["nodes"]] + self.fleet["zookeeper"]["pids"]
        self.token = pathlib.Path(self.fleet["token_file"]).read_text().split()[1]
        self.addCleanup(self.down)

    def down(self):
        if failed(self):
            for name in [*self.nodes, "zookeeper1", "zookeeper2", "zookeeper3"]:
                print(f"--- {name}\n{self.log(name)[-4000:]}", file=sys.stderr)
        done = fleet("down", "--state", self.state)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_nothing_left()

    def assert_nothing_left(self):
        self.assertFalse(self.state.exists())
        links = [link["ifname"] for link in json.loads(fleet_network.run("ip", "-j", "link"))]
        self.assertEqual([link for link in links if link.startswith(fleet_network.bridge_name(self.state))], [])
        for pid in getattr(self, "pids", []):
            self.assertIsNone(fleet_processes.start_ticks(pid), pid)

    def log(self, name):
        return (self.state / name / "log").read_text(errors="replace") if (self.state / name / "log").exists() else ""

    def request(self, name, path, body=None):
        """(status, body); status 0 when the node does not answer."""
        request = urllib.request.Request(self.nodes[name]["url"] + path, data=body, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with OPENER.open(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def cluster(self, name):
        status, body = self.request(name, "/v1/cluster")
        return json.loads(body) if status == 200 else None

    def agree(self, names, members, **more):
        """Waits until all of these see these members, the same leader, and what else is asked; what the first of them sees."""
        def condition():
            seen = [self.cluster(name) for name in names]
            good = all(seen) and all(
                [member["name"] for member in each["members"]] == sorted(members) and each["zookeeper"]["state"] == "CONNECTED" and
                each["leader"] == seen[0]["leader"] and each["leader"]["name"] in members for each in seen)
            return good and all(check(seen[0]) for check in more.values()) and seen[0]
        return wait_for(condition, f"{names} agree on {members}")

    def send(self, pids, number):
        for pid in pids:
            os.kill(pid, number)


class UpAndDownTest(FleetTest):
    def test_every_node_shows_the_whole_fleet(self):
        self.up("10s", "-n", "3")
        self.assertEqual(sorted(self.nodes), ["node1", "node2", "node3"])
        for path in (self.fleet["token_file"], self.fleet["zookeeper"]["credential_file"]):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)
        self.assertEqual(stat.S_IMODE(self.state.stat().st_mode), 0o700)
        namespaces = {os.readlink(f"/proc/{node['pid']}/ns/net") for node in self.nodes.values()}
        self.assertEqual(self.fleet["bridge"], fleet_network.bridge_name(self.state))
        self.assertEqual(len(namespaces - {os.readlink("/proc/self/ns/net")}), 3)
        leaders = set()
        for name in self.nodes:
            seen = self.cluster(name)
            self.assertEqual((seen["node_name"], seen["alert"], seen["min_nodes"]), (name, False, 3))
            self.assertEqual({member["name"]: member["url"] for member in seen["members"]},
                             {node["name"]: node["url"] for node in self.nodes.values()})
            self.assertEqual([member["name"] for member in seen["members"] if member["self"]], [name])
            self.assertEqual(len({member["id"] for member in seen["members"]}), 3)
            leaders.update(member["name"] for member in seen["members"] if member["leader"])
            self.assertEqual(seen["role"], "leader" if seen["leader"]["name"] == name else "member")
            self.assertEqual(json.loads(self.request(name, "/ready")[1]), {"status": "ready", "zookeeper": "CONNECTED"})
            self.assertNotIn("open to all", self.log(name))
        self.assertEqual(len(leaders), 1)
        again = fleet("up", "--state", self.state, "--histod", PROGRAM)
        self.assertEqual((again.returncode, len(again.stderr.splitlines())), (1, 1), again.stderr)
        self.assertIn("up already", again.stderr)
        status = fleet("status", "--state", self.state)
        self.assertEqual([(node["lives"], node["members"]) for node in json.loads(status.stdout)["nodes"]], [(True, 3)] * 3)

    def test_who_ends_in_good_order_is_missed_at_once(self):
        self.up("60s")  # within which nobody's session expires
        before = self.cluster("node1")["leader"]
        self.send([self.nodes[before["name"]]["pid"]], signal.SIGTERM)
        left = sorted(set(self.nodes) - {before["name"]})
        started = time.monotonic()
        seen = self.agree(left, left)
        self.assertGreater(seen["leader"]["epoch"], before["epoch"])
        self.assertEqual((seen["alert"], seen["alert_detail"]), (True, "the fleet has 2 members, but needs 3"))
        print(f"another led after {time.monotonic() - started:.2f} s")

    def test_what_fails_half_way_leaves_nothing(self):
        done = fleet("up", "--state", self.state, "--histod", "/bin/false")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("node1 has ended", done.stderr)
        self.assert_nothing_left()
        done = fleet("up", "--state", self.state / "no" / "such", "--histod", PROGRAM)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
        self.assert_nothing_left()

    def test_who_is_interrupted_or_killed_leaves_nothing(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            running = subprocess.Popen([sys.executable, str(TOOL), "up", "--state", str(self.state), "--histod", PROGRAM],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            while "nodes:" not in running.stderr.readline():
                self.assertIsNone(running.poll())
            running.send_signal(number)
            running.stderr.close()
            running.wait(60)
            done = fleet("down", "--state", self.state)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assert_nothing_left()

    def test_down_and_status_of_nothing(self):
        done = fleet("down", "--state", self.state)
        self.assertEqual((done.returncode, done.stderr), (0, "tools/fleet: none is up\n"))
        done = fleet("status", "--state", self.state)
        self.assertEqual((done.returncode, json.loads(done.stdout)["up"]), (1, False))
        for words in (("add",), ("start", "node1")):
            done = fleet(*words, "--state", self.state)
            self.assertEqual((done.returncode, done.stderr), (1, "tools/fleet: no fleet is up: tools/fleet up starts one\n"))
        self.state.mkdir()
        (self.state / "diary").write_text("mine")
        done = fleet("down", "--state", self.state)
        self.assertEqual(done.returncode, 1)
        self.assertEqual((self.state / "diary").read_text(), "mine")


class FaultTest(FleetTest):
    def test_leader_killed(self):
        self.up("4s")
        before = self.cluster("node1")["leader"]
        self.send([self.nodes[before["name"]]["pid"]], signal.SIGKILL)
        started = time.monotonic()
        left = sorted(set(self.nodes) - {before["name"]})
        seen = self.agree(left, left)
        self.assertGreater(seen["leader"]["epoch"], before["epoch"])
        self.assertTrue(seen["alert"])
        print(f"another led after {time.monotonic() - started:.2f} s")

    def test_leader_stopped_for_longer_than_its_session(self):
        self.up("4s")
        before = self.cluster("node1")["leader"]
        stopped, left = before["name"], sorted(set(self.nodes) - {before["name"]})
        self.send([self.nodes[stopped]["pid"]], signal.SIGSTOP)
        try:
            led = self.agree(left, left)["leader"]
        finally:
            self.send([self.nodes[stopped]["pid"]], signal.SIGCONT)
        self.assertGreater(led["epoch"], before["epoch"])
        seen = self.agree([stopped, *left], self.nodes)
        self.assertEqual(seen["leader"], led)
        self.assertEqual((seen["role"], seen["alert"]), ("member", False))
        self.assertGreaterEqual(seen["counts"]["session_losses"], 1)
        self.assertRegex(self.log(stopped), r"(?s)state=CONNECTED.*state=LOST.*state=CONNECTED")
        self.assertEqual(self.log(stopped).count("this node leads no more"), 1)

    def test_local_work_goes_on_without_zookeeper(self):
        self.up("4s")
        epoch = self.cluster("node1")["leader"]["epoch"]
        body = images.encode(images.noisy(300, 200))
        answers, ended = {name: [] for name in self.nodes}, threading.Event()

        def upload(name):
            while not ended.is_set():
                answers[name].append(self.request(name, "/v1/equalize", body))
        threads = [threading.Thread(target=upload, args=(name,)) for name in self.nodes]
        for thread in threads:
            thread.start()
        try:
            self.send(self.fleet["zookeeper"]["pids"], signal.SIGSTOP)
            for name in self.nodes:
                wait_for(lambda name=name: self.cluster(name)["zookeeper"]["state"] == "LOST", f"{name} is LOST")
                self.assertEqual(self.cluster(name)["role"], "outside")
                self.assertEqual(self.request(name, "/readyz")[0], 200)
                self.assertEqual(self.request(name, "/ready")[0], 503)
            during = {name: len(answers[name]) for name in self.nodes}
            for name in self.nodes:
                wait_for(lambda name=name: len(answers[name]) > during[name], f"{name} works while it is LOST")
            self.send(self.fleet["zookeeper"]["pids"], signal.SIGCONT)
            seen = self.agree(sorted(self.nodes), self.nodes)
        finally:
            self.send(self.fleet["zookeeper"]["pids"], signal.SIGCONT)
            ended.set()
            for thread in threads:
                thread.join()
        self.assertGreater(seen["leader"]["epoch"], epoch)
        for name in self.nodes:
            self.assertEqual({status for status, _ in answers[name]}, {200}, name)
            self.assertEqual(len(set(answers[name])), 1, name)
            self.assertRegex(self.log(name), r"(?s)state=CONNECTED.*state=SUSPENDED.*state=LOST.*state=CONNECTED")
            self.assertIn('histod_zookeeper_session_state{histod_zookeeper_session_state="CONNECTED"} 1', self.request(name, "/metrics")[1].decode())
        print(f"{sum(map(len, answers.values()))} images meanwhile")

    def test_another_credential_is_refused_and_tried_again(self):
        self.up("4s", "-n", "1", "--", "--max-pages", "7")
        self.assertEqual(json.loads(self.request("node1", "/v1/node")[1])["limits"]["pages"], 7)
        with tempfile.TemporaryDirectory(prefix="histod-stranger-") as folder:
            credential = pathlib.Path(folder, "credential")
            credential.touch(0o600)
            credential.write_text("histod:not-the-one-of-the-fleet\n")
            with open(pathlib.Path(folder, "log"), "wb") as log:
                stranger = subprocess.Popen(
                    [PROGRAM, "--listen", "127.0.0.1:0", "--token-file", self.fleet["token_file"], "--spool", f"{folder}/spool",
                     "--io", "auto", "--node-name", "stranger", "--zookeeper", self.fleet["zookeeper"]["servers"], "--zookeeper-credential-file",
                     str(credential), "--no-pin", "--memory-budget", "256MiB"], stdout=log, stderr=log)
            try:
                written = pathlib.Path(folder, "log")
                text = wait_for(lambda: re.search('msg="not in the fleet.*', written.read_text()), "the stranger says so")
                self.assertIn("the znodes under /histod are for another credential", text[0])
                self.assertEqual([member["name"] for member in self.cluster("node1")["members"]], ["node1"])
            finally:
                stranger.send_signal(signal.SIGTERM)
                self.assertEqual(stranger.wait(60), 0)


class UsageTest(unittest.TestCase):
    def test_wrong_usage(self):
        for words in ([], ["sideways"], ["up", "-n", "0"], ["up", "-n", "33"], ["up", "-n", "x"], ["up", "node1"], ["start"]):
            self.assertEqual(fleet(*words).returncode, 2, words)
        self.assertIn("tools/fleet down", fleet("--help").stdout)

    def test_without_root_one_line_says_so(self):
        script = ("import os, runpy, sys; os.geteuid = lambda: 1000; sys.argv = sys.argv[1:]; "
                  "runpy.run_path(sys.argv[0], run_name='__main__')")
        done = subprocess.run([sys.executable, "-c", script, str(TOOL), "up", "--state", "/nonexistent/state"], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, "tools/fleet: network namespaces need root: sudo tools/fleet up\n")


if __name__ == "__main__":
    main()
