# SPDX-License-Identifier: Apache-2.0
"""Tells histod what a playbook does, while it does it. Only the standard library is used.

Each event is one line of JSON, which `histoctl events send --source ansible` and the daemon's
POST /v1/events?tool=ansible read: rollout, run, seq, time, event, playbook, play, role, task, action, host, changed, ignored,
duration_ms, message, no_log, stats. Of a task's result only its message is taken, and nothing at all under no_log.
A daemon that is away, slow or refuses never fails or holds up the play: what cannot be told is counted, and the count is a
warning at the end.
"""
import collections
import datetime
import json
import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: histod_events
type: notification
short_description: tells histod what a playbook does
description:
  - Writes an event for each play, task and result as a line of JSON, to a file, to a histod daemon, or both.
  - A task under C(no_log) is told without its result. Known names and looks of secrets are taken out of messages.
requirements:
  - C(histod_events) in C(callbacks_enabled)
options:
  file:
    description: file that lines are appended to
    type: path
    env: [{name: HISTOD_EVENTS_FILE}]
    ini: [{section: callback_histod_events, key: file}]
  url:
    description: the daemon, as http://10.0.0.5:8080
    type: str
    env: [{name: HISTOD_EVENTS_URL}]
    ini: [{section: callback_histod_events, key: url}]
  token_file:
    description: file that holds a token of the role events, bare or as "events TOKEN [NAME]"
    type: path
    env: [{name: HISTOD_EVENTS_TOKEN_FILE}]
    ini: [{section: callback_histod_events, key: token_file}]
  cacert:
    description: certificates (PEM) to trust for https instead of the system's
    type: path
    env: [{name: HISTOD_EVENTS_CACERT}]
    ini: [{section: callback_histod_events, key: cacert}]
  rollout:
    description: name of this run of the rollout; otherwise each playbook's run is one of its own
    type: str
    env: [{name: HISTOD_EVENTS_ROLLOUT}]
    ini: [{section: callback_histod_events, key: rollout}]
"""

HELD_MAX = 4096
BATCH_MAX = 128
BATCH_BYTES_MAX = 512 * 1024
MESSAGE_MAX = 2000
TIMEOUT_S = 3
LAST_TRIES_S = 8
REDACTED = "[redacted]"

# The daemon redacts again, and more; a file may be read by others before.
SECRETS = [
    (re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S), REDACTED),
    (re.compile(r"(?i)(://)[^/\s@\"']+@"), r"\1" + REDACTED + "@"),
    (re.compile(r"(?i)\b(bearer\s+)[^\s\"']+"), r"\1" + REDACTED),
    (re.compile(r"(?i)([\w.-]*(?:password|passwd|passphrase|secret|token|credential|authorization|api_?key|access_?key|"
                r"private_?key|cookie)[\w.-]*[\"'\\]*\s*[=:]+\s*)(\\?\"[^\"]*\"|\\?'[^']*'|\S+)"), r"\1" + REDACTED),
    (re.compile(r"(--?[\w-]*(?:password|token|secret|certificate-key)[\w-]*\s+)\S+"), r"\1" + REDACTED),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), REDACTED),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), REDACTED),
]


def redacted(text):
    text = str(text)[:4 * MESSAGE_MAX]
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text[:MESSAGE_MAX]


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def part(result, name):
    """result.host, .task, .result of ansible-core 2.19 and later; ._host, ._task, ._result before."""
    found = getattr(result, name, None)
    return found if found is not None else getattr(result, "_" + name, None)


class Poster:
    """Posts lines from a thread of its own, in batches."""

    def __init__(self, url, token_file, cacert, rollout):
        query = {"tool": "ansible", **({"rollout": rollout} if rollout else {})}
        self.url = url.rstrip("/") + "/v1/events?" + urllib.parse.urlencode(query)
        self.token_file = token_file
        # Debug proxies of the environment are not for what may be confidential; redirects would take the token along.
        handlers = [urllib.request.ProxyHandler({}), NoRedirect()]
        if self.url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=cacert or None)))
        self.opener = urllib.request.build_opener(*handlers)
        self.held = collections.deque()
        self.lost = 0
        self.trouble = ""
        self.ending = None  # the time when trying ends
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.run, name="histod-events", daemon=True)
        self.thread.start()

    def put(self, line):
        with self.changed:
            if len(self.held) == HELD_MAX:
                self.held.popleft()
                self.lost += 1
            self.held.append(line)
            self.changed.notify()

    def close(self):
        with self.changed:
            self.ending = time.monotonic() + LAST_TRIES_S
            self.changed.notify()
        self.thread.join(LAST_TRIES_S + TIMEOUT_S)
        with self.changed:
            self.lost += len(self.held)
            self.held.clear()

    def run(self):
        wait_s = 0.2
        while True:
            with self.changed:
                while not self.held and self.ending is None:
                    self.changed.wait()
                if not self.held or (self.ending is not None and time.monotonic() >= self.ending):
                    return
                batch = self.batch()
            good, again_s = self.post(batch)
            with self.changed:
                if good:
                    wait_s = 0.2
                elif again_s is None:
                    self.lost += len(batch)
                else:
                    self.held.extendleft(reversed(batch))
                    while len(self.held) > HELD_MAX:
                        self.held.popleft()
                        self.lost += 1
                    self.changed.wait_for(lambda: self.ending is not None, max(wait_s, again_s))
                    if self.ending is not None:
                        self.changed.wait_for(lambda: False, max(0, min(wait_s, self.ending - time.monotonic())))
                    wait_s = min(2 * wait_s, 10)

    def batch(self):
        """Under the lock: takes lines out of what is held."""
        lines, size = [], 0
        while self.held and len(lines) < BATCH_MAX and size + len(self.held[0]) < BATCH_BYTES_MAX:
            size += len(self.held[0]) + 1
            lines.append(self.held.popleft())
        return lines

    def post(self, lines):
        """(whether it was taken, seconds until it may be tried again or None when that makes no sense)"""
        request = urllib.request.Request(self.url, data="\n".join(lines).encode(), method="POST",
                                         headers={"Content-Type": "application/x-ndjson"})
        try:
            token = read_token(self.token_file)
            if token:
                request.add_unredirected_header("Authorization", "Bearer " + token)
            with self.opener.open(request, timeout=TIMEOUT_S) as reply:
                reply.read(65536)
            return True, 0
        except urllib.error.HTTPError as error:
            self.trouble = f"HTTP status {error.code}"
            error.close()
            after = error.headers.get("Retry-After", "")
            return False, (min(float(after), 10) if after.isdigit() else 0) if error.code in (429, 500, 502, 503, 504) else None
        except Exception as error:  # whatever it is, the play goes on
            self.trouble = type(error).__name__
            return False, 0


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def read_token(path):
    """Read anew for each request: tokens change while a long playbook runs. Never shown."""
    if not path:
        return ""
    with open(os.path.expanduser(path), encoding="ascii") as file:
        for line in file:
            words = line.split("#")[0].split()
            if words:
                return words[1] if len(words) > 1 else words[0]
    return ""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "histod_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.run = f"ansible-{uuid.uuid4()}"
        self.seq = 0
        self.names = {"playbook": "", "play": ""}
        self.started = {}  # by task: seconds
        self.file = None
        self.file_trouble = ""
        self.poster = None

    def set_options(self, task_keys=None, var_options=None, direct=None):
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        rollout = self.get_option("rollout")
        if rollout:
            self.names = {"rollout": rollout, **self.names}
        if self.get_option("file") and self.file is None:
            try:
                self.file = open(os.path.expanduser(self.get_option("file")), "a", encoding="utf-8")
            except OSError as error:
                self.file_trouble = error.strerror
        if self.get_option("url") and self.poster is None:
            self.poster = Poster(self.get_option("url"), self.get_option("token_file"), self.get_option("cacert"), rollout)

    def tell(self, event, **members):
        self.seq += 1
        line = {"histod_ansible": 1, "run": self.run, "seq": self.seq, "time": now_text(), "event": event, **self.names}
        line.update({name: value for name, value in members.items() if value not in (None, "")})
        text = json.dumps(line, default=str)
        if self.file:
            try:
                self.file.write(text + "\n")
                self.file.flush()
            except OSError as error:
                self.file_trouble, self.file = error.strerror, None
        if self.poster:
            self.poster.put(text)

    def task_members(self, task):
        role = getattr(task, "_role", None)
        return {"task": redacted(task.get_name()), "role": role.get_name() if role else "", "action": str(task.action)}

    def tell_result(self, event, result, **members):
        task, outcome = part(result, "task"), part(result, "result")
        if not isinstance(outcome, dict):
            outcome = {}
        hidden = bool(outcome.get("_ansible_no_log") or outcome.get("censored") or getattr(task, "no_log", False))
        begun = self.started.get(str(getattr(task, "_uuid", "")))
        members["duration_ms"] = None if begun is None else round((time.monotonic() - begun) * 1000)
        if hidden:
            members["no_log"] = True
        else:
            message = outcome.get("msg")
            if event in ("task_failed", "host_unreachable"):
                message = message or outcome.get("reason") or outcome.get("module_stderr")
                if outcome.get("rc") is not None:
                    message = f"{message} (exit status {outcome['rc']})"
            elif event == "task_skipped":
                message = outcome.get("skip_reason")
            members["message"] = redacted(message) if isinstance(message, str) else None
        self.tell(event, host=part(result, "host").get_name(), **self.task_members(task), **members)

    def v2_playbook_on_start(self, playbook):
        self.names["playbook"] = os.path.basename(str(getattr(playbook, "_file_name", "")))
        self.tell("playbook_started")

    def v2_playbook_on_play_start(self, play):
        self.names["play"] = redacted(play.get_name())
        self.tell("play_started")

    def v2_playbook_on_task_start(self, task, is_conditional):
        if str(task.action).rpartition(".")[2] == "meta":  # of which no end is told
            return
        self.started = {str(getattr(task, "_uuid", "")): time.monotonic()}
        self.tell("task_started", **self.task_members(task))

    def v2_playbook_on_handler_task_start(self, task):
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result):
        outcome = part(result, "result")
        changed = isinstance(outcome, dict) and bool(outcome.get("changed"))
        self.tell_result("task_changed" if changed else "task_ok", result, changed=changed)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.tell_result("task_failed", result, ignored=bool(ignore_errors))

    def v2_runner_on_skipped(self, result):
        self.tell_result("task_skipped", result)

    def v2_runner_on_unreachable(self, result):
        self.tell_result("host_unreachable", result)

    def v2_playbook_on_stats(self, stats):
        self.names.pop("play", None)
        self.tell("playbook_finished", stats={host: stats.summarize(host) for host in sorted(stats.processed)})
        if self.file:
            self.file.close()
            self.file = None
        if self.poster:
            self.poster.close()
            if self.poster.lost:
                self._display.warning(f"histod_events: {self.poster.lost} events could not be told ({self.poster.trouble})")
        if self.file_trouble:
            self._display.warning(f"histod_events: the file could not be written ({self.file_trouble})")
