# SPDX-License-Identifier: Apache-2.0
"""In steady state a plain gray image costs no allocation and no copy: counted from outside, over all threads
but the fleet's, which has nothing to do with requests and keeps its session alive meanwhile."""
import os
import socket
import struct

import harness
import images

REQUESTS = 1000
ROUNDS = 4  # in the first ones memory may still be taken that is used again from then on


class Client:
    """One connection; bytes out, bytes in."""

    def __init__(self, daemon, body):
        self.connection = socket.create_connection(("127.0.0.1", daemon.port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = (f"POST /v1/equalize HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {daemon.tokens['submit']}\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        self.body_bytes = len(body)
        self.answer = bytearray(len(body) + 65536)

    def equalize(self):
        self.connection.sendall(self.request)
        view, filled, head = memoryview(self.answer), 0, -1
        while head < 0 or filled < head + 4 + self.body_bytes:
            received = self.connection.recv_into(view[filled:])
            assert received > 0, bytes(self.answer[:filled])
            filled += received
            head = self.answer.find(b"\r\n\r\n", 0, 4096)
        assert self.answer.startswith(b"HTTP/1.1 200 "), bytes(self.answer[:head])
        return bytes(self.answer[head + 4:filled])


class ZeroCopy(harness.unittest.TestCase):
    def setUp(self):
        if os.environ.get("E2E_SANITIZER_LIBRARY"):
            self.skipTest("a sanitizer allocates by itself: this runs in the release build")

    def counts(self):
        return struct.unpack("4Q", (self.daemon.folder / "counts").read_bytes())[:3]

    def costs_nothing(self, pixels, kind):
        file, expected = images.encode(pixels, kind), images.encode(images.equalized(pixels), kind)
        client = Client(self.daemon, file)
        rounds = []
        while len(rounds) < ROUNDS and [0, 0, 0] not in rounds:
            before = self.counts()
            for _ in range(REQUESTS):
                result = client.equalize()
            rounds.append([b - a for a, b in zip(before, self.counts())])
            self.assertEqual(result, expected)
        self.assertIn([0, 0, 0], rounds, "allocations, copies, bytes copied in each round of 1,000 requests")

    def start(self):
        self.daemon = harness.Daemon()
        self.daemon.environment |= {"LD_PRELOAD": os.environ["E2E_COUNT_SHIM"], "HISTOD_COUNT_NOT": "histod-fleet",
                                    "HISTOD_COUNT_FILE": str(self.daemon.folder / "counts")}
        return self.daemon

    def test_a_small_image(self):
        with self.start():
            self.costs_nothing(images.noisy(256, 256), "ppm")

    def test_an_image_that_goes_through_the_arena(self):
        with self.start():
            self.costs_nothing(images.noisy(1500, 1200), "ppm")

    def test_a_tiff(self):
        with self.start():
            self.costs_nothing(images.noisy(1500, 1200), "tiff")

    def test_the_shim_does_count(self):
        with self.start():
            before = self.counts()
            status, _, _ = self.daemon.request("POST", "/v1/equalize?format=png", images.encode(images.noisy(300, 300), "ppm"))
            self.assertEqual(status, 200)
            allocations, copies, copied = [b - a for a, b in zip(before, self.counts())]
            self.assertGreater(allocations, 10)
            self.assertGreater(copies, 0)
            self.assertGreaterEqual(copied, 1024 * copies)


if __name__ == "__main__":
    harness.main()
