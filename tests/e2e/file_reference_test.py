#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images that are named on a shared volume: against the same bytes sent, against numpy, and against whoever owns the volume."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

import images
import numpy as np
from harness import Daemon, main

HISTOCTL = os.environ["HISTOCTL"]
SECCOMP = pathlib.Path(__file__).with_name("without_io_uring.py")
OPENAT2 = "437:438"


class FileReferenceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="histod-volume-")
        self.addCleanup(folder.cleanup)
        self.volume = pathlib.Path(folder.name)
        for name in ("scans/sub", "out"):
            (self.volume / name).mkdir(parents=True)
        self.daemon = Daemon("--file-root", f"scans={self.volume}/scans", "--file-root", f"out={self.volume}/out:rw")
        self.addCleanup(self.daemon.close)

    def start(self):
        self.daemon.start()
        return self.daemon

    def put(self, name, data):
        (self.volume / name).write_bytes(data)
        return data

    def read(self, name):
        return (self.volume / name).read_bytes()

    def names(self, folder="out"):
        return sorted(path.name for path in (self.volume / folder).iterdir())

    def ask(self, method, path, body=None, status=200, **query):
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        got, headers, answer = self.daemon.request(method, target, body)
        self.assertEqual(got, status, answer[:500])
        return json.loads(answer) if "json" in headers.get("content-type", "") else answer

    def submit(self, status=202, path="/v1/jobs", body=None, **query):
        return self.ask("POST", path, body, status, **query)

    def done(self, job):
        while (state := self.ask("GET", f"/v1/jobs/{job['id']}"))["state"] not in ("done", "failed"):
            self.daemon.pause.wait(0.02)  # the daemon's own word: there is nothing else to wait for
        return state

    def result(self, job):
        return self.ask("GET", f"/v1/jobs/{job['id']}/result")

    def wait_idle(self, dataset):
        while (state := self.ask("GET", f"/v1/datasets/{dataset}"))["progress"]["phase"] != "idle":
            self.daemon.pause.wait(0.02)
        return state


class JobTest(FileReferenceTest):
    def test_a_named_file_gives_what_the_sent_one_gives(self):
        self.start()
        pictures = {"scans/a.png": images.encode(images.noisy(300, 200, 1)), "scans/sub/b c.tif": images.encode(images.noisy(99, 64, 2, 3), "tiff"),
                    "scans/c.jpg": images.encode(images.noisy(160, 120, 3), "jpeg"), "scans/large.ppm": images.encode(images.noisy(1500, 1000, 4, 3), "ppm")}
        for name, data in pictures.items():
            named, sent = self.submit(file=self.put(name, data) and name, rule="exact"), self.submit(body=data, rule="exact")
            self.assertEqual(named["input"]["sha256"], sent["input"]["sha256"])
            self.assertEqual((named["input"]["file"], named["input"]["filename"]), (name, name.rsplit("/", 1)[1]))
            for job in (named, sent):
                self.assertEqual(self.done(job)["state"], "done")
            self.assertEqual(self.result(named), self.result(sent), name)
        gray = images.noisy(300, 200, 1)
        np.testing.assert_array_equal(images.decode(self.result(self.done_job("scans/a.png"))), images.equalized(gray))

    def done_job(self, name, **query):
        job = self.submit(file=name, **query)
        self.assertEqual(self.done(job)["state"], "done")
        return job

    def test_results_are_written_where_they_are_wanted(self):
        self.start()
        data = self.put("scans/a.png", images.encode(images.noisy(120, 80)))
        self.put("out/b.png", data)
        (self.volume / "out/2026").mkdir()
        for query, written in (({"file": "scans/a.png", "result": "out"}, "out/a_equalized.png"),
                               ({"file": "scans/a.png", "result": "out/2026/x.tif", "format": "tiff"}, "out/2026/x.tif"),
                               ({"file": "scans/a.png", "result": "out/2026", "format": "jpeg"}, "out/2026/a_equalized.jpg"),
                               ({"file": "out/b.png", "result": "beside"}, "out/b_equalized.png"),
                               ({"body": data, "result": "out/sent.png"}, "out/sent.png")):
            job = self.submit(**query)
            state = self.done(job)
            self.assertNotIn("error", state)
            self.assertEqual(state["result_file"], written)
            self.assertEqual(self.read(written), self.result(job))
        self.assertEqual(self.names(), ["2026", "a_equalized.png", "b.png", "b_equalized.png", "sent.png"])
        self.assertEqual(self.names("out/2026"), ["a_equalized.jpg", "x.tif"])
        np.testing.assert_array_equal(images.decode(self.read("out/2026/x.tif")), images.equalized(images.noisy(120, 80)))

    def test_another_file_is_replaced_only_where_that_was_said(self):
        self.start()
        self.put("scans/a.png", images.encode(images.noisy(120, 80)))
        theirs = self.put("out/a_equalized.png", b"of somebody else")
        job = self.submit(file="scans/a.png", result="out/")
        state = self.done(job)
        self.assertEqual((state["state"], state["error"]["type"]), ("done", "urn:histod:problem:file-exists"))
        self.assertEqual(self.read("out/a_equalized.png"), theirs)
        whole = self.result(job)
        over = self.done(self.submit(file="scans/a.png", result="out/", overwrite="true"))
        self.assertNotIn("error", over)
        self.assertEqual(self.read("out/a_equalized.png"), whole)

        self.put("out/a_equalized.png", theirs)
        self.daemon.stop()
        self.start()
        self.assertEqual(self.done(job)["error"]["status"], 409, "it was tried again")
        (self.volume / "out/a_equalized.png").unlink()
        self.daemon.stop()
        self.start()
        self.assertNotIn("error", self.done(job))
        self.assertEqual(self.read("out/a_equalized.png"), whole)
        self.assertEqual(self.names(), ["a_equalized.png"])

    def test_what_was_accepted_needs_its_file_no_more(self):
        self.start()
        big = images.encode(images.noisy(2500, 2000), "tiff")
        jobs = []
        for i in range(6):
            self.put(f"scans/{i}.tif", big)
            jobs.append(self.submit(file=f"scans/{i}.tif", result="out"))
            (self.volume / f"scans/{i}.tif").unlink()
        self.daemon.kill()
        self.start()
        for job in jobs:
            self.assertNotIn("error", self.done(job))
        for i in range(6):
            np.testing.assert_array_equal(images.decode(self.read(f"out/{i}_equalized.tif")), images.equalized(images.noisy(2500, 2000)))
        left = [name for name in self.names() if name.startswith(".histod-")]
        self.assertEqual(left, [], "half a result of before is written anew")

    def test_nothing_else_is_read(self):
        self.start()
        data = self.put("secret.png", images.encode(images.noisy(40, 30)))
        self.put("scans/a.png", data)
        (self.volume / "scans/link.png").symlink_to("a.png")
        (self.volume / "scans/out.png").symlink_to(self.volume / "secret.png")
        (self.volume / "scans/up").symlink_to("..")
        os.mkfifo(self.volume / "scans/fifo.png")
        for name, status in (("scans/../secret.png", 400), ("scans/sub/../../secret.png", 400), ("/etc/passwd", 400),
                             (f"{self.volume}/secret.png", 400), ("file:///etc/passwd", 400), ("scans//a.png", 400),
                             ("scans/a.png\0", 400), ("scans/" + "x" * 300, 400), ("scans/link.png", 422), ("scans/out.png", 422),
                             ("scans/up/secret.png", 422), ("scans/fifo.png", 422), ("scans/sub", 422), ("scans/nothing.png", 404),
                             ("scans/a.png/b", 404), ("other/a.png", 403)):
            self.submit(status, file=name)
        self.submit(403, file="scans/a.png", result="beside")
        self.submit(400, file="scans/a.png", body=data)
        self.ask("POST", "/v1/equalize", data, 400, file="scans/a.png")
        self.assertEqual(self.daemon.request("POST", "/v1/jobs?file=scans/a.png", role="read")[0], 403)
        self.assertEqual(self.ask("GET", "/v1/jobs")["jobs"], [])

    def test_a_request_without_a_length_is_one_without_a_body(self):
        self.start()
        self.put("scans/a.png", images.encode(images.noisy(40, 30)))
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=60) as connection:
            connection.sendall(f"POST /v1/jobs?file=scans/a.png HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {self.daemon.tokens['submit']}\r\n"
                               "Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        self.assertTrue(answer.startswith(b"HTTP/1.1 202 "), answer[:200])

    def test_without_roots_there_are_no_names(self):
        with Daemon() as daemon:
            status, _, body = daemon.request("POST", "/v1/jobs?file=scans/a.png")
            self.assertEqual((status, json.loads(body)["type"]), (403, "urn:histod:problem:no-file-root"))


class StartTest(FileReferenceTest):
    def ended(self, *options, prefix=(), environment=None):
        self.daemon.options, self.daemon.prefix, self.daemon.environment = list(options), list(prefix), {**self.daemon.environment, **(environment or {})}
        self.daemon.start(wait=False)
        code = self.daemon.process.wait(timeout=60)
        return code, self.daemon.log()

    def test_a_root_must_be_there(self):
        code, log = self.ended("--file-root", f"scans={self.volume}/nothing")
        self.assertEqual(code, 1)
        self.assertIn(f"--file-root scans: {self.volume}/nothing", log)

    def test_a_root_must_have_a_name(self):
        code, log = self.ended("--file-root", f"{self.volume}")
        self.assertEqual(code, 2)
        self.assertIn("--file-root takes NAME=DIR", log)

    def test_without_openat2_there_are_no_roots(self):
        code, log = self.ended("--file-root", f"scans={self.volume}", "--io", "auto", prefix=[sys.executable, str(SECCOMP)],
                               environment={"E2E_REFUSED_CALLS": OPENAT2})
        self.assertEqual(code, 1)
        self.assertIn("openat2", log)


class DatasetTest(FileReferenceTest):
    def add(self, dataset, name, **query):
        return self.submit(path=f"/v1/datasets/{dataset}/images", file=name, **query)

    def finalize_and_apply(self, dataset):
        self.wait_idle(dataset)
        self.ask("POST", f"/v1/datasets/{dataset}/finalize")
        self.ask("POST", f"/v1/datasets/{dataset}/apply", status=202)
        return self.wait_idle(dataset)

    def assert_written(self, pictures):
        """Against one table over all pixels in one row."""
        table = images.lut_exact(np.concatenate([pixels.ravel() for pixels in pictures.values()]), 256).astype(np.uint8)
        for name, pixels in pictures.items():
            np.testing.assert_array_equal(images.decode(self.read(f"out/{name}_equalized.png")), table[pixels], name)

    def test_results_follow_the_tables(self):
        self.start()
        pictures = {f"{i}": images.noisy(60 + i, 50, i, 1, 60 + 10 * i) for i in range(8)}
        for name, pixels in pictures.items():
            self.put(f"scans/{name}.png", images.encode(pixels))
        dataset = self.submit(201, "/v1/datasets", rule="exact")["id"]
        first = dict(list(pictures.items())[:5])
        jobs = {name: self.add(dataset, f"scans/{name}.png", result="out") for name in first}
        self.assertEqual(self.names(), [], "nothing is made yet")
        self.finalize_and_apply(dataset)
        self.assert_written(first)
        for name in set(pictures) - set(first):
            jobs[name] = self.add(dataset, f"scans/{name}.png", result="out")
        self.put("out/0_equalized.png", b"changed by somebody")
        self.finalize_and_apply(dataset)
        state = self.ask("GET", f"/v1/jobs/{jobs['0']['id']}")
        self.assertEqual((state["state"], state["error"]["type"]), ("done", "urn:histod:problem:file-exists"))
        self.assertEqual(self.read("out/0_equalized.png"), b"changed by somebody")
        (self.volume / "out/0_equalized.png").unlink()
        self.daemon.kill()
        self.start()
        self.wait_idle(dataset)
        self.assert_written(pictures)
        self.assertEqual(len(self.names()), len(pictures))
        self.submit(400, f"/v1/datasets/{dataset}/images", file="scans/0.png", rule="exact")


class HistoctlTest(FileReferenceTest):
    def run_ctl(self, *words, expect=0):
        environment = {**os.environ, "HISTOCTL_SERVER": f"http://127.0.0.1:{self.daemon.port}", "HISTOCTL_TOKEN_FILE": str(self.daemon.token_file)}
        done = subprocess.run([HISTOCTL, *words], env=environment, capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stdout

    def test_submit_and_add(self):
        self.start()
        gray = {name: images.noisy(80, 70, i) for i, name in enumerate(("a b", "c&d"))}
        for name, pixels in gray.items():
            self.put(f"scans/{name}.png", images.encode(pixels))
        names = [f"scans/{name}.png" for name in gray]
        lines = [json.loads(line) for line in self.run_ctl("submit", *names, "--result", "out/", "--json").splitlines()]
        self.assertEqual(sorted(line["result_file"] for line in lines), [f"out/{name}_equalized.png" for name in gray])
        for name, pixels in gray.items():
            np.testing.assert_array_equal(images.decode(self.read(f"out/{name}_equalized.png")), images.equalized(pixels))
        self.run_ctl("submit", "scans/nothing.png", expect=1)
        dataset = self.run_ctl("dataset", "create", "--rule", "exact").strip()
        self.run_ctl("dataset", "add", dataset, "--by-reference", names[0], "--result", "out/set.png")
        self.run_ctl("dataset", "add", dataset, "--by-reference", *names)
        self.assertEqual(self.wait_idle(dataset)["images"]["total"], 2)
        self.run_ctl("dataset", "finalize", dataset, "--wait")
        self.run_ctl("dataset", "apply", dataset, "--wait")
        table = images.lut_exact(np.concatenate([pixels.ravel() for pixels in gray.values()]), 256).astype(np.uint8)
        np.testing.assert_array_equal(images.decode(self.read("out/set.png")), table[gray["a b"]])


if __name__ == "__main__":
    main()
