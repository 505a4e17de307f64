# SPDX-License-Identifier: Apache-2.0
"""What the tests of histoctl share: a stub server, a folder, a token file, and histoctl itself."""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest

import stub_server

HISTOCTL = os.environ["HISTOCTL"]
RUN_LIMIT_S = 120


def pgm(width=16, height=8, seed=1):
    """A small PGM; the same seed gives the same bytes."""
    samples = bytes((seed * 31 + i * i * 7) % 97 for i in range(width * height))
    return b"P5\n%d %d\n255\n" % (width, height) + samples


class HistoctlTest(unittest.TestCase):
    server_class = stub_server.StubServer

    def setUp(self):
        self.server = self.server_class()
        self.addCleanup(self.server.stop)
        folder = tempfile.TemporaryDirectory(prefix="histoctl-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.home = self.folder / "home"
        self.home.mkdir()
        self.work = self.folder / "work"
        self.work.mkdir()
        self.token_file = self.folder / "token"
        self.token_file.write_text("# tokens\nread read-token-1\nsubmit submit-token-2 somebody\n")

    def tearDown(self):
        self.assertEqual(self.server.violations, [], "histoctl broke the API's contract")

    def environment(self, **changes):
        """A bare environment: nothing of the developer's own settings leaks in."""
        base = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                "HISTOCTL_SERVER": self.server.url, "HISTOCTL_TOKEN_FILE": str(self.token_file)}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                base[name] = os.environ[name]
        base.update(changes)
        return {name: value for name, value in base.items() if value is not None}

    def start(self, *words, env=None, **pipes):
        return subprocess.Popen([HISTOCTL, *map(str, words)], cwd=self.work, env=env or self.environment(),
                                **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                   **pipes})

    def run_ctl(self, *words, expect=0, stdin=b"", env=None):
        """Runs histoctl in the work folder; `expect` is the exit code that it must have."""
        done = subprocess.run([HISTOCTL, *map(str, words)], cwd=self.work, input=stdin, capture_output=True,
                              env=env or self.environment(), timeout=RUN_LIMIT_S, check=False)
        self.assertEqual(done.returncode, expect, f"{words}\n{done.stdout!r}\n{done.stderr.decode()}")
        return done

    def json_lines(self, *words, **how):
        return [json.loads(line) for line in self.run_ctl(*words, "--json", **how).stdout.decode().splitlines()]

    def image(self, name, data=None):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pgm(seed=len(name)) if data is None else data)
        return path

    def names(self, folder=None):
        return sorted(path.name for path in (folder or self.work).iterdir())

    def assert_one_line(self, done, *parts):
        """Standard error is one line that names all of `parts`."""
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("histoctl: "), text)
        for part in parts:
            self.assertIn(part, text)

    def closed_port_url(self):
        """A URL where connections are refused for as long as the test runs: the port is bound but does not listen."""
        held = socket.socket()
        self.addCleanup(held.close)
        held.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{held.getsockname()[1]}"
