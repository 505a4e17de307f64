# SPDX-License-Identifier: Apache-2.0
"""The real Terraform and Ansible, their events, and the recording that is in the repository."""
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

SOURCE = pathlib.Path(os.environ["HISTOD_SOURCE"]).resolve()
HISTOCTL = os.environ["HISTOCTL"]
PLAYBOOK = SOURCE / "deploy/rollout/examples/ansible"
SECRET = re.compile(r"abcdef\.0123456789abcdef|Pl4nted")
RUN_LIMIT_S = 240


def missing(*programs):
    """The reason for which a test cannot be, or None."""
    lacking = [name for name in programs if not shutil.which(name)]
    if lacking:
        print(f"skipped: {', '.join(lacking)} not installed", flush=True)
    return f"{', '.join(lacking)} not installed" if lacking else None


def events_of(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


class Intake(http.server.ThreadingHTTPServer):
    """Takes what the callback posts; the first answers are those of `plans`."""
    daemon_threads = True

    def __init__(self):
        self.plans, self.lines, self.requests = [], [], []
        super().__init__(("127.0.0.1", 0), IntakeHandler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class IntakeHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers.get("Authorization"), self.headers["Content-Type"]))
        status = self.server.plans.pop(0) if self.server.plans else 202
        if status == 202:
            self.server.lines += body.decode().splitlines()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


class RolloutTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="histod-rollout-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check_recording(self, events):
        self.assertIsNone(SECRET.search(json.dumps(events)), "a planted secret came out")
        told = {each["type"].removeprefix("io.histod.rollout.") for each in events}
        self.assertLessEqual({"terraform.version", "terraform.planned_change", "terraform.apply_start",
                              "terraform.apply_complete", "terraform.apply_errored", "terraform.diagnostic",
                              "ansible.playbook_started", "ansible.play_started", "ansible.task_started",
                              "ansible.task_changed", "ansible.task_ok", "ansible.task_skipped", "ansible.task_failed",
                              "ansible.playbook_finished"}, told)
        self.assertFalse({name for name in told if name.endswith((".unreadable", ".output", ".unknown"))})
        self.assertEqual({each["rolloutid"] for each in events}, {"recorded"})
        self.assertEqual(len({(each["source"], each["id"]) for each in events}), len(events))
        failed = next(each for each in events if each["type"].endswith("apply_errored"))
        reason = next(each for each in events if each["type"].endswith("diagnostic"))
        self.assertEqual(reason["data"]["failed_event"], failed["id"])
        self.assertEqual(reason["data"]["resource"], "terraform_data.spare")
        self.assertIn("exit status 3", reason["data"]["error"])
        self.assertNotIn("no spare machine", json.dumps(events), "what a provisioner prints is withheld")
        self.assertEqual({each["node"] for each in events if "node" in each}, {"histo-01", "histo-02", "histo-03"})
        self.assertEqual({each["data"]["layer"] for each in events}, {"hardware", "os", "kubernetes", "workload"})
        self.assertEqual({each["data"]["tool"] for each in events}, {"terraform", "ansible"})

    def test_the_recording_in_the_repository(self):
        self.check_recording(events_of(SOURCE / "deploy/rollout/recorded.jsonl"))

    @unittest.skipIf(reason := missing("terraform", "ansible-playbook"), reason)
    def test_it_can_be_recorded_anew(self):
        out = self.folder / "new.jsonl"
        done = subprocess.run([SOURCE / "deploy/rollout/record", out], env={**os.environ, "TMPDIR": str(self.folder)},
                              capture_output=True, timeout=RUN_LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.check_recording(events_of(out))
        self.assertEqual([path.name for path in self.folder.iterdir()], ["new.jsonl"], "nothing else is left")

    def test_record_says_what_is_missing(self):
        tools = self.folder / "bin"
        tools.mkdir()
        for name in ("bash", "dirname", "realpath", "pwd"):
            (tools / name).symlink_to(shutil.which(name))
        done = subprocess.run([SOURCE / "deploy/rollout/record", self.folder / "x"], env={"PATH": str(tools)},
                              capture_output=True, timeout=RUN_LIMIT_S, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), r"\Arecord: terraform is missing: .*\n\Z")
        self.assertFalse((self.folder / "x").exists())


@unittest.skipIf(reason := missing("ansible-playbook"), reason)
class CallbackTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="histod-callback-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "ansible.cfg"
        self.config.touch()
        self.token_file = self.folder / "token"
        self.token_file.write_text("# for the callback\nevents Pl4nted-token ansible\n")

    def play(self, expect=0, playbook=PLAYBOOK / "site.yml", **settings):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": str(self.config),
                       "ANSIBLE_CALLBACK_PLUGINS": str(SOURCE / "deploy/ansible/callback_plugins"),
                       "ANSIBLE_CALLBACKS_ENABLED": "histod_events", "PYTHONDONTWRITEBYTECODE": "1",
                       **{"HISTOD_EVENTS_" + name.upper(): str(value) for name, value in settings.items()}}
        done = subprocess.run(["ansible-playbook", "-c", "local", "-i", PLAYBOOK / "hosts.yml", "-e",
                               f"work={self.folder / 'nodes'}", playbook], env=environment, timeout=RUN_LIMIT_S,
                              capture_output=True, check=False)
        text = (done.stdout + done.stderr).decode()
        self.assertEqual(done.returncode, expect, text)
        self.assertNotIn("Pl4nted-token", text)
        return text

    def test_it_posts_what_it_writes(self):
        intake = Intake()
        self.addCleanup(intake.server_close)
        intake.plans = [503, 500]
        text = self.play(url=intake.url, token_file=self.token_file, file=self.folder / "lines", rollout="r 1")
        self.assertNotIn("could not", text)
        self.assertEqual(intake.lines, (self.folder / "lines").read_text().splitlines())
        self.assertEqual(set(intake.requests), {("/v1/events?tool=ansible&rollout=r+1", "Bearer Pl4nted-token",
                                                 "application/x-ndjson")})
        lines = [json.loads(line) for line in intake.lines]
        self.assertEqual([line["seq"] for line in lines], list(range(1, len(lines) + 1)))
        self.assertEqual(lines[-1]["event"], "playbook_finished")
        hidden = [line for line in lines if line.get("task") == "Make the token to join with" and "host" in line]
        self.assertEqual([(line["no_log"], "message" in line) for line in hidden], [(True, False)] * 3)
        self.assertIsNone(SECRET.search("".join(intake.lines)))

    def play_short(self, **settings):
        playbook = self.folder / "short.yml"
        playbook.write_text("- {hosts: histo-01, gather_facts: false, tasks: [{ansible.builtin.debug: {msg: hello}}]}\n")
        return self.play(playbook=playbook, **settings)

    def test_a_daemon_that_is_away_or_refuses_fails_no_play(self):
        intake = Intake()
        self.addCleanup(intake.server_close)
        intake.plans = [403] * 100
        self.assertRegex(self.play_short(url=intake.url), r"histod_events: \d+ events could not be told \(HTTP status\s+403\)")
        self.assertIsNone(intake.requests[0][1], "no token, no header")
        intake.plans = [302] * 100
        self.assertRegex(self.play_short(url=intake.url, token_file=self.token_file), r"could not be told \(HTTP status\s+302\)")
        self.assertFalse([request for request in intake.requests if request[0] == "/elsewhere"])
        self.assertIn("could not be told", self.play_short(url="http://127.0.0.1:1"))
        self.assertIn("could not be told", self.play_short(url=intake.url, token_file=self.folder / "missing"))
        self.assertIn("the file could not be written", self.play_short(file="/missing/lines"))


if __name__ == "__main__":
    unittest.main()
