#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Truncated, lying, hostile and huge files of each format, by HTTP: a documented error each time, no crash, bounded memory."""
import concurrent.futures
import http.client
import io
import json
import os
import pathlib
import random
import struct
import unittest
import zlib

import images
import numpy as np
from harness import Daemon, main
from PIL import Image

CORPUS = pathlib.Path(os.environ["E2E_CORPUS"])
BUDGET_BYTES = 256 << 20
# Beside the budget: code, libraries, stacks, TBB, and what malloc keeps.
BESIDE_BYTES = 192 << 20
DOCUMENTED = {200, 400, 413, 415, 422}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width, height, data=b""):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff_claiming(width, height):
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
               (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height & 0xFFFFFFFF)]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + body + struct.pack("<I", 0)


def tiff_loop():
    data = bytearray(tiff_claiming(4, 4))
    data[-4:] = struct.pack("<I", 8)
    return bytes(data) + bytes(64)


def jpeg_claiming(width, height):
    out = io.BytesIO()
    Image.new("L", (16, 16)).save(out, "jpeg")
    data = bytearray(out.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


class HostileTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--memory-budget", str(BUDGET_BYTES)).start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def tearDown(self):
        self.assertIsNone(self.daemon.process.poll(), "the daemon died")
        self.assertLess(self.daemon.rss_peak_bytes(), BUDGET_BYTES + BESIDE_BYTES)

    def post(self, body, path="/v1/equalize"):
        status, headers, answer = self.daemon.request("POST", path, body)
        if status >= 400:
            document = json.loads(answer)
            self.assertEqual((headers["content-type"], document["status"]), ("application/problem+json", status))
            self.assertTrue(document["detail"])
        return status, answer

    def samples(self):
        gray, color = images.noisy(40, 30), images.noisy(40, 30, channels=3)
        return {"png": images.encode(color), "tiff": images.encode(color, "tiff"), "lzw": images.encode(gray, "tiff", compression="tiff_lzw"),
                "deflate": images.encode(gray, "tiff", compression="tiff_adobe_deflate"), "jpeg": images.encode(color, "jpeg"),
                "progressive": images.encode(color, "jpeg", progressive=True), "ppm": images.encode(color, "ppm")}

    def test_truncated_everywhere(self):
        for kind, data in self.samples().items():
            for length in sorted({*range(1, 64), *range(64, len(data), max(1, len(data) // 60))}):
                status, answer = self.post(data[:length])
                self.assertIn(status, DOCUMENTED, (kind, length, answer[:200]))

    def test_bytes_changed_at_random(self):
        chance = random.Random(7)
        for kind, data in self.samples().items():
            for _ in range(60):
                hurt = bytearray(data)
                for _ in range(chance.randint(1, 8)):
                    hurt[chance.randrange(len(hurt))] = chance.randrange(256)
                status, answer = self.post(bytes(hurt))
                self.assertIn(status, DOCUMENTED, (kind, answer[:200]))

    def test_lying_headers(self):
        for name, data, status in (("png", png_claiming(100_000, 100_000), 413), ("png rows missing", png_claiming(9_000, 9_000), 422),
                                   ("tiff", tiff_claiming(200_000, 200_000), 413), ("tiff beyond the file", tiff_claiming(5_000, 5_000), 422),
                                   ("tiff loop", tiff_loop(), 422), ("jpeg", jpeg_claiming(65_500, 65_500), 413),
                                   ("pgm", b"P5\n99999999 99999999\n255\n", 413), ("pgm short", b"P5\n9000 9000\n255\n", 422),
                                   ("pgm text", b"P5\n-1 4\n255\n", 422), ("zero", b"P5\n0 0\n255\n", 422)):
            got, answer = self.post(data)
            # A short file may be refused for its ratio before it is found to be short.
            self.assertIn(got, {status, 413} if status == 422 else {status}, (name, answer))

    def test_bombs(self):
        bomb = png_claiming(30_000, 6_000, zlib.compress(bytes(6_000 * 30_001), 9))
        self.assertLess(len(bomb), 300_000)
        got, answer = self.post(bomb)
        self.assertIn(got, {413, 422}, answer)
        stripes = b"P5\n16000 16000\n255\n" + bytes(1000)
        self.assertIn(self.post(stripes)[0], {413, 422})

    def test_fuzz_corpora(self):
        files = [path for path in CORPUS.rglob("*") if path.is_file()]
        self.assertGreater(len(files), 20)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for path, (status, answer) in zip(files, pool.map(lambda p: self.post(p.read_bytes() or b"-"), files)):
                self.assertIn(status, DOCUMENTED, (path, answer[:200]))

    def test_masks_are_input_too(self):
        gray = images.encode(images.noisy(32, 32))
        boundary = "xyz"
        for mask in (b"garbage", images.encode(images.noisy(31, 32)), images.encode(images.noisy(32, 32, channels=3)), gray[:60]):
            parts = b"".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode() + data + b"\r\n"
                             for name, data in (("image", gray), ("mask", mask)))
            status, _, answer = self.daemon.request("POST", "/v1/equalize", parts + f"--{boundary}--\r\n".encode(),
                                                    headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
            self.assertIn(status, {400, 415, 422}, answer)

    def test_many_large_uploads_stay_within_the_budget(self):
        """More at once than memory allows: each is answered, by its result or by 503 with Retry-After."""
        body = images.encode(images.noisy(5000, 4000), "tiff")

        def one(_):
            try:
                return self.daemon.request("POST", "/v1/equalize", body, timeout=120)[:2]
            except (BrokenPipeError, ConnectionResetError, http.client.HTTPException):
                return None  # refused while the body was under way

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            outcomes = list(pool.map(one, range(24)))
        statuses = [outcome[0] for outcome in outcomes if outcome]
        self.assertIn(200, statuses)
        self.assertLessEqual(set(statuses), {200, 503})
        for outcome in outcomes:
            if outcome and outcome[0] == 503:
                self.assertIn("retry-after", outcome[1])
        self.assertEqual(self.post(images.encode(images.noisy(20, 20)))[0], 200)

    def test_a_job_that_can_never_fit_fails_and_says_so(self):
        # 413 for the request itself: a worker has less memory than this.
        got, answer = self.post(images.encode(np.zeros((12_000, 12_000), np.uint8), "png"))
        self.assertEqual(got, 413, answer)
        document = json.loads(answer)
        self.assertGreater(document["value"], document["limit"])


if __name__ == "__main__":
    main()
