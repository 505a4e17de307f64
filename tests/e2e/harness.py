# SPDX-License-Identifier: Apache-2.0
"""A real daemon for a test: its own folder, a free port, tokens of each role. HISTOD names the program."""
import contextlib
import http.client
import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = os.environ["HISTOD"]
ROLES = ("read", "submit", "admin")
# Whoever runs the tests may have variables of ours; the daemon under test has only what its test gives it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("HISTOD_")}


class Daemon:
    def __init__(self, *options, environment=None, prefix=(), folder=None, scheme="http"):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="histod-e2e-"))
        self.owns_folder = folder is None
        self.options, self.prefix, self.scheme = list(options), list(prefix), scheme
        self.environment = {**ENVIRONMENT, **(environment or {})}
        self.token_file = self.folder / "tokens"
        if not self.token_file.exists():
            self.write_tokens({role: secrets.token_hex(16) for role in ROLES})
        self.tokens = dict(line.split()[:2] for line in self.token_file.read_text().splitlines())
        self.spool = self.folder / "spool"
        self.process = self.port = None
        self.starts = 0
        self.pause = threading.Event()

    def write_tokens(self, tokens):
        new = self.folder / "tokens.new"
        new.touch(mode=0o600)
        new.write_text("".join(f"{role} {token}\n" for role, token in tokens.items()))
        new.rename(self.token_file)
        self.tokens = tokens

    def command(self):
        return [*self.prefix, PROGRAM, "--listen", "127.0.0.1:0", "--token-file", str(self.token_file), "--spool",
                str(self.spool), "--memory-budget", "1GiB", *self.options]

    def start(self, wait=True):
        self.starts += 1
        self.log_path = self.folder / f"log.{self.starts}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=self.environment)
        if wait:
            match = self.wait_log(r"msg=listening .*port=(\d+)")
            self.port = int(match.group(1))
            self.wait_log("msg=ready")
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, pattern, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None
            if match := re.search(pattern, self.log()):
                return match
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{pattern!r} is not in the log (ended: {ended}):\n{self.log()}")
            self.pause.wait(0.01)  # the log is a file: there is nothing else to wait for

    def request(self, method, target, body=None, headers=None, role="admin", timeout=60):
        """Status, headers (a dict, lower-case names), body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            fields = {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}
            with contextlib.suppress(BrokenPipeError):  # it may answer, and close, before it has all of the body
                connection.request(method, target, body=body, headers={**fields, **(headers or {})})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()

    def metric(self, name):
        """The sum of all samples of a metric."""
        text = self.request("GET", "/metrics")[2].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))

    def rss_peak_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, value, trace):
        if value is not None and self.process:
            print(f"--- {self.log_path}\n{self.log()[-8000:]}", file=sys.stderr)
        self.close()


def need(*programs):
    """Fails with a sentence where a program that the test needs is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise AssertionError(f"install {', '.join(missing)} (tools/test does)")


def failed(test):
    """Whether the test has failed so far: for what cleans up behind it."""
    result = test._outcome.result
    return any(each is test for each, _ in [*result.errors, *result.failures])


def main():
    unittest.main(verbosity=2)
