#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/terraform/bin/apply: whatever happens to the events, Terraform's work and its exit status come through."""
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "terraform"))
import rig  # noqa: E402

import yaml  # noqa: E402

HISTOCTL = os.environ.setdefault("HISTOCTL", str(rig.SOURCE / "build/release/bin/histoctl"))
HISTOD = os.environ.setdefault("HISTOD", str(rig.SOURCE / "build/release/bin/histod"))
NODES = [f'latitudesh_server.node["histo-0{number}"]' for number in (1, 2, 3)]


def wait_for(condition):
    """For what is in files and processes there is nothing else to wait for."""
    deadline, pause = time.monotonic() + rig.RUN_LIMIT_S / 3, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        pause.wait(0.02)


class ApplyProgramTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = rig.Workspace()
        cls.addClassCleanup(cls.place.close)
        cls.place.init()

    def setUp(self):
        self.place.settings()
        folder = tempfile.TemporaryDirectory(prefix="histod-apply-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.events = self.folder / "events.jsonl"
        self.inventory = self.folder / "inventory.yml"
        self.addCleanup(self.place.forget)

    def environment(self, **changes):
        return {**self.place.environment, "HISTOCTL": HISTOCTL, **changes}

    def command(self, *words):
        return [self.place.terraform / "bin/apply", "--rollout", self.id().rsplit(".", 1)[1], "--inventory", self.inventory, *words]

    def apply(self, *words, expect=0, **environment):
        done = subprocess.run(self.command(*words), env=self.environment(**environment), capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              cwd=self.folder, timeout=rig.RUN_LIMIT_S, check=False)
        self.assertEqual(done.returncode, expect, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def stream(self):
        return self.place.terraform / ".terraform" / f"{self.id().rsplit('.', 1)[1]}.jsonl"

    def kinds(self, path=None):
        return [event["type"].rsplit(".", 1)[1] for event in rig.events_of(path or self.events)]

    def wait_until_held(self, fifo):
        """One node is held, and the other two are made: they may come later."""
        self.assertEqual(fifo.read_text(), "held\n")
        wait_for(lambda: all(f"{node}: Creation complete".replace('"', '\\"') in self.stream().read_text() for node in (NODES[0], NODES[2])))

    def assert_golden(self, events):
        """Terraform says less of a plan that was saved than of one that it makes itself."""
        self.assertEqual(rig.normal(events), rig.golden("terraform_apply_of_plan.jsonl", rig.normal(events)))

    def nodes(self):
        return [address for address in self.place.state() if address in NODES]


class OutcomeTest(ApplyProgramTest):
    def test_success(self):
        done = self.apply("--yes", "--events", self.events)
        self.assertEqual(self.nodes(), NODES)
        self.assert_golden(rig.events_of(self.events))
        self.assertIn("Apply complete! Resources: 15 added", done.stdout)
        hosts = yaml.safe_load(self.inventory.read_text())["all"]["children"]["zookeeper"]["hosts"]
        self.assertEqual(sorted(hosts), ["histo-01", "histo-02", "histo-03"])
        for path in (self.inventory, self.stream(), self.place.terraform / "terraform.tfstate"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
        self.assertEqual(list(self.place.terraform.glob(".terraform/*.tfplan*")), [], "the plan is taken away")
        for text in (done.stdout, done.stderr, self.events.read_text(), self.stream().read_text()):
            self.assertNotIn(rig.TOKEN, text)

    def test_a_node_that_cannot_be_made(self):
        self.place.settings(fail={"histo-02": 'no "c3" is left\nat this site'})
        done = self.apply("--yes", "--events", self.events, expect=1)
        self.assertEqual(self.nodes(), [NODES[0], NODES[2]])
        self.assertIn('Error: Client Error: Unable to create server, got error: no "c3" is left at this site', done.stdout)
        self.assertIn("terraform ended with 1", done.stderr)
        self.assertIn("apply_errored", self.kinds())
        self.assertFalse(self.inventory.exists())

    def test_destroying_keeps_the_old_inventory_and_says_so(self):
        self.apply("--yes", "--events", self.events)
        before = self.inventory.read_text()
        self.stream().unlink()
        done = self.apply("--yes", "--events", self.events, "--", "-destroy")
        self.assertEqual(self.place.state(), [])
        self.assertEqual(self.inventory.read_text(), before)
        self.assertIn("there are no nodes any more", done.stderr)

    def test_a_plan_that_fails(self):
        done = self.apply("--yes", "--events", self.events, "--", "-var", "billing=weekly", expect=1)
        self.assertIn("billing takes hourly, monthly or yearly", done.stderr)
        self.assertFalse(self.stream().exists() and self.stream().stat().st_size)


class SinkTest(ApplyProgramTest):
    def test_a_daemon_that_is_not_there_costs_nothing_but_the_events(self):
        done = self.apply("--yes", "--server", "http://127.0.0.1:9")
        self.assertEqual(self.nodes(), NODES)
        self.assertTrue(self.inventory.exists())
        self.assertIn("not all events were delivered", done.stderr)
        [again] = re.findall(r"^  (\S.* --file \S+) *$", done.stderr, re.M)
        subprocess.run([*again.replace("--server http://127.0.0.1:9", "--out events.jsonl").split(), "--quiet"], cwd=self.folder, check=True,
                       env=self.environment())
        self.assert_golden(rig.events_of(self.events))

    def test_a_sender_that_dies_at_once_stops_nobody(self):
        sender = self.folder / "histoctl"
        sender.write_text("#!/bin/sh\nexit 7\n")
        sender.chmod(0o755)
        done = self.apply("--yes", "--events", self.events, HISTOCTL=str(sender))
        self.assertEqual(self.nodes(), NODES)
        self.assertIn("not all events were delivered", done.stderr)

    def test_a_failure_is_not_hidden_by_the_daemon(self):
        self.place.settings(fail={"histo-01": "no"})
        self.apply("--yes", "--server", "http://127.0.0.1:9", expect=1)

    def test_a_real_daemon(self):
        if not shutil.which(HISTOD):
            self.fail(f"{HISTOD} is missing: build it, or name it with HISTOD")
        sys.path.insert(0, str(rig.SOURCE / "tests/e2e"))
        import harness  # pylint: disable=import-outside-toplevel
        with harness.Daemon() as daemon:
            token_file = self.folder / "token"
            token_file.write_text(f"submit {daemon.tokens['submit']}\n")
            done = self.apply("--yes", "--server", f"http://127.0.0.1:{daemon.port}", "--token-file", token_file)
            self.assertNotIn("not all events", done.stderr)
            told = subprocess.run([HISTOCTL, "events", "tail", "--json", "-n", "1000", "--type", "io.histod.rollout.terraform", "--server",
                                   f"http://127.0.0.1:{daemon.port}", "--token-file", token_file], env=self.environment(), check=True,
                                  capture_output=True, text=True, timeout=rig.RUN_LIMIT_S).stdout
        self.assert_golden([json.loads(line) for line in told.splitlines()])


class InterruptionTest(ApplyProgramTest):
    """The stub holds one node until Terraform stops it: then there is something to interrupt."""

    def start(self, *words, deaf=False, **environment):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        self.place.settings(hold=["histo-02", str(fifo)], deaf=deaf)
        with open(self.folder / "said", "wb") as said:
            process = subprocess.Popen(self.command("--yes", *words), env=self.environment(**environment), stdin=subprocess.DEVNULL, stdout=said,
                                       stderr=said, start_new_session=True)
        self.addCleanup(process.wait)
        self.wait_until_held(fifo)
        return process

    def ended(self, process, expect):
        status = process.wait(timeout=rig.RUN_LIMIT_S)
        said = (self.folder / "said").read_text()
        self.assertEqual(status, expect, said)
        return said

    @staticmethod
    def children(pid):
        found, todo = [], [pid]
        while todo:
            for path in pathlib.Path(f"/proc/{todo.pop()}/task").glob("*/children"):
                below = [int(word) for word in path.read_text().split()]
                found += below
                todo += below
        return found

    def terraform_of(self, process):
        [found] = [child for child in self.children(process.pid)
                   if pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[:2] == [b"terraform", b"apply"]]
        return found

    def test_control_c_lets_terraform_finish(self):
        token_file = self.folder / "token"
        token_file.write_text("events planted-dashboard-token\n")
        process = self.start("--events", self.events)
        arguments = b" ".join(pathlib.Path(f"/proc/{child}/cmdline").read_bytes() for child in self.children(process.pid))
        self.assertIn(b"events\0send", arguments)
        self.assertNotIn(b"planted", arguments, "no secret is in anybody's arguments")
        os.killpg(process.pid, signal.SIGINT)
        said = self.ended(process, 1)
        self.assertIn("context canceled", said)
        self.assertNotIn("Two interrupts", said)
        self.assertEqual(self.nodes(), [NODES[0], NODES[2]], "what was made is known")
        self.assertIn("apply_errored", self.kinds(), "the end is told, too")

    def test_control_c_twice_stops_it_at_once(self):
        process = self.start("--events", self.events, deaf=True)
        stubs = [child for child in self.children(process.pid) if b"stub_provider" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes()]
        os.kill(process.pid, signal.SIGINT)
        wait_for(lambda: "Gracefully shutting down" in self.stream().read_text())
        os.kill(process.pid, signal.SIGINT)
        said = self.ended(process, 1)
        self.assertIn("Two interrupts received", said)
        self.assertTrue(stubs)
        wait_for(lambda: not any(pathlib.Path(f"/proc/{stub}/cmdline").exists() for stub in stubs))

    def test_a_terminal_that_goes_away_stops_nothing(self):
        process = self.start("--events", self.events)
        os.killpg(process.pid, signal.SIGHUP)
        os.kill(process.pid, signal.SIGTERM)
        self.ended(process, 1)
        self.assertEqual(self.nodes(), [NODES[0], NODES[2]])
        self.assertEqual(self.kinds()[-1], "diagnostic")

    def test_a_terraform_that_is_killed(self):
        process = self.start("--events", self.events)
        os.kill(self.terraform_of(process), signal.SIGKILL)
        said = self.ended(process, 128 + signal.SIGKILL)
        self.assertIn("terraform ended with 137", said)
        with open(self.stream(), "ab") as stream:
            stream.write(b'{"@level":"info","@mess')
        out = self.folder / "again.jsonl"
        subprocess.run([HISTOCTL, "events", "send", "--source", "terraform", "--rollout", "r", "--quiet", "--file", self.stream(), "--out", out],
                       check=False, timeout=rig.RUN_LIMIT_S)
        self.assertEqual(self.kinds(out)[:len(self.kinds())], self.kinds(), "what was said before is told, half a line or not")
        self.assertIn("apply_start", self.kinds())

    def test_a_sender_that_is_killed(self):
        process = self.start("--events", self.events)
        [sender] = [child for child in self.children(process.pid) if b"send" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")]
        os.kill(sender, signal.SIGKILL)
        os.kill(process.pid, signal.SIGINT)
        said = self.ended(process, 1)
        self.assertIn("not all events were delivered", said)
        self.assertIn("context canceled", self.stream().read_text(), "what Terraform says goes on")


    def test_a_daemon_that_takes_nothing_can_be_left(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with open(self.folder / "said", "wb") as said:
                process = subprocess.Popen(self.command("--yes", "--server", f"http://127.0.0.1:{silent.getsockname()[1]}"), stdout=said,
                                           env=self.environment(), stdin=subprocess.DEVNULL, stderr=said, start_new_session=True)
            wait_for(lambda: self.inventory.exists() or process.poll() is not None)
            os.killpg(process.pid, signal.SIGINT)
            self.assertIn("not all events were delivered", self.ended(process, 0))
        self.assertEqual(self.nodes(), NODES)


class TerminalTest(ApplyProgramTest):
    """At a terminal it asks, and the terminal's own Ctrl-C reaches it."""

    def setUp(self):
        super().setUp()
        self.screen = b""
        self.terminal, inner = pty.openpty()
        self.addCleanup(os.close, self.terminal)
        self.inner = inner

    def start(self):
        process = subprocess.Popen(self.command("--events", self.events), env=self.environment(), stdin=self.inner, stdout=self.inner,
                                   stderr=self.inner, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(self.inner)
        self.addCleanup(process.wait)
        return process

    def until(self, text):
        while text not in self.screen:
            try:
                self.screen += os.read(self.terminal, 65536)
            except OSError as error:
                raise AssertionError(f"{text!r} was not said:\n{self.screen.decode()}") from error

    def rest(self):
        try:
            while data := os.read(self.terminal, 65536):
                self.screen += data
        except OSError:  # the other side is closed
            pass
        return self.screen.decode()

    def answer(self, text, expect):
        process = self.start()
        self.until(b"Only 'yes' will be accepted: ")
        os.write(self.terminal, text)
        said = self.rest()
        self.assertEqual(process.wait(), expect, said)
        return said

    def test_yes(self):
        said = self.answer(b"yes\n", 0)
        self.assertIn("Apply complete! Resources: 15 added", said)
        self.assertEqual(self.nodes(), NODES)

    def test_all_else_is_no(self):
        self.assertIn("nothing was done", self.answer(b"y\n", 1))
        self.assertFalse((self.place.terraform / "terraform.tfstate").exists())

    def test_its_control_c_interrupts_once(self):
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        self.place.settings(hold=["histo-02", str(fifo)])
        process = self.start()
        self.until(b"Only 'yes' will be accepted: ")
        os.write(self.terminal, b"yes\n")
        self.wait_until_held(fifo)
        os.write(self.terminal, b"\x03")
        said = self.rest()
        self.assertEqual(process.wait(), 1, said)
        self.assertIn("context canceled", said)
        self.assertNotIn("Two interrupts", said)
        self.assertEqual(self.nodes(), [NODES[0], NODES[2]])


class RefusalTest(ApplyProgramTest):
    def refused(self, *words, **environment):
        done = self.apply(*words, expect=2, **environment)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("apply: "), done.stderr)
        self.assertEqual(self.place.state(), [])
        return done.stderr

    def setUp(self):
        super().setUp()
        self.place.run("apply", "-auto-approve", "-input=false", "-destroy")  # a state without anything

    def test_before_anything_is_done(self):
        self.assertIn("--yes", self.refused("--events", self.events))
        self.assertIn("--frobnicate is no option", self.refused("--frobnicate"))
        self.assertIn("--server needs a value", self.refused("--server"))
        self.assertIn("--events asks no daemon", self.refused("--yes", "--events", self.events, "--server", "http://127.0.0.1:9"))
        self.assertIn("cannot be written", self.refused("--yes", "--events", self.folder / "nowhere/events"))
        self.assertIn("there is no folder", self.refused("--yes", "--dir", self.folder / "nowhere"))
        self.assertIn("init", self.refused("--yes", "--dir", self.folder))
        self.assertIn("HISTOCTL", self.refused("--yes", HISTOCTL=str(self.folder / "nowhere")))
        programs = self.folder / "bin"
        programs.mkdir()
        for name in ("bash", "env", "dirname", "date", "realpath", "mktemp"):
            (programs / name).symlink_to(shutil.which(name))
        self.assertIn("terraform is missing", self.refused("--yes", PATH=str(programs)))
        self.stream().touch()
        self.addCleanup(self.stream().unlink)
        self.assertIn("another --rollout", self.refused("--yes", "--events", self.events))

    def test_help(self):
        said = self.apply("--help").stdout
        self.assertTrue(said.startswith("Usage: apply "))
        source = (rig.SOURCE / "deploy/terraform/bin/apply").read_text()
        for option in set(re.findall(r"--[a-z][a-z-]+", source[source.index("\ndir="):source.index("umask 077\nstream")])) - {"--help"}:
            self.assertIn(option, said)


if __name__ == "__main__":
    rig.need(HISTOCTL)
    unittest.main(verbosity=2)
