#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PNG files that come in slowly, in pieces, or not to their end: the same bytes and the same errors as in one go."""
import contextlib
import http.client
import json
import socket
import struct
import threading
import unittest
import zlib

import images
import numpy as np
from harness import Daemon, main

BUDGET_BYTES = 192 << 20
BESIDE_BYTES = 192 << 20
SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def shifted(raw, rows, columns):
    """What lies that many rows above and bytes to the left; 0 outside."""
    out = np.zeros_like(raw)
    out[rows:, columns:] = raw[:raw.shape[0] - rows, :raw.shape[1] - columns]
    return out


def predictions(raw, step):
    """By each of PNG's filters, for all rows: as the specification writes them, in numpy."""
    a, b, c = (shifted(raw, *by).astype(np.int32) for by in ((0, step), (1, 0), (1, step)))
    to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
    return [np.zeros_like(a), a, b, (a + b) // 2, paeth]


def filtered(pixels, filters):
    """The rows of an array of 8 or 16 bits as a PNG stores them; `filters` tells which, row by row in turn."""
    height, step = pixels.shape[0], pixels.dtype.itemsize * (1 if pixels.ndim == 2 else pixels.shape[2])
    big_endian = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">")))
    raw = np.frombuffer(big_endian.tobytes(), np.uint8).reshape(height, -1)
    chosen = np.array([filters[y % len(filters)] for y in range(height)], np.uint8)
    rows = np.stack(predictions(raw, step))[chosen, np.arange(height)]
    return np.hstack([chosen[:, None], (raw - rows).astype(np.uint8)]).tobytes()


def png(pixels, filters=(1, 4, 2, 4, 4, 4, 4, 3, 0, 4, 4, 4, 4), idat_bytes=8192, before=b"", between=b"", after=b"",
        rows=None):
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], pixels.dtype.itemsize * 8, COLOR_TYPES[channels],
                       0, 0, 0)
    stream = zlib.compress(rows if rows is not None else filtered(pixels, filters), 1)
    data = [chunk(b"IDAT", stream[i:i + idat_bytes]) for i in range(0, len(stream), idat_bytes)]
    data.insert(len(data) // 2, between)
    return SIGNATURE + chunk(b"IHDR", head) + before + b"".join(data) + after + chunk(b"IEND", b"")


def by_channels(pixels):
    """Each color channel equalized by itself, alpha as it was."""
    if pixels.ndim == 2:
        return images.equalized(pixels)
    out = pixels.copy()
    for channel in range({2: 1, 3: 3, 4: 3}[pixels.shape[2]]):
        out[..., channel] = images.equalized(pixels[..., channel])
    return out


def with_alpha(pixels):
    """Nothing is wholly transparent: every pixel is counted."""
    pixels[..., -1] = np.maximum(pixels[..., -1], 1)
    return pixels


class PiecesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--memory-budget", str(BUDGET_BYTES)).start()
        cls.questions = cls.question_bytes = 0
        first, second = (cls.daemon.metric("histod_http_received_bytes_total") for _ in range(2))
        cls.question_bytes = second - first

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def tearDown(self):
        self.assertIsNone(self.daemon.process.poll(), "the daemon died")
        self.assertLess(self.daemon.rss_peak_bytes(), BUDGET_BYTES + BESIDE_BYTES)

    def connect(self, body, query):
        """A connection on which the head of a request is out, and nothing of its body."""
        connection = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = (f"POST /v1/equalize?{query} HTTP/1.1\r\nHost: test\r\n"
                f"Authorization: Bearer {self.daemon.tokens['submit']}\r\nContent-Length: {len(body)}\r\n\r\n").encode()
        self.head_bytes = len(head)
        connection.sendall(head)
        return connection

    @staticmethod
    def answer(connection):
        with contextlib.closing(http.client.HTTPResponse(connection)) as response:
            response.begin()
            return response.status, response.getheader("content-type"), response.getheader("histod-lut-digest"), \
                response.read()

    def seen(self):
        """What the daemon has received, without these questions themselves: each is as long as the others."""
        type(self).questions += 1
        return self.daemon.metric("histod_http_received_bytes_total") - self.questions * self.question_bytes

    def wait_seen(self, bytes_seen):
        while self.seen() < bytes_seen:
            self.daemon.pause.wait(0.001)  # the daemon's counter: there is nothing else to wait for

    def in_pieces(self, body, cuts, query="color=channels"):
        """Sends the body cut there; the daemon has each piece before the next one is sent."""
        before = self.seen()
        with contextlib.closing(self.connect(body, query)) as connection:
            at = 0
            before += self.head_bytes
            for cut in [*cuts, len(body)]:
                connection.sendall(body[at:cut])
                if cut < len(body):
                    self.wait_seen(before + cut)
                at = cut
            return self.answer(connection)

    def at_last(self, body, query="color=channels"):
        """With chunked coding nobody knows the length before the end: decoding begins then."""
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", f"/v1/equalize?{query}", body=iter([body]), encode_chunked=True,
                               headers={"Authorization": f"Bearer {self.daemon.tokens['submit']}",
                                        "Transfer-Encoding": "chunked"})
            response = connection.getresponse()
            return response.status, response.getheader("content-type"), response.getheader("histod-lut-digest"), \
                response.read()

    def test_every_kind_of_pixel(self):
        for channels in COLOR_TYPES:
            pixels = with_alpha(images.noisy(901, 500, channels, channels)) if channels in (2, 4) else \
                images.noisy(901, 500, channels, channels)
            body = png(pixels)
            self.assertGreater(len(body), 256 << 10)
            got = self.in_pieces(body, range(100_000, len(body), 100_000))
            self.assertEqual(got[:2], (200, "image/png"))
            self.assertTrue(got == self.at_last(body), channels)
            np.testing.assert_array_equal(images.decode(got[3]), by_channels(pixels))

    def test_sixteen_bits(self):
        pixels = np.random.default_rng(5).integers(9_000, 30_000, (500, 700), np.uint16)
        body = png(pixels, idat_bytes=50_000)
        got = self.in_pieces(body, [200_000, 200_001, 400_000], "rule=exact")
        self.assertTrue(got == self.at_last(body, "rule=exact"))
        np.testing.assert_array_equal(images.decode(got[3]), images.lut_exact(pixels, 65_536)[pixels])

    def test_cuts_at_all_borders(self):
        pixels = images.noisy(800, 500, 7, 3)
        text = chunk(b"tEXt", b"Comment\0" + b"x" * 300)
        body = png(pixels, idat_bytes=70_000, before=text, after=text)
        borders, at = [8], 8
        while at < len(body):
            length = struct.unpack(">I", body[at:at + 4])[0]
            borders += [at + 1, at + 4, at + 8, at + 8 + length, at + 10 + length, at + 12 + length]
            at += 12 + length
        cuts = sorted({cut for cut in borders if 0 < cut < len(body)})
        expected = by_channels(pixels)
        for some in (cuts, cuts[::3], range(1, 100)):
            np.testing.assert_array_equal(images.decode(self.in_pieces(body, some)[3]), expected)

    def test_other_wishes(self):
        pixels = images.noisy(800, 500, 8, 3)
        body = png(pixels)
        half = [len(body) // 2]
        for query in ("", "color=ycrcb", "color=gray", "method=clahe", "format=tiff", "format=jpeg&quality=80", "png=small",
                      "rule=none-such", "format=pgm"):
            self.assertTrue(self.in_pieces(body, half, query) == self.at_last(body, query), query)

    def broken(self):
        pixels = images.noisy(900, 500, 9, 3)
        whole = png(pixels)
        rows = bytearray(filtered(pixels, (1, 4)))
        at = len(whole) // 2
        yield "cut off", whole[:at]
        yield "without its end", whole[:-12]
        yield "cut off in a checksum", whole[:-14]
        for place in (at, at + 1, len(whole) - 5_000):
            yield "changed", whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1:]
        rows[2701 * 300] = 9
        yield "of a filter that is none", png(pixels, rows=bytes(rows))
        yield "of too few rows", png(pixels, rows=filtered(pixels[:499], (1, 4)))
        yield "of too many rows", png(pixels, rows=filtered(pixels, (4,)) + bytes(2701))
        yield "with another chunk between the pixels", png(pixels, between=chunk(b"tEXt", b"a\0b"))
        yield "with a late transparency", png(pixels, after=chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)))
        yield "with a late animation", png(pixels, after=chunk(b"acTL", bytes(8)))
        yield "with a critical chunk that nobody knows", png(pixels, before=chunk(b"NEWS", b""))
        yield "with a broken text", png(pixels, before=chunk(b"tEXt", b"a\0b")[:-1] + b"\0")

    def test_broken_files(self):
        for what, body in self.broken():
            expected = self.at_last(body)
            for cuts in ([len(body) // 3, len(body) * 2 // 3, len(body) - 1], range(65_536, len(body), 65_536)):
                self.assertEqual(self.in_pieces(body, cuts), expected, what)
            if expected[0] != 200:
                self.assertEqual(expected[1], "application/problem+json")
                self.assertTrue(json.loads(expected[3])["detail"], what)

    def test_clients_that_go_away(self):
        body = png(images.noisy(1200, 900, 10, 3))
        for part in range(1, 40):
            before = self.seen()
            with contextlib.closing(self.connect(body, "color=channels")) as connection:
                sent = len(body) * part // 40
                connection.sendall(body[:sent])
                if part % 2:
                    self.wait_seen(before + self.head_bytes + sent)
        self.assertEqual(self.in_pieces(body, [len(body) // 2])[0], 200)
        while self.daemon.metric("histod_pool_leased_bytes") > 1 << 20:
            self.daemon.pause.wait(0.001)  # what was given up comes home

    def test_many_at_once_share_the_memory(self):
        bodies = [png(images.noisy(1500, 1100, seed, 3), filters=(4,)) for seed in range(3)]
        expected = [self.at_last(body) for body in bodies]
        answers, gate = {}, threading.Barrier(12)

        def upload(index):
            body = bodies[index % len(bodies)]
            with contextlib.closing(self.connect(body, "color=channels")) as connection:
                connection.sendall(body[:-200_000])
                gate.wait(60)
                connection.sendall(body[-200_000:])
                answers[index] = self.answer(connection)
            while answers[index][0] == 503:  # on a slow machine a wait for memory may become too long
                answers[index] = self.in_pieces(body, [len(body) // 2])

        threads = [threading.Thread(target=upload, args=(index,)) for index in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 12)
        for index, answer in answers.items():
            self.assertTrue(answer == expected[index % len(bodies)], (index, answer[:3]))


if __name__ == "__main__":
    main()
