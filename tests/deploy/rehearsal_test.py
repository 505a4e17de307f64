#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/rollout/rehearse: the whole rollout, and that the recording in the repository is of such a one. HISTOD_BUILD names the build folder."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from systemd_support import ROOT, need, skip  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HISTOD_BUILD", ROOT / "build/release")).resolve()
REHEARSE = ROOT / "deploy/rollout/rehearse"
RECORDED = ROOT / "deploy/rollout/recorded.jsonl"
NODES = {"histo-01", "histo-02", "histo-03"}
LIMIT_S = 850


def events_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kinds(events, tool):
    """The types and subjects of a tool's events, each once, in the order in which they first came; as sets where many things go on at one time."""
    found = dict.fromkeys((event["type"].removeprefix("io.histod.rollout."), event.get("subject", "")) for event in events
                          if event["type"].startswith(f"io.histod.rollout.{tool}."))
    return list(found) if tool == "ansible" else sorted(found)


def fleet_kinds(events):
    return {event["type"] for event in events if not event["type"].startswith("io.histod.rollout.")}


class RehearsalTest(unittest.TestCase):
    def check(self, events):
        """What has to be in a recording, in this order."""
        self.assertEqual(len({(event["source"], event["id"]) for event in events}), len(events))
        times = [event["time"] for event in events]
        self.assertEqual(times, sorted(times))
        self.assertEqual({event["rolloutid"] for event in events if event["type"].startswith("io.histod.rollout.")}, {"rehearsal"})
        self.assertLessEqual(NODES, {event.get("node") for event in events})
        self.check_phases(events)
        self.check_leader_and_jobs(events)
        text = json.dumps(events)
        self.assertNotRegex(text, r"/work/|/home/(?!histod-admin)|/root/|planted-provider-token", "nothing of the machine that recorded it")
        self.assertFalse([event["type"] for event in events if event["type"].endswith((".unreadable", ".output", ".unknown"))])

    def check_phases(self, events):
        phases = [("rollout.terraform.apply_errored", "no c3-small-x86"), ("rollout.terraform.apply_complete", "histo-03"),
                  ("rollout.ansible.playbook_started", "systemd.yml"), ("rollout.ansible.play_started", "Run ZooKeeper"),
                  ("rollout.ansible.play_started", "Run histod"), ("cluster.node_joined", ""), ("rollout.ansible.playbook_finished", ""),
                  ("job.done", ""), ("rollout.systemd.unit_result", "signal"), ("rollout.systemd.unit_started", "histod.service"),
                  ("cluster.leader", "leads the cluster (epoch 2)")]
        place = 0
        for kind, word in phases:
            there = [index for index, event in enumerate(events[place:], place) if event["type"] == f"io.histod.{kind}" and word in json.dumps(event)]
            if kind.endswith("apply_errored"):  # why comes in an event of its own
                there = [index for index, event in enumerate(events) if event["type"].endswith("apply_errored")]
                self.assertIn(word, json.dumps(events))
            self.assertTrue(there, f"no {kind} {word} behind event {place}")
            place = there[0]
        finished = [event for event in events if event["type"].endswith("playbook_finished")]
        self.assertEqual([event["severity"] for event in finished], ["ok"], "one playbook, and nothing failed")

    def check_leader_and_jobs(self, events):
        leaders = [event["data"]["message"].split()[1] for event in events if event["type"] == "io.histod.cluster.leader"]
        killed = [event["node"] for event in events if event["type"].endswith("systemd.unit_result")]
        self.assertEqual((len(leaders), leaders[:1]), (2, killed))
        self.assertNotIn(leaders[1], killed)
        done = [event for event in events if event["type"] == "io.histod.job.done"]
        self.assertGreaterEqual(len({event["subject"] for event in done}), 12)
        self.assertFalse([event for event in events if event["type"] == "io.histod.job.failed"])

    def test_help(self):
        done = subprocess.run([REHEARSE, "--help"], capture_output=True, text=True, check=False, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0)
        for word in ("stub provider", "systemd.yml", "leader-killed", "--out FILE"):
            self.assertIn(word, done.stdout)

    def test_the_recording_in_the_repository(self):
        self.check(events_of(RECORDED))

    def test_it_can_be_recorded_anew(self):
        need("mmdebstrap", "systemd-nspawn", "ansible-playbook", "ssh", "ssh-keygen", "terraform", "cpack")
        if os.geteuid() != 0:
            skip("machines are booted as root only")
        with tempfile.TemporaryDirectory(prefix="histod-") as folder:
            out = pathlib.Path(folder) / "new.jsonl"
            done = subprocess.run([REHEARSE, "--out", out, "--build", BUILD], env={**os.environ, "TMPDIR": folder}, capture_output=True, text=True,
                                  check=False, timeout=LIMIT_S)
            self.assertEqual(done.returncode, 0, done.stderr[-20000:])
            print(done.stderr, flush=True)
            events = events_of(out)
            self.assertEqual([path.name for path in pathlib.Path(folder).iterdir()], ["new.jsonl"], "nothing else is left")
        self.check(events)
        recorded = events_of(RECORDED)
        for tool in ("terraform", "ansible", "systemd"):
            self.assertEqual(kinds(events, tool), kinds(recorded, tool), f"rehearse again, into recorded.jsonl: {tool} says something else now")
        self.assertEqual(fleet_kinds(events), fleet_kinds(recorded))


if __name__ == "__main__":
    unittest.main(verbosity=2)
