# SPDX-License-Identifier: Apache-2.0
"""Runs docs/examples/equalize.py: against the daemon at HISTOD_URL with the token in HISTOD_TOKEN_FILE when these are set,
else against the stub."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import stub_server
from harness import pgm

EXAMPLE = os.path.join(os.environ["HISTOD_SOURCE"], "docs/examples/equalize.py")


class PythonExampleTest(unittest.TestCase):
    def setUp(self):
        try:
            import requests  # noqa: F401
        except ImportError:
            self.skipTest("the example needs python3-requests, which is not installed")
        folder = tempfile.TemporaryDirectory(prefix="histod-example-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.url, self.token_file, self.stub = os.environ.get("HISTOD_URL"), os.environ.get("HISTOD_TOKEN_FILE"), None
        if not self.url:
            self.stub = stub_server.StubServer()
            self.addCleanup(self.stub.stop)
            self.url, self.token_file = self.stub.url, str(self.folder / "token")
            pathlib.Path(self.token_file).write_text("submit submit-token-2\n", encoding="utf-8")
        print("the example runs against", "the stub" if self.stub else self.url)
        self.image = self.folder / "in.pgm"
        self.image.write_bytes(pgm(64, 48))

    def run_example(self, *words, expect=0):
        environment = {**os.environ, "HISTOD_URL": self.url, "HISTOD_TOKEN_FILE": self.token_file, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run([sys.executable, EXAMPLE, *map(str, words)], env=environment, capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done

    def test_both_ways_give_the_same_right_result(self):
        done = self.run_example(self.image, self.folder / "sync.pgm", self.folder / "job.pgm")
        self.assertRegex(done.stdout, re.compile(r"^at once: .*sha-256=[0-9a-f]{64}$", re.M))
        self.assertRegex(done.stdout, re.compile(r"^by job [0-9A-Z]{26}: .*sha-256=[0-9a-f]{64}$", re.M))
        result = (self.folder / "sync.pgm").read_bytes()
        self.assertEqual(result, (self.folder / "job.pgm").read_bytes())
        samples = stub_server.parse_pgm(self.image.read_bytes())[2]
        lut = stub_server.exact_lut(samples)[1]  # the example asks for rule=exact
        self.assertEqual(stub_server.parse_pgm(result), (64, 48, bytes(lut[s] for s in samples)))
        if self.stub:
            self.assertEqual(self.stub.violations, [])
            self.assertEqual(len(self.stub.jobs), 1)

    def test_refusal_is_told(self):
        self.image.write_bytes(b"this is no image at all")
        if self.stub:
            self.stub.plans.append({"status": 415, "code": "unknown-format", "detail": "no known image format"})
        done = self.run_example(self.image, self.folder / "a", self.folder / "b", expect=1)
        self.assertIn("415", done.stderr)

    def test_usage(self):
        self.run_example(expect=2)


if __name__ == "__main__":
    unittest.main()
