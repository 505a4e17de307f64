#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/chaos: each fault on a real fleet of tools/fleet, which recovers and keeps what it accepted meanwhile; and what the faults
would tell kubectl and ssh, by stubs of both."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import images  # noqa: E402
from fleet_data_test import FleetDataTest  # noqa: E402
from fleet_test import fleet, fleet_processes, wait_for  # noqa: E402
from harness import PROGRAM  # noqa: E402

CHAOS = ROOT / "deploy/chaos"
FAULTS = ("clock-stepped", "disk-full", "leader-killed", "node-drained", "quorum-lost", "worker-stopped", "zookeeper-dropped")
HISTOCTL = os.path.abspath(os.environ["HISTOCTL"])
LIMIT_S = 120
CLUSTER = {"leader": {"name": "histo-02"}, "members": [{"name": "histo-01", "leader": False}, {"name": "histo-02", "leader": True}]}


class ProgramTest(unittest.TestCase):
    """Without a fleet."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="histod-chaos-")))
        self.calls = self.folder / "calls"
        for name in ("kubectl", "ssh", "histoctl"):
            path = self.folder / name
            path.write_text(f"""#!/usr/bin/python3
import json, os, sys
words = sys.argv[1:]
if "{name}" == "histoctl":
    sys.exit(print({json.dumps(json.dumps(CLUSTER))}))
told = sys.stdin.read() if "run" in words or "{name}" == "ssh" else ""
open("{self.calls}", "a").write(json.dumps(["{name}", words, told]) + "\\n")
if "jsonpath={{.spec.replicas}}" in words:
    print(3, end="")
sys.exit(1 if os.environ.get("STUB_FAIL") and os.environ["STUB_FAIL"] in told + " ".join(words) else 0)
""")
            path.chmod(0o755)

    def run_fault(self, name, *words, expect=0, **environment):
        done = subprocess.run([CHAOS / name, *words], env={"PATH": f"{self.folder}:{os.environ['PATH']}", "HISTOCTL": str(self.folder / "histoctl"),
                                                           **environment}, capture_output=True, text=True, timeout=LIMIT_S, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done

    def told(self):
        """[(program, words, standard input)] since the last time."""
        if not self.calls.exists():
            return []
        calls = [json.loads(line) for line in self.calls.read_text().splitlines()]
        self.calls.unlink()
        return calls

    def test_shellcheck(self):
        if not shutil.which("shellcheck"):
            print("skipped: shellcheck is not installed", flush=True)
            self.skipTest("shellcheck is not installed")
        self.assertEqual(sorted(path.name for path in CHAOS.iterdir() if os.access(path, os.X_OK)), sorted(FAULTS))
        done = subprocess.run(["shellcheck", "-x", *[CHAOS / name for name in FAULTS]], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_help_and_refusals(self):
        for name in FAULTS:
            shown = self.run_fault(name, "--help").stdout
            for word in (f"Usage: {name} ", "--fleet DIR", "--kubernetes CONTEXT", "--ssh", "--undo"):
                self.assertIn(word, shown)
            for words, said in (((), "name the target"), (("--ssh", "--fleet", "/x"), "one target"), (("--ssh", "--for", "soon"), "seconds"),
                                (("--ssh", "--node", "-x"), "no node's name"), (("--ssh", "--such"), "no option"), (("--ssh", "--such", "x"), "no option")):
                self.assertIn(said, self.run_fault(name, *words, expect=2).stderr)
        self.assertIn("no fleet is up", self.run_fault("leader-killed", "--fleet", self.folder / "none", expect=2).stderr if os.geteuid() == 0
                      else "no fleet is up")
        self.assertEqual(self.told(), [])

    def check_script(self, text):
        done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), text)

    def test_kubernetes(self):
        acts = {"clock-stepped": ("histo-01", "date --set", "systemctl start"), "disk-full": ("histo-01", "fallocate", 'rm -f "$filler"'),
                "leader-killed": ("histo-02", "kill -KILL", None), "worker-stopped": ("histo-01", "kill -STOP", "kill -CONT"),
                "zookeeper-dropped": ("histo-02", "rules --insert", "rules --delete")}
        for name, (node, *deeds) in acts.items():
            said = self.run_fault(name, "--kubernetes", "lab", "--for", "0", "--image", "registry.example.org/busybox:1").stderr
            self.assertRegex(said, rf"(?s)\A{name}: will .*{name}: watch .*{name}: undoing\n{name}: undone\n\Z")
            first, *runs = self.told()
            self.assertEqual(first[1], ["--context", "lab", "--namespace", "histod", "get", "namespace", "histod", "--output", "name"])
            self.assertEqual(len(runs), len([deed for deed in deeds if deed]))
            for (program, words, script), deed in zip(runs, deeds):
                self.assertEqual((program, words[:5]), ("kubectl", ["--context", "lab", "--namespace", "histod", "run"]))
                self.assertLessEqual({"--rm", "--stdin", "--quiet", "--restart=Never"}, set(words))
                pod = json.loads(next(word for word in words if word.startswith("--overrides=")).partition("=")[2])["spec"]
                self.assertEqual((pod["nodeName"], pod["hostPID"], pod["hostNetwork"]), (node, True, True))
                self.assertEqual(pod["containers"][0]["image"], "registry.example.org/busybox:1")
                self.assertIn(deed, script)
                self.check_script(script)

    def test_kubernetes_by_its_own_means(self):
        kube = ["--context", "lab", "--namespace", "histod"]
        self.run_fault("quorum-lost", "--kubernetes", "lab", "--for", "0")
        self.assertEqual([words[4:] for _, words, _ in self.told()][1:], [
            ["get", "statefulset", "zk", "--output", "jsonpath={.spec.replicas}"], ["scale", "statefulset", "zk", "--replicas=1"],
            ["scale", "statefulset", "zk", "--replicas=3"]])
        self.run_fault("node-drained", "--kubernetes", "lab", "--for", "0", "--node", "histo-03")
        calls = self.told()
        self.assertTrue(all(words[:4] == kube for _, words, _ in calls))
        self.assertEqual([words[4:] for _, words, _ in calls][1:], [
            ["drain", "histo-03", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=10m"], ["label", "node", "histo-03", "histod.io/engine-"],
            ["label", "node", "histo-03", "histod.io/engine=true", "--overwrite"], ["uncordon", "histo-03"]])

    def test_ssh(self):
        for name in FAULTS:
            more = ("--zookeeper", "zk-1,zk-2") if name == "quorum-lost" else ()
            self.run_fault(name, "--ssh", "--for", "0", *more)
            calls = self.told()
            self.assertTrue(calls)
            for program, words, script in calls:
                self.assertEqual((program, words[:3], words[4:]), ("ssh", ["-o", "BatchMode=yes", "--"], ["sudo", "-n", "sh", "-s"]))
                self.assertIn(words[3], ("zk-1", "zk-2") if more else ("histo-01", "histo-02"))
                self.check_script(script)
        self.assertIn("--zookeeper", self.run_fault("quorum-lost", "--ssh", expect=2).stderr)

    def test_what_begins_badly_is_undone(self):
        self.run_fault("zookeeper-dropped", "--ssh", expect=1, STUB_FAIL="rules --insert")
        self.assertIn("rules --delete", self.told()[-1][2])
        said = self.run_fault("zookeeper-dropped", "--ssh", "--for", "0", expect=1, STUB_FAIL="rules --delete").stderr
        self.assertIn("NOT UNDONE; again with: ", said)
        self.told()
        self.run_fault("zookeeper-dropped", "--ssh", "--undo", "--node", "histo-02")
        [(_, _, script)] = self.told()
        self.assertIn("rules --delete", script)


class FleetFaultTest(FleetDataTest):
    """On processes, ports, disks and clocks that are there."""

    def setUp(self):
        super().setUp()
        self.accepted = {}

    def start_fleet(self, *add):
        self.up("4s", "-n", "2" if add else "3", "--", "--takeover-after", "2s", "--min-nodes", "1")
        if add:
            self.know(fleet("add", "--state", self.state, *add))
        self.whole()

    def know(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.nodes = {node["name"]: node for node in json.loads(done.stdout)["nodes"]}
        self.pids += [node["pid"] for node in self.nodes.values()]

    def whole(self):
        return self.agree(sorted(self.nodes), self.nodes)

    def roles(self):
        seen = self.whole()
        return seen["leader"]["name"], [name for name in sorted(self.nodes) if name != seen["leader"]["name"]]

    def begin(self, name, *words):
        """Returns when the fault is there; whoever interrupts it waits for its end."""
        log = self.state.parent / "said"
        with open(log, "wb") as said:
            process = subprocess.Popen([CHAOS / name, "--fleet", self.state, "--for", "3600", *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                       env={**os.environ, "HISTOCTL": HISTOCTL})
        self.addCleanup(lambda: process.poll() is None and process.kill())
        wait_for(lambda: process.poll() is not None or "done; it lasts" in log.read_text(), f"{name} acts")
        self.assertIsNone(process.poll(), log.read_text())
        self.assertRegex(log.read_text(), rf"(?s)\A{name}: will .*{name}: watch ")
        return process, log

    def end(self, fault, number=signal.SIGINT):
        process, log = fault
        process.send_signal(number)
        self.assertEqual(process.wait(LIMIT_S), 128 + number, log.read_text())
        self.assertIn(": undone\n", log.read_text())

    def accept(self, *names):
        for name in names:
            pixels = images.noisy(300, 200, len(self.accepted) + 1)
            answer = wait_for(lambda one=name, body=images.encode(pixels): (done := self.call(one, "/v1/jobs", "POST", body))[0] == 202 and done,
                              f"{name} accepts a job")
            self.accepted[json.loads(answer[2])["id"]] = pixels

    def recovered(self):
        done = fleet("status", "--state", self.state)
        self.know(done)
        self.whole()
        self.assertTrue(self.accepted)
        for name in self.nodes:
            for job, pixels in self.accepted.items():
                self.assertEqual(self.is_done(name, job)["state"], "done")
                self.assertTrue((images.decode(self.call(name, f"/v1/jobs/{job}/result")[2]) == images.equalized(pixels)).all(), (name, job))

    def test_leader_killed(self):
        self.start_fleet()
        leader, workers = self.roles()
        epoch = self.cluster(workers[0])["leader"]["epoch"]
        self.accept(leader)
        fault = self.begin("leader-killed")
        self.assertIsNone(fleet_processes.start_ticks(self.nodes[leader]["pid"]))
        self.accept(*workers)
        self.assertGreater(self.agree(workers, workers)["leader"]["epoch"], epoch)
        self.end(fault)
        self.recovered()

    def test_zookeeper_dropped(self):
        self.start_fleet()
        leader, workers = self.roles()
        fault = self.begin("zookeeper-dropped")
        wait_for(lambda: self.cluster(leader)["zookeeper"]["state"] == "LOST", f"{leader} is LOST")
        self.assertIn(self.agree(workers, workers)["leader"]["name"], workers)
        self.accept(leader, *workers)
        self.end(fault)
        self.recovered()

    def test_quorum_lost(self):
        self.start_fleet()
        fault = self.begin("quorum-lost")
        for name in self.nodes:
            wait_for(lambda one=name: self.cluster(one)["zookeeper"]["state"] == "LOST", f"{name} is LOST")
        self.accept(*self.nodes)
        self.end(fault, signal.SIGTERM)
        self.recovered()

    def test_worker_stopped(self):
        self.start_fleet()
        leader, (worker, other) = self.roles()
        fault = self.begin("worker-stopped", "--node", worker)
        self.agree([leader, other], [leader, other])
        self.accept(leader, other)
        self.end(fault)
        self.recovered()

    def test_node_drained(self):
        self.start_fleet()
        _, workers = self.roles()
        self.accept(workers[0])
        fault = self.begin("node-drained", "--node", workers[0])
        left = sorted(set(self.nodes) - {workers[0]})
        self.agree(left, left)
        self.accept(*left)
        self.end(fault)
        self.recovered()

    def test_a_run_that_was_killed_is_undone_later(self):
        self.start_fleet()
        leader, _ = self.roles()
        process, _ = self.begin("zookeeper-dropped", "--node", leader)
        process.kill()
        process.wait()
        wait_for(lambda: self.cluster(leader)["zookeeper"]["state"] == "LOST", f"{leader} is LOST")
        self.accept(leader)
        done = subprocess.run([CHAOS / "zookeeper-dropped", "--fleet", self.state, "--undo", "--node", leader], env={**os.environ, "HISTOCTL": HISTOCTL},
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, "zookeeper-dropped: undone\n"))
        self.recovered()

    def wrapped(self, line):
        """A program that starts histod by this line of shell, for tools/fleet add."""
        script = self.state.parent / "wrapped"
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o700)
        return "--histod", script

    def test_disk_full(self):
        spool = self.state / "node3" / "spool"
        mount = f"mkdir -p {spool} && mount -t tmpfs -o size=48m,mode=700 histod-test {spool}"
        self.start_fleet(*self.wrapped(f"exec unshare --mount sh -c '{mount} && exec {PROGRAM} \"$@\"' sh \"$@\""))
        fault = self.begin("disk-full", "--node", "node3")
        status, _, answer = self.call("node3", "/v1/jobs", "POST", images.encode(images.noisy(300, 200)))
        self.assertEqual(status, 507, answer)
        self.accept("node1", "node2")
        self.end(fault)
        self.accept("node3")
        self.recovered()

    def test_disk_that_is_shared_is_refused(self):
        self.start_fleet()
        done = subprocess.run([CHAOS / "disk-full", "--fleet", self.state, "--node", "node2", "--for", "0"], env={**os.environ, "HISTOCTL": HISTOCTL},
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"has no file system of its own, but is on /")
        self.assertEqual(list((self.state / "node2/spool").glob("*filler")), [])

    def test_clock_stepped(self):
        library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
        self.assertIsNotNone(library, "install libfaketime (tools/test does)")
        clock = self.state.parent / "clock"
        clock.write_text("+0\n")
        faked = f"LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={clock} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
        self.start_fleet(*self.wrapped(f"exec env {faked} {PROGRAM} \"$@\""))
        fault = self.begin("clock-stepped", "--node", "node3", "--step", "7200")
        self.accept("node3", "node1")
        ahead, now = (self.job(name, job)["created_at"] for name, job in zip(("node3", "node1"), self.accepted))
        self.assertGreater(ahead[:13], now[:13], "hours of the two clocks")
        self.end(fault)
        self.assertRegex(clock.read_text(), re.compile(r"\A\+0\n\Z"))
        self.accept("node3")
        self.recovered()
        refused = subprocess.run([CHAOS / "clock-stepped", "--fleet", self.state, "--node", "node1", "--for", "0"], env={**os.environ, "HISTOCTL": HISTOCTL},
                                 capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertIn("its clock is the machine's own", refused.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
