#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nothing that was acknowledged is lost: kill -9 at random moments, and power loss under a disk that forgets."""
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import images
from harness import Daemon, main

ROUNDS = int(os.environ.get("E2E_KILL_ROUNDS", "6"))
LOSSY = os.environ["E2E_LOSSY_DISK"]
RESTORE = os.environ["E2E_LOSSY_RESTORE"]
SANITIZER = os.environ.get("E2E_SANITIZER_LIBRARY", "")
SEED = int(os.environ.get("E2E_SEED", "20"))


def digest_of(daemon, body):
    return daemon.request("POST", "/v1/equalize?rule=exact", body)[1]["histod-lut-digest"]


class Uploader(threading.Thread):
    """Submits images until the daemon is gone; remembers what was acknowledged."""

    def __init__(self, daemon, bodies):
        super().__init__()
        self.daemon_under_test, self.bodies, self.acknowledged = daemon, bodies, {}
        self.enough = threading.Event()

    def run(self):
        for number in range(10_000):
            name = number % len(self.bodies)
            try:
                status, _, answer = self.daemon_under_test.request(
                    "POST", "/v1/jobs?rule=exact", self.bodies[name], headers={"Idempotency-Key": f"{id(self)}-{number}"})
            except (OSError, http.client.HTTPException):  # the daemon was killed under this request: no promise was made
                return
            if status == 202:
                self.acknowledged[json.loads(answer)["id"]] = name
            if len(self.acknowledged) >= 2:
                self.enough.set()


class DurabilityTest(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.bodies = [images.encode(images.noisy(700 + 10 * i, 500, seed=i)) for i in range(4)]

    def finish_all(self, daemon, acknowledged, digests):
        for job, name in acknowledged.items():
            status, headers, body = daemon.request("GET", f"/download/{job}_final.png")
            self.assertEqual(status, 200, (job, body[:300]))
            self.assertEqual(headers["histod-lut-digest"], digests[name])
            self.assertEqual(len(body), json.loads(daemon.request("GET", f"/v1/jobs/{job}")[2])["result"]["bytes"])

    def test_kill_at_any_moment(self):
        daemon = Daemon().start()
        with daemon:
            digests = [digest_of(daemon, body) for body in self.bodies]
            acknowledged = {}
            for _ in range(ROUNDS):
                uploader = Uploader(daemon, self.bodies)
                uploader.start()
                self.assertTrue(uploader.enough.wait(60))
                # Not a wait for anything: the moment of the kill is meant to be anywhere.
                threading.Event().wait(self.random.random() * 0.1)
                daemon.kill()
                uploader.join()
                acknowledged.update(uploader.acknowledged)
                daemon.start()
            self.assertGreaterEqual(len(acknowledged), 2 * ROUNDS)
            self.finish_all(daemon, acknowledged, digests)
            # Also those whose answer was lost: nobody asked for their results.
            unfinished = lambda: {job["state"] for job in json.loads(daemon.request("GET", "/v1/jobs?limit=1000")[2])["jobs"]} - {"done"}  # noqa: E731
            deadline = time.monotonic() + 60
            while (states := unfinished()) & {"queued", "running"} and time.monotonic() < deadline:
                daemon.pause.wait(0.05)  # nobody tells: the node is asked again
            self.assertEqual(states, set())

    def test_lost_answer_does_not_double_work(self):
        with Daemon() as daemon:
            first = json.loads(daemon.request("POST", "/v1/jobs", self.bodies[0], headers={"Idempotency-Key": "one"})[2])
            daemon.kill()
            daemon.start()
            status, headers, body = daemon.request("POST", "/v1/jobs", self.bodies[0], headers={"Idempotency-Key": "one"})
            self.assertEqual((status, json.loads(body)["id"]), (202, first["id"]))
            self.assertEqual(headers["idempotency-replayed"], "true")
            self.assertEqual(len(json.loads(daemon.request("GET", "/v1/jobs")[2])["jobs"]), 1)

    def test_power_loss(self):
        with tempfile.TemporaryDirectory(prefix="histod-power-") as scratch:
            for round_number in range(ROUNDS):
                folder = pathlib.Path(scratch) / str(round_number)
                shadow = folder / "shadow"
                shadow.mkdir(parents=True)
                environment = {"LD_PRELOAD": f"{SANITIZER} {LOSSY}".strip(), "HISTOD_LOSSY_ROOT": str(folder / "spool"),
                               "HISTOD_LOSSY_SHADOW": str(shadow)}
                daemon = Daemon(folder=folder, environment=environment).start()
                digests = [digest_of(daemon, body) for body in self.bodies]
                uploader = Uploader(daemon, self.bodies)
                uploader.start()
                self.assertTrue(uploader.enough.wait(60), daemon.log())
                threading.Event().wait(self.random.random() * 0.1)
                daemon.kill()
                uploader.join()
                shutil.rmtree(folder / "spool")
                subprocess.run([sys.executable, RESTORE, str(shadow), str(folder / "spool")], check=True)
                with Daemon(folder=folder) as survivor:
                    self.assertGreaterEqual(len(uploader.acknowledged), 2)
                    self.finish_all(survivor, uploader.acknowledged, digests)

    def test_an_image_that_always_kills_is_given_up(self):
        with Daemon() as daemon:
            big = images.encode(images.noisy(6000, 4000), compress_level=1)
            job = json.loads(daemon.request("POST", "/v1/jobs", big)[2])["id"]
            for _ in range(10):
                while json.loads(daemon.request("GET", f"/v1/jobs/{job}")[2])["state"] != "running":
                    pass
                daemon.kill()
                daemon.start()
            status, _, body = daemon.request("GET", f"/download/{job}_final.png")
            self.assertEqual(status, 500, body[:300])
            self.assertEqual(json.loads(body)["type"], "urn:histod:problem:gave-up")


if __name__ == "__main__":
    main()
