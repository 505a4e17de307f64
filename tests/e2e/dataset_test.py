#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many images and one table: against numpy over all their pixels in one row, through kill -9, with histoctl."""
import http.client
import json
import os
import random
import subprocess
import unittest

import images
import numpy as np
from harness import Daemon, main

COUNT = int(os.environ.get("E2E_DATASET_IMAGES", "240"))
SEED = int(os.environ.get("E2E_SEED", "7"))


def pictures(count):
    """Mixed: gray and RGB of 8 bits, gray of 16, in several formats and sizes."""
    rng = np.random.default_rng(SEED)
    for i in range(count):
        height, width = int(rng.integers(5, 90)), int(rng.integers(5, 120))
        mean = int(rng.integers(40, 200))
        if i % 5 == 4:
            yield rng.integers(1_000, 9_000, (height, width)).astype(np.uint16), None
        else:
            channels = 3 if i % 2 else 1
            yield images.noisy(width, height, i, channels, mean), ("png", "tiff", "ppm")[i % 3]


def encoded(pixels, kind):
    return images.pgm16(pixels) if kind is None else images.encode(pixels, kind)


def decoded(body):
    if body.startswith(b"P5") and b"65535" in body[:30]:
        header, _, values = body.partition(b"65535\n")
        width, height = (int(number) for number in header.split()[1:3])
        return np.frombuffer(values, ">u2").reshape(height, width)
    return images.decode(body)


def kind_of(pixels):
    return (pixels.dtype.itemsize, 1 if pixels.ndim == 2 else pixels.shape[2])


def naive_tables(all_pixels):
    """For each kind a table a channel, by rule=exact over all pixels in one row."""
    tables = {}
    for kind in {kind_of(pixels) for pixels in all_pixels}:
        rows = [pixels.reshape(-1, kind[1]) for pixels in all_pixels if kind_of(pixels) == kind]
        values = np.concatenate(rows)
        levels = 256 if kind[0] == 1 else 65_536
        tables[kind] = [images.lut_exact(values[:, channel], levels) for channel in range(kind[1])]
    return tables


def expected(pixels, tables):
    own = tables[kind_of(pixels)]
    if pixels.ndim == 2:
        return own[0][pixels]
    return np.dstack([own[channel][pixels[..., channel]] for channel in range(pixels.shape[2])])


class DatasetTest(unittest.TestCase):
    def ask(self, daemon, method, path, body=None, status=200, **more):
        got, headers, answer = daemon.request(method, path, body, **more)
        self.assertEqual(got, status, answer[:500])
        return json.loads(answer) if answer and "json" in headers.get("content-type", "") else answer

    def wait_idle(self, daemon, dataset):
        while True:
            state = self.ask(daemon, "GET", f"/v1/datasets/{dataset}")
            if state["progress"]["phase"] == "idle":
                return state
            daemon.pause.wait(0.05)  # the daemon's own word: there is nothing else to wait for

    def create(self, daemon, query="rule=exact&color=channels"):
        return self.ask(daemon, "POST", f"/v1/datasets?{query}", status=201)["id"]

    def add(self, daemon, dataset, number, body):
        job = self.ask(daemon, "POST", f"/v1/datasets/{dataset}/images", body, 202, headers={"Idempotency-Key": f"k{number}"})
        return job["id"]

    def check_results(self, daemon, jobs, tables):
        for job, pixels in jobs:
            body = self.ask(daemon, "GET", f"/v1/jobs/{job}/result")
            np.testing.assert_array_equal(decoded(body), expected(pixels, tables))

    def check_tables(self, daemon, dataset, tables):
        told = self.ask(daemon, "GET", f"/v1/datasets/{dataset}/lut")
        self.assertEqual(len(told["kinds"]), len(tables))
        for kind in told["kinds"]:
            own = tables[(1 if kind["bins"] == 256 else 2, kind["planes"])]
            for table, naive in zip(kind["tables"], own, strict=True):
                np.testing.assert_array_equal(table, naive)

    def test_one_table_for_many_mixed_images(self):
        all_pixels = list(pictures(COUNT))
        with Daemon().start() as daemon:
            dataset = self.create(daemon)
            jobs = [(self.add(daemon, dataset, i, encoded(*one)), one[0]) for i, one in enumerate(all_pixels)]
            self.wait_idle(daemon, dataset)
            state = self.ask(daemon, "POST", f"/v1/datasets/{dataset}/finalize")
            self.assertEqual(state["lut"]["images"], COUNT)
            tables = naive_tables([pixels for _, pixels in jobs])
            self.check_tables(daemon, dataset, tables)
            self.ask(daemon, "POST", f"/v1/datasets/{dataset}/apply", status=202)
            state = self.wait_idle(daemon, dataset)
            self.assertEqual(state["progress"]["items_done"], COUNT)
            self.check_results(daemon, jobs, tables)
            # Half of them leave, and the table is that of the others, as if they had never been there.
            for job, _ in jobs[::2]:
                self.ask(daemon, "DELETE", f"/v1/jobs/{job}", status=204)
            self.ask(daemon, "POST", f"/v1/datasets/{dataset}/finalize")
            self.check_tables(daemon, dataset, naive_tables([pixels for _, pixels in jobs[1::2]]))

    def test_kill_9_at_random_moments(self):
        """Uploads go on from where the daemon died; what was acknowledged is there, once; the table is the same."""
        luck = random.Random(SEED)
        all_pixels = list(pictures(80))
        daemon = Daemon()
        jobs, dataset = {}, None
        with daemon.start():
            dataset = self.create(daemon)
            state = None
            while state is None:
                kill_at = len(jobs) + luck.randrange(5, 40)
                try:
                    for i, one in enumerate(all_pixels):
                        if i in jobs:
                            continue
                        jobs[i] = self.add(daemon, dataset, i, encoded(*one))
                        if len(jobs) == kill_at:
                            daemon.kill()
                    self.wait_idle(daemon, dataset)
                    self.ask(daemon, "POST", f"/v1/datasets/{dataset}/finalize")
                    self.ask(daemon, "POST", f"/v1/datasets/{dataset}/apply", status=202)
                    daemon.kill()
                    daemon.start()
                    state = self.wait_idle(daemon, dataset)
                except (OSError, http.client.HTTPException):  # it was killed
                    daemon.start()
            self.assertEqual(state["images"]["done"], 80)
            tables = naive_tables([pixels for pixels, _ in all_pixels])
            self.check_tables(daemon, dataset, tables)
            self.check_results(daemon, [(jobs[i], all_pixels[i][0]) for i in range(80)], tables)

    def test_matching_and_foreign_tables(self):
        with Daemon().start() as daemon:
            reference = self.create(daemon, "rule=exact")
            other = images.noisy(70, 60, 5, mean=180)
            self.add(daemon, reference, "r", encoded(other, "png"))
            dataset = self.create(daemon, f"method=match&reference={reference}")
            own = images.noisy(50, 90, 6, mean=60)
            self.add(daemon, dataset, "o", encoded(own, "png"))
            self.wait_idle(daemon, reference)
            self.wait_idle(daemon, dataset)
            self.ask(daemon, "POST", f"/v1/datasets/{dataset}/finalize")
            told = self.ask(daemon, "GET", f"/v1/datasets/{dataset}/lut")["kinds"][0]["tables"][0]
            # The smallest j with cdf_reference[j] * N_own >= cdf_own[i] * N_reference.
            theirs, mine = (np.cumsum(np.bincount(p.ravel(), minlength=256)) for p in (other, own))
            naive = [next(j for j in range(256) if int(theirs[j]) * own.size >= int(mine[i]) * other.size) for i in range(256)]
            for value in np.unique(own):
                self.assertEqual(told[value], naive[value])
            text = self.ask(daemon, "GET", f"/v1/datasets/{dataset}/lut", headers={"Accept": "text/plain"})
            twin = self.create(daemon, "")
            state = self.ask(daemon, "PUT", f"/v1/datasets/{twin}/lut", text, headers={"Content-Type": "text/plain"})
            self.assertEqual(state["lut"]["origin"], "uploaded")
            again = self.ask(daemon, "GET", f"/v1/datasets/{twin}/lut")
            self.assertEqual(again["kinds"][0]["tables"][0], told)
            for bad in (b"{}", b"nonsense", b'{"histod_lut":1,"kinds":[]}'):
                status, _, answer = daemon.request("PUT", f"/v1/datasets/{twin}/lut", bad)
                self.assertEqual((status, json.loads(answer)["type"]), (422, "urn:histod:problem:bad-lut"))
            for query in ("method=clahe", "range=auto", "pages=stack", "method=match", "reference=x", "name=%0a", "what=1"):
                self.ask(daemon, "POST", f"/v1/datasets?{query}", status=400)

    def test_histoctl_from_files_to_files(self):
        program = os.environ["HISTOCTL"]
        with Daemon().start() as daemon:
            token = daemon.folder / "token"
            token.write_text(daemon.tokens["admin"] + "\n")
            token.chmod(0o600)

            def histoctl(*arguments):
                done = subprocess.run([program, *arguments, "--server", f"http://127.0.0.1:{daemon.port}", "--token-file", token],
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, (arguments, done.stdout, done.stderr))
                return done.stdout

            source, results = daemon.folder / "source", daemon.folder / "results"
            source.mkdir()
            results.mkdir()
            parts = {f"{i}.png": images.noisy(60, 40, i, mean=60 + 10 * i) for i in range(9)}
            for name, pixels in parts.items():
                (source / name).write_bytes(encoded(pixels, "png"))
            dataset = histoctl("dataset", "create", "--name", "mosaic", "--rule", "exact").strip()
            histoctl("dataset", "add", dataset, str(source))
            again = histoctl("dataset", "add", dataset, str(source), "--json")
            self.assertNotIn('"state"', again, "all of them are there")
            histoctl("dataset", "finalize", dataset, "--wait")
            histoctl("dataset", "apply", dataset, "--wait")
            histoctl("dataset", "get", dataset, "-o", str(results))
            table = images.lut_exact(np.concatenate([pixels.ravel() for pixels in parts.values()]), 256)
            found = sorted(results.iterdir())
            self.assertEqual(len(found), len(parts))
            for path in found:
                name = path.name.split("_")[0].removesuffix(".png") + ".png"
                np.testing.assert_array_equal(images.decode(path.read_bytes()), table[parts[name]])
            lut = np.loadtxt(histoctl("dataset", "lut", dataset, "--text").splitlines())
            np.testing.assert_array_equal(lut, table)
            histoctl("dataset", "rm", dataset)


if __name__ == "__main__":
    main()
