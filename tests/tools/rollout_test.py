# SPDX-License-Identifier: Apache-2.0
"""The real Terraform and Ansible: the events that come of them, and that Ansible's callback cannot hold up a play."""
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


def check_events(test, events, tool, kinds):
    """All of one tool's kinds, of one run, each once, without the examples' secrets."""
    test.assertIsNone(SECRET.search(json.dumps(events)), "a planted secret came out")
    told = {each["type"].removeprefix(f"io.histod.rollout.{tool}.") for each in events}
    test.assertLessEqual(kinds, told)
    test.assertFalse({name for name in told if name in ("unreadable", "output", "unknown")})
    test.assertEqual(({each["rolloutid"] for each in events}, {each["data"]["tool"] for each in events}), ({"r"}, {tool}))
    test.assertEqual(len({(each["source"], each["id"]) for each in events}), len(events))


@unittest.skipIf(reason := missing("terraform"), reason)
class TerraformTest(unittest.TestCase):
    def test_events_of_an_apply_that_fails(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="histod-rollout-")))
        shutil.copytree(SOURCE / "deploy/rollout/examples/terraform", folder, dirs_exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        environment.update(CHECKPOINT_DISABLE="1", TF_IN_AUTOMATION="1")
        subprocess.run(["terraform", f"-chdir={folder}", "init", "-input=false", "-no-color"], env=environment, timeout=RUN_LIMIT_S, check=True,
                       capture_output=True)
        done = subprocess.run(["terraform", f"-chdir={folder}", "apply", "-json", "-auto-approve", "-input=false"], env=environment, timeout=RUN_LIMIT_S,
                              check=False, capture_output=True)
        self.assertEqual(done.returncode, 1, "the spare machine should fail")
        subprocess.run([HISTOCTL, "events", "send", "--source", "terraform", "--rollout", "r", "--out", folder / "events"], input=done.stdout,
                       timeout=RUN_LIMIT_S, check=True, capture_output=True)
        events = events_of(folder / "events")
        check_events(self, events, "terraform", {"version", "planned_change", "apply_start", "apply_complete", "apply_errored", "diagnostic"})
        failed = next(each for each in events if each["type"].endswith("apply_errored"))
        reason = next(each for each in events if each["type"].endswith("diagnostic"))
        self.assertEqual(reason["data"]["failed_event"], failed["id"])
        self.assertEqual(reason["data"]["resource"], "terraform_data.spare")
        self.assertIn("exit status 3", reason["data"]["error"])
        self.assertNotIn("no spare machine", json.dumps(events), "what a provisioner prints is withheld")


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

    def test_events_of_what_it_writes(self):
        self.play(file=self.folder / "lines", rollout="r")
        subprocess.run([HISTOCTL, "events", "send", "--source", "ansible", "--rollout", "r", "--file", self.folder / "lines", "--out",
                        self.folder / "events"], timeout=RUN_LIMIT_S, check=True, capture_output=True)
        events = events_of(self.folder / "events")
        check_events(self, events, "ansible", {"playbook_started", "play_started", "task_started", "task_changed", "task_ok", "task_skipped",
                                               "task_failed", "playbook_finished"})
        self.assertEqual({each["node"] for each in events if "node" in each}, {"histo-01", "histo-02", "histo-03"})
        self.assertEqual({each["data"]["layer"] for each in events}, {"os", "kubernetes", "workload"})

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

    def test_what_has_no_end_has_no_beginning(self):
        playbook = self.folder / "meta.yml"
        playbook.write_text("- {hosts: histo-01, gather_facts: false, tasks: [{name: Flush, ansible.builtin.meta: flush_handlers}, "
                            "{name: Flush again, meta: flush_handlers}, {name: Say it, ansible.builtin.debug: {msg: hello}}]}\n")
        self.play(playbook=playbook, file=self.folder / "lines")
        lines = events_of(self.folder / "lines")
        self.assertEqual([(line["event"], line["task"]) for line in lines if "task" in line], [("task_started", "Say it"), ("task_ok", "Say it")])

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
