#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Live video from senders that nobody here wrote, GStreamer and ffmpeg, over a cable between two network namespaces and by each back-end:
what comes in is what they sent, what goes out is what a naive reading of the frames says, and GStreamer plays it."""
import hashlib
import pathlib
import re
import shutil
import signal
import time

from harness import main
from raw_video import Raw, equalized, final_table
from stream_bench import DEVICE, PORT, StreamBench, far_address, ffmpeg, gstreamer, skip
from video_cable import FAR, PATIENCE_S

SIZES = {"1080p": (1920, 1080, 3), "720p": (1280, 720, 6)}  # and pictures in a second, that any machine bears
FRAMES = 4
WINDOW = 2


class SendersTest(StreamBench):
    def each_backend(self, raw, sender, rule="exact"):
        digests = {}
        for backend, members in self.backends():
            with self.subTest(backend=backend):
                digests[backend] = self.through(raw, sender, rule, members)
                print(f"{backend}: {FRAMES} frames of {raw.width}x{raw.height}, {raw.depth} bit, as the oracle says", flush=True)
        self.assertLessEqual(len(set(digests.values())), 1, "one back-end's bytes are not the other's")

    def through(self, raw, sender, rule, members):
        file = self.folder / "sent.raw"
        with self.ends() as (target, tap):
            settings = {"targets": [target.address], "rule": rule, "window": {"frames": WINDOW}, "preview": {"per_second": 0}}
            with self.stream(raw, **settings, **members):
                self.ended(self.far(sender(file)))
                sent = tap.sent_to(PORT)
                state = self.until("cam", lambda s: s["packets"]["received"] + s["packets"]["dropped"] >= len(sent) and sum(s["frames"].values()) >= FRAMES)
                self.assert_all_was_taken(state, len(sent))
                came = target.take(len(sent))
            self.assertEqual(target.rest(), [])
        pictures = raw.read(file)
        self.assertEqual(len(pictures), FRAMES)
        self.assert_same(raw.pictures(sent), pictures, "what was on the cable is not what the sender wrote")
        for before, after in zip(sent, came):
            self.assertEqual((len(before), before[:20]), (len(after), after[:20]))
        expected = equalized(raw, pictures, rule, WINDOW)
        self.assertTrue(any((a != b).any() for a, b in zip(expected, equalized(raw, pictures, rule, WINDOW + 1))), "a poor test")
        self.assert_same(raw.pictures(came), expected, "not as the oracle says")
        self.assertEqual(state["lut"], final_table(raw, pictures, rule, WINDOW))
        return hashlib.sha256(b"".join(picture.tobytes() for picture in raw.pictures(came))).hexdigest()

    def assert_all_was_taken(self, state, count):
        packets = state["packets"]
        wrong = {name: packets[name] for name in ("lost", "missing", "reordered", "duplicated", "late", "stray", "malformed", "dropped", "send_failed")
                 if packets[name]}
        self.assertEqual((packets["received"], packets["sent"], wrong, state["faults"]), (count, count, {}, {}))
        self.assertEqual(state["frames"], {"whole": FRAMES, "partial": 0})

    def assert_same(self, got, expected, message):
        differ = [number for number, (a, b) in enumerate(zip(got, expected)) if (a != b).any()]
        self.assertEqual((len(got), differ), (len(expected), []), message)

    def test_gstreamer_8_bit_1080p(self):
        self.gstreamer_sends("1080p", 8)

    def test_gstreamer_8_bit_720p(self):
        self.gstreamer_sends("720p", 8, "opencv")

    def test_gstreamer_10_bit_1080p(self):
        self.gstreamer_sends("1080p", 10)

    def test_gstreamer_10_bit_720p(self):
        self.gstreamer_sends("720p", 10, "opencv")

    def gstreamer_sends(self, size, depth, rule="exact"):
        width, height, rate = SIZES[size]
        raw = Raw(width, height, depth)
        self.each_backend(raw, lambda file: gstreamer(raw, FRAMES, rate, file), rule)

    def test_ffmpeg_1080p(self):
        self.ffmpeg_sends("1080p")

    def test_ffmpeg_720p(self):
        self.ffmpeg_sends("720p")

    def ffmpeg_sends(self, size):
        if shutil.which("ffmpeg") is None:
            skip(self, "ffmpeg is missing: install ffmpeg")
        width, height, rate = SIZES[size]
        raw = Raw(width, height)
        self.each_backend(raw, lambda file: ffmpeg(raw, FRAMES, rate, file), "reference")

    def test_a_packet_socket_has_room_for_pictures_that_come_at_once(self):
        if not self.has_dpdk:
            skip(self, "this build has no DPDK: install libdpdk-dev and build again")
        raw, frames = Raw(1920, 1080), 2
        with self.ends() as (_, tap), self.stream(raw, backend="dpdk", dpdk_port=DEVICE):
            self.ended(self.far(gstreamer(raw, frames, 30, "/dev/null")))
            sent = tap.sent_to(PORT)
            state = self.until("cam", lambda s: s["state"] == "silent")
        self.assertEqual((state["packets"]["received"], state["frames"]["whole"]), (len(sent), frames))

    def test_gstreamer_plays_what_is_sent(self):
        room = int(pathlib.Path("/proc/sys/net/core/rmem_max").read_text())
        # A picture waits in its socket, with what the kernel needs beside each packet, until the player has a CPU.
        size = (1280, 720, 4) if room >= 4 << 20 else (320, 180, 4)
        if size[0] == 320:
            print(f"skipped: playing 1280x720: net.core.rmem_max is {room}, and GStreamer needs {4 << 20}", flush=True)
        for backend, members in self.backends():
            with self.subTest(backend=backend):
                self.play(Raw(size[0], size[1]), size[2], members)

    def play(self, raw, rate, members):
        port, sent, played = 5006, self.folder / "sent.raw", self.folder / "played.raw"
        with self.ends() as (target, _), self.stream(raw, targets=[far_address(port), target.address], rule="exact", window={"frames": WINDOW}, **members):
            caps = caps_of(self.ask("GET", "/v1/streams/cam/sdp"))
            player = self.far(["gst-launch-1.0", "-q", "-e", "udpsrc", f"address={FAR}", f"port={port}", f"buffer-size={4 << 20}", f"caps={caps}", "!",
                               "rtpvrawdepay", "!", "filesink", f"location={played}", "buffer-mode=unbuffered"])
            self.wait(lambda: f":{port:04X} " in pathlib.Path(f"/proc/{player.pid}/net/udp").read_text())
            self.ended(self.far(gstreamer(raw, FRAMES, rate, sent)))
            self.until("cam", lambda s: s["frames"]["whole"] == FRAMES)
            self.wait(lambda: played.exists() and played.stat().st_size >= FRAMES * raw.octets)
            player.send_signal(signal.SIGINT)
            self.ended(player)
            further = target.rest()
        expected = equalized(raw, raw.read(sent), "exact", WINDOW)
        self.assert_same(raw.read(played), expected, "what GStreamer played")
        self.assert_same(raw.pictures(further), expected, "what the second target has")
        print(f"GStreamer played {FRAMES} frames of {raw.width}x{raw.height}", flush=True)

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, "another program did not come that far")
            self.daemon.pause.wait(0.02)  # it tells nobody


def caps_of(sdp):
    """GStreamer's words for what our description of the session says."""
    payload, rate = re.search(r"^a=rtpmap:(\d+) raw/(\d+)", sdp, re.M).groups()
    members = dict(re.findall(r"([a-z-]+)=([^;\s]+)", re.search(rf"^a=fmtp:{payload} (.*)$", sdp, re.M).group(1), re.I))
    fields = "".join(f",{name}=(string){members[name]}" for name in ("sampling", "depth", "width", "height") if name in members)
    return f"application/x-rtp,media=(string)video,clock-rate=(int){rate},encoding-name=(string)RAW,payload=(int){payload}{fields}"


if __name__ == "__main__":
    main()
