# SPDX-License-Identifier: Apache-2.0
"""histoctl events: send, tail, replay."""
import json
import os
import pathlib
import pty
import signal
import subprocess
import unittest

import stub_events
from harness import HISTOCTL, HistoctlTest

FIXTURES = pathlib.Path(os.environ["HISTOD_SOURCE"]) / "tests/daemon/telemetry"
TERRAFORM = (FIXTURES / "terraform.in").read_bytes()


def event(number, **changes):
    return {"specversion": "1.0", "id": f"e{number}", "source": "/test", "type": "io.histod.rollout.terraform.apply_start",
            "time": f"2026-01-02T03:04:{number % 60:02}.000Z", "severity": "info", "node": "n1", "rolloutid": "old",
            "data": {"message": f"message {number}"}, **changes}


class EventsTest(HistoctlTest):
    server_class = stub_events.EventServer

    def batches(self):
        return [json.loads(exchange.body) for exchange in self.server.log if exchange.method == "POST"]

    def recording(self, events):
        path = self.work / "recorded.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in events))
        return path


class SendTest(EventsTest):
    def test_what_terraform_says(self):
        self.run_ctl("events", "send", "--source", "terraform", stdin=TERRAFORM)
        types = {each["type"] for each in self.server.events}
        self.assertIn("io.histod.rollout.terraform.apply_complete", types)
        self.assertIn("io.histod.rollout.terraform.diagnostic", types)
        self.assertTrue(all(each["source"] == "/rollout/terraform" for each in self.server.events))
        self.assertNotIn("Pl4nted", json.dumps(self.server.events))

    def test_the_same_recording_is_told_once(self):
        (self.work / "run.jsonl").write_bytes(TERRAFORM)
        [first] = self.json_lines("events", "send", "--source", "terraform", "--file", "run.jsonl")
        [second] = self.json_lines("events", "send", "--source", "terraform", stdin=TERRAFORM)
        self.assertEqual((first["duplicates"], first["lost"]), (0, 0))
        self.assertEqual((second["accepted"], second["duplicates"]), (0, first["accepted"]))
        [third] = self.json_lines("events", "send", "--source", "terraform", "--rollout", "another", stdin=TERRAFORM)
        self.assertEqual(third["accepted"], first["accepted"])

    def test_text_without_times_is_another_run_each_time(self):
        for _ in range(2):
            [done] = self.json_lines("events", "send", "--source", "kubeadm", stdin=b"[preflight] Running\n")
            self.assertEqual(done["accepted"], 1)

    def test_many_go_in_bounded_batches(self):
        lines = b"".join(b"[phase%d] %s\n" % (i, b"x" * 900) for i in range(1500))
        self.run_ctl("events", "send", "--source", "kubeadm", stdin=lines)
        self.assertEqual(len(self.server.events), 1500)
        self.assertGreater(len(self.batches()), 5)

    def test_slow_lines_are_told_while_they_come(self):
        running = self.start("events", "send", "--source", "kubeadm", stdin=subprocess.PIPE)
        for number in range(2):
            running.stdin.write(b"[phase%d] text\n" % number)
            running.stdin.flush()
            while len(self.server.events) <= number:  # the test's limit of time ends it
                self.assertIsNone(running.poll())
        running.stdin.close()
        self.assertEqual(running.wait(60), 0)
        running.stdout.close()
        running.stderr.close()

    def test_trouble_that_passes(self):
        self.server.plans.extend([{"status": 429, "fields": {"Retry-After": "1"}}, {"status": 500}, "drop", {"status": 503}])
        [done] = self.json_lines("events", "send", "--source", "terraform", stdin=TERRAFORM)
        self.assertEqual((done["lost"], done["accepted"]), (0, len(self.server.events)))
        self.assertEqual(len(self.server.plans), 0)

    def test_nobody_there(self):
        done = self.run_ctl("events", "send", "--source", "terraform", "--retries", "0", stdin=TERRAFORM, expect=3,
                            env=self.environment(HISTOCTL_SERVER=self.closed_port_url()))
        self.assert_one_line(done, "events could not be delivered", "cannot reach")

    def test_the_tool_before_the_pipe_is_never_stopped(self):
        """All is read, though nothing can be delivered: far more than a pipe holds."""
        lines = b"[phase] text\n" * 200_000
        done = self.run_ctl("events", "send", "--source", "kubeadm", stdin=lines, expect=4,
                            env=self.environment(HISTOCTL_TOKEN_FILE=None, HISTOCTL_TOKEN="read-token-1"))
        self.assert_one_line(done, "200000 of 200000 events could not be delivered", "another role")
        self.assertEqual(len(self.server.log), 0, "a refused token is not tried again: the stub logs what it let in")

    def test_ctrl_c_is_for_the_tool(self):
        running = self.start("events", "send", "--source", "kubeadm", stdin=subprocess.PIPE)
        running.stdin.write(b"[first] text\n")
        running.stdin.flush()
        while not self.server.events:
            self.assertIsNone(running.poll())
        running.send_signal(signal.SIGINT)
        running.stdin.write(b"[last] text\n")
        running.stdin.close()
        self.assertEqual(running.wait(60), 0)
        self.assertEqual(len(self.server.events), 2)
        running.stdout.close()
        running.stderr.close()

    def test_out_asks_no_daemon_and_needs_no_token(self):
        bare = self.environment(HISTOCTL_SERVER="nonsense", HISTOCTL_TOKEN_FILE="/missing")
        self.run_ctl("events", "send", "--source", "terraform", "--out", "events.jsonl", stdin=TERRAFORM, env=bare)
        lines = (self.work / "events.jsonl").read_text().splitlines()
        self.assertEqual({json.loads(line)["specversion"] for line in lines}, {"1.0"})
        done = self.run_ctl("events", "send", "--source", "terraform", "--out", "-", stdin=TERRAFORM, env=bare)
        self.assertEqual(done.stdout.decode().splitlines(), lines)
        self.assertEqual(self.server.log, [])

    def test_out_that_cannot_be_written(self):
        done = self.run_ctl("events", "send", "--source", "flux", "--out", "missing/x", expect=2)
        self.assert_one_line(done, "missing/x", "No such file")
        if os.path.exists("/dev/full"):
            done = self.run_ctl("events", "send", "--source", "kubeadm", "--out", "/dev/full", stdin=b"x\n", expect=1)
            self.assert_one_line(done, "/dev/full", "No space left")

    def test_the_token_that_may_only_post(self):
        self.token_file.write_text("read read-token-1\nevents events-token-4 terraform\n")
        self.run_ctl("events", "send", "--source", "kubeadm", stdin=b"x\n")
        self.assertEqual(self.server.log[-1].fields["Authorization"], "Bearer events-token-4")
        self.run_ctl("events", "tail")
        self.assertEqual(self.server.log[-1].fields["Authorization"], "Bearer read-token-1")

    def test_hostile_input(self):
        hostile = b"\xff\xfe\x00\x1b[2J\n{\n{\"a\":\n" + b"[" * 5_000_000 + b"\n{\"type\":\"version\"}"
        self.run_ctl("events", "send", "--source", "terraform", stdin=hostile)
        text = json.dumps(self.server.events)
        self.assertNotIn("\\u001b", text)

    def test_command_line(self):
        for words, part in ((("send",), "--source"), (("send", "--source", "cobol"), "cobol is not one of terraform|"),
                            (("tail", "--speed", "2"), "--speed: not an option of events tail"), ((), "send, tail or replay"),
                            (("replay",), "name one file"), (("send", "--source", "flux", "--rollout", "a b"), "--rollout"),
                            (("replay", "x", "--speed", "0"), "--speed"), (("replay", "missing"), "missing: cannot read"),
                            (("send", "--source", "flux", "--file", "missing"), "missing: cannot read")):
            self.assert_one_line(self.run_ctl("events", *words, expect=2), part)
        self.assertIn(b"terraform apply -json | histoctl events send --source terraform",
                      self.run_ctl("events", "--help").stdout)
        for shell in ("bash", "zsh", "fish"):
            self.assertIn(b"replay", self.run_ctl("completion", shell).stdout)


class TailTest(EventsTest):
    def test_text(self):
        self.server.add_event(event(1, severity="error", data={"message": "bad \x1b[2Jnews\nand more"}))
        self.server.add_event(event(2, replay=True, type="foreign.type", data=None, subject="s", node=""))
        self.assertEqual(self.run_ctl("events", "tail").stdout.decode().splitlines(), [
            "2026-01-02T03:04:01.000Z error   n1           rollout.terraform.apply_start: bad ?[2Jnews?and more",
            "2026-01-02T03:04:02.000Z info                 foreign.type: (replay) s"])

    def test_filters_and_limit(self):
        for number in range(1, 81):
            self.server.add_event(event(number, severity="error" if number % 2 else "debug", node=f"n{number % 3}"))
        self.assertEqual(len(self.run_ctl("events", "tail").stdout.splitlines()), 50)
        found = self.json_lines("events", "tail", "-n", "5", "--severity", "warning", "--node", "n1",
                                "--type", "io.histod.rollout")
        self.assertEqual([each["id"] for each in found], ["e55", "e61", "e67", "e73", "e79"])

    def test_following(self):
        self.server.add_event(event(1))
        running = self.start("events", "tail", "--follow", "--json", "--limit", "1")
        self.assertEqual(json.loads(running.stdout.readline())["id"], "e1")
        for number in range(2, 5):
            self.server.add_event(event(number))
            self.assertEqual(json.loads(running.stdout.readline())["id"], f"e{number}")
        with self.server.lock:  # the daemon begins anew
            self.server.events, self.server.last, self.server.identity = [], 0, "stub-2"
        self.server.add_event(event(9))
        self.assertEqual(json.loads(running.stdout.readline())["id"], "e9")
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(60), 0)
        running.stdout.close()
        running.stderr.close()

    def test_colours_on_a_terminal_only(self):
        self.server.add_event(event(1, severity="ok"))
        ours, theirs = pty.openpty()
        subprocess.run([HISTOCTL, "events", "tail"], stdout=theirs, env=self.environment(), timeout=60, check=True)
        os.close(theirs)
        self.assertTrue(os.read(ours, 4096).startswith(b"\x1b[32m2026-"))
        os.close(ours)

    def test_failures(self):
        self.assert_one_line(self.run_ctl("events", "tail", env=self.environment(HISTOCTL_TOKEN_FILE=None), expect=4), "token")
        self.assert_one_line(self.run_ctl("events", "tail", "--retries", "0", expect=3,
                                          env=self.environment(HISTOCTL_SERVER=self.closed_port_url())), "cannot reach")


class ReplayTest(EventsTest):
    def test_it_is_marked_and_new(self):
        path = self.recording([event(1), event(1), event(2, sequence=7)])
        self.run_ctl("events", "replay", path, "--rollout", "again", "--gap", "0")
        self.assertEqual([each["data"]["message"] for each in self.server.events], ["message 1", "message 1", "message 2"])
        for each in self.server.events:
            self.assertIs(each["replay"], True)
            self.assertEqual(each["rolloutid"], "again")
            self.assertTrue(each["recordedtime"].startswith("2026-01-02T03:04:0"))
            self.assertFalse(each["time"].startswith("2026-01-02"))
        self.assertEqual(len({each["id"] for each in self.server.events} - {"e1", "e2"}), 3)
        [done] = self.json_lines("events", "replay", path, "--rollout", "again", "--gap", "0")
        self.assertEqual((done["accepted"], done["duplicates"]), (0, 3))
        [done] = self.json_lines("events", "replay", path, "--gap", "0")
        self.assertEqual(done["accepted"], 3)

    def test_what_lies_apart_is_told_apart(self):
        path = self.recording([event(1), event(2), event(40), event(41)])
        self.run_ctl("events", "replay", path, "--speed", "10", "--gap", "0.2")
        self.assertEqual([len(batch) for batch in self.batches()], [1, 1, 1, 1])
        path = self.recording([event(1), event(2), event(40), event(41)])
        self.run_ctl("events", "replay", path, "--speed", "1000000")
        self.assertEqual([len(batch) for batch in self.batches()[4:]], [4])

    def test_damage(self):
        for text, part in (("{", "line 1: not JSON"), (json.dumps(event(1)) + "\n\n[]", "line 3: an event is not a JSON object"),
                           ("x" * 400_000, "line 1")):
            (self.work / "bad").write_text(text)
            self.assert_one_line(self.run_ctl("events", "replay", "bad", expect=1), part)

    def test_interrupted(self):
        path = self.recording([event(1), event(59)])
        running = self.start("events", "replay", path, "--gap", "3600")
        while not self.server.events:
            self.assertIsNone(running.poll())
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(60), 130)
        running.stdout.close()
        running.stderr.close()


if __name__ == "__main__":
    unittest.main()
