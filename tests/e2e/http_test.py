#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a client sees: results, errors, credentials, limits. By http.client, requests, and curl."""
import json
import socket
import subprocess
import unittest

import images
import numpy as np
import requests
from harness import Daemon, main, need


class HttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--max-upload-bytes", "4MiB", "--max-pixels", "1000000", "--auth-failures-per-minute", "5",
                            "--header-timeout", "2s").start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def setUp(self):
        self.assertIsNone(self.daemon.process.poll(), "the daemon died")

    def problem(self, outcome, status, code):
        got, headers, body = outcome
        self.assertEqual(got, status, body)
        self.assertEqual(headers["content-type"], "application/problem+json")
        document = json.loads(body)
        self.assertEqual(document["type"], f"urn:histod:problem:{code}")
        self.assertEqual(document["status"], status)
        self.assertTrue(document["title"] and document["detail"])
        return document, headers

    def post(self, path, body, **more):
        return self.daemon.request("POST", path, body, **more)

    def test_gray_result_in_each_lossless_format(self):
        gray = images.noisy(321, 123)
        for kind in ("png", "tiff", "ppm"):
            status, headers, body = self.post("/v1/equalize", images.encode(gray, kind))
            self.assertEqual(status, 200, body)
            np.testing.assert_array_equal(images.decode(body), images.equalized(gray))
            self.assertRegex(headers["histod-lut-digest"], "^sha-256=[0-9a-f]{64}$")
            for step in ("receive", "decode", "histogram", "lut", "apply", "encode", "total"):
                self.assertIn(f"{step};dur=", headers["server-timing"])

    def test_sixteen_bit_stays_sixteen_bit(self):
        values = np.random.default_rng(2).integers(1000, 5000, (50, 60)).astype(np.uint16)
        status, _, body = self.post("/v1/equalize?rule=exact", images.pgm16(values))
        self.assertEqual(status, 200)
        self.assertTrue(body.startswith(b"P5"))
        got = np.frombuffer(body[-values.size * 2:], ">u2").reshape(values.shape)
        np.testing.assert_array_equal(got, images.lut_exact(values, 65536)[values])

    def test_accept_and_format_choose_the_result(self):
        body = images.encode(images.noisy(30, 20), "tiff")
        self.assertEqual(self.post("/v1/equalize", body, headers={"Accept": "image/png"})[1]["content-type"], "image/png")
        self.assertEqual(self.post("/v1/equalize?format=pgm", body)[2][:2], b"P5")
        self.problem(self.post("/v1/equalize", body, headers={"Accept": "text/html"}), 406, "not-acceptable")

    def test_multipart_with_a_mask(self):
        gray = images.noisy(64, 64)
        mask = np.zeros_like(gray)
        mask[:, :32] = 255
        answer = requests.post(f"http://127.0.0.1:{self.daemon.port}/v1/equalize", timeout=30,
                               headers={"Authorization": f"Bearer {self.daemon.tokens['submit']}"},
                               files={"image": ("my photo.png", images.encode(gray), "image/png"),
                                      "mask": ("mask.png", images.encode(mask), "image/png")})
        self.assertEqual(answer.status_code, 200, answer.text)
        expected = gray.copy()
        expected[:, :32] = images.equalized(np.ascontiguousarray(gray[:, :32]))
        np.testing.assert_array_equal(images.decode(answer.content), expected)
        self.assertIn("my photo_equalized.png", answer.headers["Content-Disposition"])

    def test_histogram_counts_every_pixel(self):
        gray = images.noisy(77, 55)
        status, _, body = self.post("/v1/histogram", images.encode(gray))
        plane = json.loads(body)["planes"][0]
        self.assertEqual(status, 200)
        np.testing.assert_array_equal(plane["histogram"], np.bincount(gray.ravel(), minlength=256))
        np.testing.assert_array_equal(plane["lut"], images.lut_opencv(gray))
        np.testing.assert_array_equal(plane["cdf"], np.cumsum(np.bincount(gray.ravel(), minlength=256)))
        self.assertEqual(plane["counted"], gray.size)

    def test_jobs_from_submission_to_removal(self):
        gray = images.noisy(100, 90)
        status, headers, body = self.post("/v1/jobs", images.encode(gray), headers={"Idempotency-Key": "k-1"})
        self.assertEqual(status, 202, body)
        job = json.loads(body)
        again = self.post("/v1/jobs", images.encode(gray), headers={"Idempotency-Key": "k-1"})
        self.assertEqual((again[0], json.loads(again[2])["id"]), (202, job["id"]))
        self.assertEqual(again[1]["idempotency-replayed"], "true")
        self.problem(self.post("/v1/jobs?rule=exact", images.encode(gray), headers={"Idempotency-Key": "k-1"}), 409, "conflict")
        status, headers, body = self.daemon.request("GET", f"/download/{job['id']}_final.png")
        self.assertEqual(status, 200, body)
        np.testing.assert_array_equal(images.decode(body), images.equalized(gray))
        done = json.loads(self.daemon.request("GET", f"/v1/jobs/{job['id']}")[2])
        self.assertEqual((done["state"], done["attempts"]), ("done", 1))
        self.assertEqual(done["result"]["lut_digest"], headers["histod-lut-digest"])
        self.assertEqual(self.daemon.request("GET", done["result"]["href"])[2], body)
        self.assertEqual(self.daemon.request("DELETE", f"/v1/jobs/{job['id']}")[0], 204)
        self.problem(self.daemon.request("GET", f"/v1/jobs/{job['id']}"), 404, "not-found")

    def test_the_original_interface(self):
        color = images.noisy(40, 30, channels=3)
        answer = requests.post(f"http://127.0.0.1:{self.daemon.port}/upload", timeout=30,
                               headers={"Authorization": f"Bearer {self.daemon.tokens['submit']}"},
                               files={"image": ("x.png", images.encode(color))})
        self.assertEqual(answer.status_code, 200, answer.text)
        status, _, body = self.daemon.request("GET", f"/download/{answer.json()['job_id']}_final.png")
        self.assertEqual(status, 200, body)
        gray = np.array(images.Image.fromarray(color).convert("L"))
        histogram = np.bincount(gray.ravel(), minlength=256)
        first = int(np.argmax(histogram > 0))
        cdf = np.cumsum(histogram)
        table = np.maximum(cdf - histogram[first], 0) * 255 // (gray.size - histogram[first])
        np.testing.assert_array_equal(images.decode(body), table[gray].astype(np.uint8))
        self.assertEqual(json.loads(self.daemon.request("GET", "/health", role=None)[2]), {"status": "healthy"})
        self.assertEqual(self.daemon.request("GET", "/ready", role=None)[0], 200)

    def test_credentials(self):
        body = images.encode(images.noisy(8, 8))
        _, headers = self.problem(self.post("/v1/equalize", body, role=None), 401, "unauthorized")
        self.assertTrue(headers["www-authenticate"].startswith("Bearer"))
        self.problem(self.post("/v1/equalize", body, role="read"), 403, "forbidden")
        wrong = {"Authorization": "Bearer " + "0" * 32}
        for _ in range(5):
            self.problem(self.post("/v1/equalize", body, role=None, headers=wrong), 401, "unauthorized")
        _, headers = self.problem(self.post("/v1/equalize", body, role=None, headers=wrong), 429, "rate-limited")
        self.assertGreater(int(headers["retry-after"]), 0)
        self.assertIn("refused token", self.daemon.log())
        self.assertNotIn("0" * 32, self.daemon.log())
        # The limit is per address: a new one for the other tests.
        self.daemon.stop()
        self.daemon.start()

    def test_wrong_methods_paths_and_options(self):
        document, headers = self.problem(self.daemon.request("PUT", "/v1/equalize", b"x"), 405, "method-not-allowed")
        self.assertEqual(headers["allow"], "POST")
        self.problem(self.daemon.request("GET", "/v2/nothing"), 404, "not-found")
        for query in ("rule=best", "color=red", "tiles=0x8", "clip=-1", "nodata=x", "range=1", "quality=0", "typo=1",
                      "rule=exact&rule=exact", "clip=2", "quality=80&format=png"):
            self.problem(self.post(f"/v1/equalize?{query}", images.encode(images.noisy(8, 8))), 400, "bad-option")

    def test_bodies_that_are_no_image(self):
        self.problem(self.post("/v1/equalize", b"hello, this is text"), 415, "unknown-format")
        png = images.encode(images.noisy(200, 200))
        self.problem(self.post("/v1/equalize", png[: len(png) // 2]), 422, "broken-image")
        self.problem(self.post("/v1/equalize", b""), 400, "bad-request")
        cmyk = images.io.BytesIO()
        images.Image.new("CMYK", (16, 16)).save(cmyk, "jpeg")
        document, _ = self.problem(self.post("/v1/equalize", cmyk.getvalue()), 415, "unsupported")
        self.assertIn("CMYK", document["detail"])

    def test_limits_say_value_and_limit(self):
        document, _ = self.problem(self.post("/v1/equalize", b"P5\n2000 1000\n255\n"), 413, "limit-exceeded")
        self.assertEqual((document["value"], document["limit"]), (2_000_000, 1_000_000))
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=30) as peer:
            token = self.daemon.tokens["submit"]
            peer.sendall(f"POST /v1/equalize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                         f"Content-Length: 99999999\r\n\r\n".encode())
            answer = peer.recv(65536)
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0])
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=30) as peer:
            peer.sendall(f"POST /v1/equalize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            answer = peer.recv(65536)
        self.assertIn(b" 411 ", answer.split(b"\r\n")[0])

    def test_slow_header_gets_408(self):
        with socket.create_connection(("127.0.0.1", self.daemon.port), timeout=30) as peer:
            peer.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
            self.assertIn(b" 408 ", peer.recv(65536).split(b"\r\n")[0])

    def test_curl_by_file_form_and_chunked(self):
        need("curl")
        gray = images.noisy(500, 400)
        source = self.daemon.folder / "in.png"
        source.write_bytes(images.encode(gray))
        header = self.daemon.folder / "authorization"
        header.write_text(f"Authorization: Bearer {self.daemon.tokens['submit']}\n")
        url = f"http://127.0.0.1:{self.daemon.port}/v1/equalize"
        for way in (["--data-binary", f"@{source}"], ["-F", f"image=@{source}"],
                    ["--data-binary", f"@{source}", "-H", "Transfer-Encoding: chunked"],
                    ["--data-binary", f"@{source}", "-H", "Expect: 100-continue"], ["--http1.0", "--data-binary", f"@{source}"]):
            done = subprocess.run(["curl", "-sS", "--fail-with-body", "-H", f"@{header}", *way, url], capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, (way, done.stderr, done.stdout[:300]))
            np.testing.assert_array_equal(images.decode(done.stdout), images.equalized(gray))

    def test_a_large_png_goes_out_while_it_is_encoded(self):
        need("curl")
        pixels = images.noisy(1000, 990, 5, 3)
        expected = np.dstack([images.equalized(pixels[..., channel]) for channel in range(3)])
        source = self.daemon.folder / "large.png"
        source.write_bytes(images.encode(pixels))
        header = self.daemon.folder / "authorization"
        header.write_text(f"Authorization: Bearer {self.daemon.tokens['submit']}\n")
        # Slow, and of several bands: the first is out before the last is made.
        url = f"http://127.0.0.1:{self.daemon.port}/v1/equalize?png=small&color=channels"
        told = {}
        for version in ("--http1.1", "--http1.0"):
            dump = self.daemon.folder / "fields"
            done = subprocess.run(["curl", "-sS", "--fail-with-body", version, "-D", dump, "-H", f"@{header}", "-H", "Expect:",
                                   "--data-binary", f"@{source}", url], capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, (version, done.stderr, done.stdout[:300]))
            np.testing.assert_array_equal(images.decode(done.stdout), expected)
            told[version] = dump.read_text().lower()
        self.assertIn("transfer-encoding: chunked", told["--http1.1"])
        self.assertNotIn("content-length", told["--http1.1"])
        head, _, trailer = told["--http1.1"].partition("\n\n")
        self.assertIn("trailer: server-timing", head)
        self.assertNotIn("encode;dur=", head)
        self.assertRegex(trailer, "server-timing: .*encode;dur=[0-9.]+, total;dur=")
        self.assertIn("content-length", told["--http1.0"])
        self.assertNotIn("chunked", told["--http1.0"])

    def test_head_etag_and_openapi(self):
        status, headers, body = self.daemon.request("HEAD", "/healthz", role=None)
        self.assertEqual((status, headers["content-length"], body), (200, "3", b""))
        status, headers, _ = self.daemon.request("GET", "/", role=None)
        self.assertIn("default-src 'none'", headers["content-security-policy"])
        self.assertEqual(self.daemon.request("GET", "/", role=None, headers={"If-None-Match": headers["etag"]})[0], 304)
        self.assertIn(b"openapi: 3.1", self.daemon.request("GET", "/openapi.yaml", role=None)[2])

    def test_echo_is_there_only_for_benchmarks(self):
        self.problem(self.post("/v1/echo", b"body"), 404, "not-found")
        with Daemon("--bench") as daemon:
            for sent in (b"", bytes(range(256)), np.random.default_rng(3).bytes(3_000_000)):
                status, headers, body = daemon.request("POST", "/v1/echo", sent, role="submit")
                self.assertEqual((status, headers["content-type"]), (200, "application/octet-stream"))
                self.assertEqual(body, sent)
            self.assertEqual(daemon.request("POST", "/v1/echo", b"body", role="read")[0], 403)
            status, headers, _ = daemon.request("GET", "/v1/echo")
            self.assertEqual((status, headers["allow"]), (405, "POST"))
            self.assertEqual(daemon.stop(), 0)

    def test_echo_on_one_connection_in_every_framing(self):
        """Many requests one after the other, in chunks as well, and two at once: each gets its own bytes back."""
        with Daemon("--bench", "--max-upload-bytes", "1MiB") as daemon:
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {daemon.tokens['submit']}"
            url = f"http://127.0.0.1:{daemon.port}/v1/echo"
            for size in (1, 65_535, 65_536, 65_537, 1 << 20, 0, 300):
                sent = np.random.default_rng(size).bytes(size)
                self.assertEqual(session.post(url, data=sent, timeout=30).content, sent)
                pieces = (sent[i:i + 10_000] for i in range(0, size, 10_000))
                answer = session.post(url, data=pieces, timeout=30)
                self.assertEqual((answer.status_code, answer.content), (200, sent))
            self.problem(daemon.request("POST", "/v1/echo", b"x" * ((1 << 20) + 1)), 413, "too-large")
            head = f"POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {daemon.tokens['submit']}\r\nContent-Length: 3\r\n\r\n"
            with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as connection:
                connection.sendall(f"{head}one{head}two".encode())
                received = b""
                while not received.endswith(b"two"):
                    some = connection.recv(65536)
                    self.assertTrue(some, received)
                    received += some
            self.assertEqual(received.count(b"HTTP/1.1 200"), 2)
            self.assertIn(b"\r\n\r\none", received)


if __name__ == "__main__":
    main()
