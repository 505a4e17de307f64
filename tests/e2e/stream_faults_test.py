#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GStreamer's packets, caught on their way and spoilt: some left out, late, twice, or cut, from another source, of another size. What
was received is counted exactly, by each back-end, and the window is that of what came."""
import contextlib
import hashlib
import socket
import struct

import numpy as np

from harness import main
from raw_video import Raw
from rtp_video import Format, Model
from stream_bench import PORT, StreamBench, gstreamer
from video_cable import NEAR

WINDOW = 3
COUNTED = ("received", "reordered", "duplicated", "late", "stray", "malformed")


def numbered(packets, first, ssrc):
    """As one sender's, whatever they were: they follow one another from `first` on."""
    return [packet[:2] + struct.pack("!H", first + i & 0xffff) + packet[4:8] + struct.pack("!I", ssrc) + b"\0\0" + packet[14:]
            for i, packet in enumerate(packets)]


def by_frame(packets):
    frames = {}
    for packet in packets:
        frames.setdefault(packet[4:8], []).append(packet)
    return list(frames.values())


def spoilt(frames, random):
    """The packets in the order in which they come, with faults of all kinds."""
    out = []
    for number, packets in enumerate(frames):
        packets = list(packets)
        if number % 5 == 1:  # single ones, and a row of them
            for _ in range(3):
                del packets[int(random.integers(0, len(packets) - 1))]
            del packets[40:55]
        if number % 5 == 2:
            for _ in range(4):
                at = int(random.integers(5, len(packets)))
                packets.insert(at, packets[int(random.integers(0, at))])
        if number % 5 == 3:  # the last but one of these within a header
            for cut in (1, 700, 1270, 1385):
                at = int(random.integers(1, len(packets) - 1))
                packets[at] = packets[at][:-min(cut, len(packets[at]) - 1)]
        if number % 5 == 4:
            for _ in range(5):
                a, b = random.integers(0, len(packets), 2)
                packets[a], packets[b] = packets[b], packets[a]
        if number == 6:  # the end, and with it the marker
            del packets[-4:]
        out.append(packets)
    del out[8]
    out[3][-2], out[4][3] = out[4][3], out[3][-2]  # over the border of two pictures
    out[9].insert(0, b"")
    out[9].insert(7, b"\x80" * 13)
    out[10][20:20] = [out[5][0], out[5][1]]  # twice, and long after
    return [packet for packets in out for packet in packets]


class FaultsTest(StreamBench):
    def record(self, raw, frames, pattern="snow"):
        """A whole real stream, picture by picture, as it lay on the cable; nobody listened."""
        with contextlib.closing(self.cable.tap()) as tap:
            self.ended(self.far(gstreamer(raw, frames, 30, "/dev/null", pattern)))
            sent = tap.sent_to(PORT)
        self.assertEqual(len(raw.pictures(sent)), frames)
        return sent

    def both(self, depth, play):
        """`play` says what is sent; and the model of the stream that it is sent to."""
        raw = Raw(320, 180, depth)
        for backend, members in self.backends():
            with self.subTest(backend=backend), self.ends() as (self.target, _), \
                    self.stream(raw, targets=[self.target.address], rule="exact", window={"frames": WINDOW}, **members):
                self.model = Model(Format(raw.width, raw.height, depth), "exact", WINDOW)
                state = play()
                print(f"{backend}: {state['packets']}, {state['frames']}, {state['changes']}", flush=True)

    def send(self, packets):
        """At once: a pause of a second would be a silence, which ends what is open."""
        expected = [out for out in map(self.model.receive, packets) if out is not None]
        with self.cable.at_far_end():
            sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.closing(sending):
            for packet in packets:
                sending.sendto(packet, (NEAR, PORT))
        self.model.flush()
        self.assertEqual([hashlib.sha256(p).hexdigest() for p in self.target.take(len(expected))], [hashlib.sha256(p).hexdigest() for p in expected])
        return self.settled()

    def settled(self):
        model = self.model
        state = self.until("cam", lambda s: s["state"] == "silent" and s["packets"]["received"] >= model.counts["received"])
        packets = state["packets"]
        self.assertEqual({name: packets[name] for name in COUNTED}, {name: model.counts[name] for name in COUNTED})
        self.assertEqual(packets["lost"] + packets["missing"], model.counts["lost"] + len(model.missing))
        self.assertEqual((packets["dropped"], packets["send_failed"], state["changes"]["format"]), (0, 0, model.changes))
        self.assertEqual(state["frames"], {"whole": model.whole, "partial": model.partial})
        window = np.sum(model.history[-WINDOW:], axis=0)
        self.assertEqual(state["histogram"], {"levels": model.form.levels, "counts": window.tolist()})
        self.assertEqual(state["lut"], model.lut())
        self.assertEqual(self.target.rest(), [])
        return state

    def test_lost_late_twice_and_cut(self):
        recorded = by_frame(numbered(self.record(Raw(320, 180), 16), 65200, 0x1234))
        self.both(8, lambda: self.send(spoilt(recorded, np.random.default_rng(3))))

    def test_lost_late_twice_and_cut_10_bit(self):
        recorded = by_frame(numbered(self.record(Raw(320, 180, 10), 12), 65200, 0x1234))
        self.both(10, lambda: self.send(spoilt(recorded, np.random.default_rng(4))))

    def test_another_source_in_mid_stream(self):
        raw = Raw(320, 180)
        one, two = self.record(raw, 4), self.record(raw, 5, "ball")
        one, two = numbered(one, 100, 0x1111), numbered(two, 30000, 0x2222)

        def play():
            # In the middle of a picture, and a few strays that are nobody's successors.
            self.send(one[:150] + two[400:401] + one[150:200] + two[83:])
            state = self.send(numbered(one[:166], 9, 0x3333))
            self.assertEqual((state["ssrc"], state["changes"]["ssrc"]), (0x3333, 2))
            return state

        self.both(8, play)

    def test_another_size_in_mid_stream(self):
        sizes = (Raw(320, 180), Raw(480, 272), Raw(160, 120), Raw(320, 180))
        packets = [packet for size in sizes for packet in self.record(size, 4)]

        def play():
            state = self.send(numbered(packets, 500, 0x7777))
            self.assertEqual((state["format"]["width"], state["format"]["height"], state["changes"]["format"]), (320, 180, 3))
            return state

        self.both(8, play)

    def test_the_sender_begins_again_at_another_size(self):
        """As one does that is stopped, and started with other settings."""
        one, two = self.record(Raw(320, 180), 3), self.record(Raw(352, 288), 4, "ball")

        def play():
            state = self.send(numbered(one, 7, 0x1111) + numbered(two, 60000, 0x2222))
            self.assertEqual((state["format"]["width"], state["format"]["height"], state["ssrc"]), (352, 288, 0x2222))
            self.assertEqual(state["changes"]["ssrc"], 1)
            return state

        self.both(8, play)


if __name__ == "__main__":
    main()
