#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Live video through the real daemon: packets that a sender made from the RFCs come out as a naive model says, byte by byte; with
packets lost, doubled, out of order and cut, other sources and other sizes, while settings change and images are uploaded."""
import contextlib
import hashlib
import http.client
import io
import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import threading
import unittest

import numpy as np
from PIL import Image

import images
from harness import Daemon, main
from rtp_video import Format, Model, Sender, frame

SMALL = {"listen": "127.0.0.1:0", "sampling": "YCbCr-4:2:2", "depth": 8, "width": 64, "height": 48}


class Receiver:
    """A target: a UDP socket of the test's own."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(30)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def take(self, count):
        return [self.socket.recv(65536) for _ in range(count)]

    def silent(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return self.socket.recv(65536) is None
        self.socket.settimeout(30)
        return True


class StreamTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()

    def setUp(self):
        self.sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.sending.close)

    def ask(self, method, path, body=None, status=200, **more):
        got, fields, text = self.daemon.request(method, path, None if body is None else json.dumps(body), **more)
        self.assertEqual(got, status, text)
        return json.loads(text) if fields.get("content-type", "").endswith("json") and text else text

    def open(self, name, **config):
        state = self.ask("PUT", f"/v1/streams/{name}", {**SMALL, **config}, 201)
        self.addCleanup(self.daemon.request, "DELETE", f"/v1/streams/{name}")
        host, port = state["local"].rsplit(":", 1)
        self.to = (host, int(port))
        return state

    def until(self, name, condition):
        while not condition(state := self.ask("GET", f"/v1/streams/{name}")):
            self.daemon.pause.wait(0.02)  # the daemon's own word: there is nothing else to wait for
        return state

    def events_of(self, name):
        events = self.ask("GET", "/v1/events", role="read")["events"]
        return {event["type"] for event in events if event.get("subject") == name}

    def send(self, packets):
        for packet in packets:
            self.sending.sendto(packet, self.to)

    def run_frames(self, sender, model, receiver, numbers, low=20):
        """Each frame goes in and comes out before the next."""
        for number in numbers:
            packets = sender.frame(frame(sender.form, number, low))
            self.send(packets)
            self.assert_out(receiver, [model.receive(packet) for packet in packets])

    def assert_out(self, receiver, expected):
        expected = [packet for packet in expected if packet is not None]
        self.assertEqual([hashlib.sha256(p).hexdigest() for p in receiver.take(len(expected))],
                         [hashlib.sha256(p).hexdigest() for p in expected])

    def assert_counts(self, state, model):
        packets = state["packets"]
        self.assertEqual(packets["lost"] + packets["missing"], model.counts["lost"] + len(model.missing))
        for name in ("received", "reordered", "duplicated", "late", "stray", "malformed"):
            self.assertEqual(packets[name], model.counts[name], name)
        self.assertEqual(state["frames"], {"whole": model.whole, "partial": model.partial})

    def test_a_stream_is_made_changed_and_removed(self):
        self.assertEqual(self.ask("GET", "/v1/streams"), {"streams": []})
        state = self.open("cam-1", window={"frames": 5}, cpu=0)
        self.assertEqual((state["state"], state["core"]["cpu"], state["config"]["window"]), ("waiting", 0, {"frames": 5}))
        self.assertEqual(state["window"], {"frames": 5, "filled": 0})
        self.assertEqual(state["lut"], list(range(256)))
        listed = self.ask("GET", "/v1/streams")["streams"]
        self.assertEqual([one["name"] for one in listed], ["cam-1"])
        self.assertFalse({"histogram", "lut"} & set(listed[0]))
        self.assertEqual(self.ask("PUT", "/v1/streams/cam-1", {**SMALL, "rule": "vips"})["config"]["rule"], "vips")
        self.assertEqual(self.ask("PUT", "/v1/streams/cam-1", self.ask("GET", "/v1/streams/cam-1")["config"])["config"]["rule"], "vips")
        for body, detail in (({**SMALL, "depth": 9}, "depth must be"), ({}, "listen is missing"), ({**SMALL, "x": 1}, "x is unknown")):
            self.assertIn(detail, self.ask("PUT", "/v1/streams/cam-2", body, 422)["detail"])
        problem = self.ask("PATCH", "/v1/streams/cam-1", {"window": {"frames": 9999}}, 422)
        self.assertEqual((problem["type"], problem["value"], problem["limit"]), ("urn:histod:problem:bad-stream", "9999", "1024"))
        self.ask("PUT", "/v1/streams/cam-1", [], 400)
        self.ask("PATCH", "/v1/streams/none", {}, 404)
        self.assertEqual(self.ask("GET", "/v1/streams/cam-1/preview", status=404)["type"], "urn:histod:problem:no-frame")
        self.assertEqual(self.ask("GET", "/v1/streams/cam-1/sdp", status=404)["type"], "urn:histod:problem:no-target")
        for method in ("PUT", "PATCH", "DELETE"):
            self.ask(method, "/v1/streams/cam-1", SMALL if method != "DELETE" else None, 403, role="submit")
        self.ask("GET", "/v1/streams", role="read")
        self.ask("DELETE", "/v1/streams/cam-1", status=204)
        self.ask("GET", "/v1/streams/cam-1", status=404)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(self.to)  # the port is closed

    def test_every_packet_is_what_the_model_says_while_settings_change(self):
        one, two = Receiver(), Receiver()
        self.open("exact", targets=[one.address], rule="exact", window={"frames": 3})
        form = Format(64, 48)
        sender, model = Sender(form), Model(form, "exact", 3)
        self.run_frames(sender, model, one, range(8))
        changed = self.ask("PATCH", "/v1/streams/exact", {"rule": "reference", "window": {"frames": 5}})
        self.assertEqual(changed["window"]["frames"], 5)
        model.rule, model.frames = "reference", 5
        self.run_frames(sender, model, one, range(8, 11), low=60)
        self.ask("PATCH", "/v1/streams/exact", {"window": {"average_frames": 4}, "clip_limit": 2.5, "targets": [two.address]})
        model.average, model.clip = 4, 2500
        self.run_frames(sender, model, two, range(11, 15), low=100)
        self.ask("PATCH", "/v1/streams/exact", {"window": {"frames": 2}, "clip_limit": 0, "rule": "opencv", "targets": [one.address, two.address]})
        model.average, model.clip, model.frames, model.rule = 0, 0, 2, "opencv"
        for number in (15, 16):
            packets = sender.frame(frame(form, number))
            self.send(packets)
            expected = [model.receive(packet) for packet in packets]
            self.assert_out(one, expected)
            self.assert_out(two, expected)
        state = self.until("exact", lambda s: s["packets"]["sent"] == 8 * 19)
        self.assert_counts(state, model)
        self.assertEqual(state["packets"]["lost"] + state["packets"]["missing"], 0)
        self.assertEqual(state["lut"], model.lut())
        self.assertEqual(state["lut_digest"], "sha-256=" + hashlib.sha256(bytes(state["lut"])).hexdigest())
        self.assertEqual(sum(state["histogram"]["counts"]), 2 * 64 * 48)
        self.assertGreater(state["delay_seconds"]["p50"], 0)
        self.assertTrue(one.silent() and two.silent())

    def test_ten_bits_packed(self):
        one = Receiver()
        self.open("deep", depth=10, targets=[one.address], rule="exact", window={"frames": 2}, height=24)
        form = Format(64, 24, 10)
        sender, model = Sender(form, extended=False), Model(form, "exact", 2)
        self.run_frames(sender, model, one, range(4))
        state = self.until("deep", lambda s: s["frames"]["whole"] == 4)
        self.assertEqual((state["lut"], state["histogram"]["levels"]), (model.lut(), 1024))
        self.assertEqual(state["lut_digest"], "sha-256=" + hashlib.sha256(struct.pack("<1024H", *state["lut"])).hexdigest())

    def test_faults_are_counted_exactly_and_the_window_is_that_of_what_came(self):
        one = Receiver()
        self.open("faults", targets=[one.address], rule="exact", window={"frames": 4})
        form = Format(64, 48)
        sender, model = Sender(form), Model(form, "exact", 4)
        random = np.random.default_rng(7)
        stream = []
        for number in range(12):
            packets = sender.frame(frame(form, number))
            if number % 3 == 1:
                del packets[int(random.integers(0, 8))]
            if number % 4 == 2:
                packets.insert(5, packets[int(random.integers(0, 5))])
            if number % 5 == 3:
                packets[2] = packets[2][:-int(random.integers(1, 500))]
            if number % 3 == 0:
                packets[1], packets[4] = packets[4], packets[1]
            stream += packets
        stream[30], stream[36] = stream[36], stream[30]  # over the border of frames
        stream.insert(20, b"")
        stream.insert(44, b"\x80" * 13)
        # At once: a pause of a second would be a silence, which ends what is open.
        expected = [model.receive(packet) for packet in stream]
        self.send(stream)
        self.assert_out(one, expected)
        model.flush()
        state = self.until("faults", lambda s: s["state"] == "silent")
        self.assert_counts(state, model)
        self.assertEqual(state["lut"], model.lut())
        other = Sender(form, ssrc=0x55667788, sequence=9, timestamp=77)
        packets = [packet for number in range(20, 23) for packet in other.frame(frame(form, number))]
        expected = [model.receive(packet) for packet in packets]
        self.send(packets)
        self.assert_out(one, expected)
        state = self.until("faults", lambda s: s["packets"]["received"] == model.counts["received"])
        self.assertEqual((state["ssrc"], state["changes"]["ssrc"], state["packets"]["stray"]), (0x55667788, 1, 1))
        self.assertTrue(one.silent())
        kinds = {f"io.histod.stream.{kind}" for kind in ("started", "resumed", "silent", "ssrc-changed")}
        while not kinds <= self.events_of("faults"):  # they are written after the counts
            self.daemon.pause.wait(0.02)

    def test_another_size_is_noticed_and_gone_on_with(self):
        one = Receiver()
        self.open("sizes", targets=[one.address], rule="exact", window={"frames": 4})
        sender, model = Sender(Format(64, 48)), Model(Format(64, 48), "exact", 4)
        self.run_frames(sender, model, one, range(2))
        for size in ((32, 24), (80, 60)):
            sender.form = Format(*size)
            packets = [packet for number in range(10, 14) for packet in sender.frame(frame(sender.form, number))]
            expected = [model.receive(packet) for packet in packets]
            self.send(packets)
            self.assert_out(one, expected)
        state = self.until("sizes", lambda s: s["packets"]["received"] == model.counts["received"])
        self.assertEqual((state["format"]["width"], state["format"]["height"], state["changes"]["format"]), (80, 60, 2))
        self.assertEqual(state["lut"], model.lut())
        self.assert_counts(state, model)
        self.assertTrue(one.silent())
        self.assertEqual(self.ask("GET", "/v1/streams/sizes")["config"]["width"], 64, "as it was asked for")
        sdp = self.ask("GET", "/v1/streams/sizes/sdp").decode()
        self.assertIn("width=80", sdp)
        self.assertIn("m=video %s RTP/AVP 96" % one.address.rsplit(":", 1)[1], sdp)

    def test_uploads_work_while_a_stream_runs_and_nothing_is_lost(self):
        one = Receiver()
        self.open("beside", targets=[one.address], rule="exact", window={"frames": 2})
        picture = images.encode(images.noisy(800, 600, 3, 1, 256), "png")
        alone = self.daemon.request("POST", "/v1/equalize", picture)
        answers, failed = [], []

        def upload():
            try:
                answers.append(self.daemon.request("POST", "/v1/equalize", picture))
            except OSError as error:
                failed.append(error)

        threads = [threading.Thread(target=upload) for _ in range(4)]
        for thread in threads:
            thread.start()
        form = Format(64, 48)
        sender, model = Sender(form), Model(form, "exact", 2)
        self.run_frames(sender, model, one, range(20))
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual([(status, body) for status, _, body in answers], [(200, alone[2])] * 4)
        self.assert_counts(self.until("beside", lambda s: s["frames"]["whole"] == 20), model)

    def test_preview(self):
        self.open("seen", preview={"per_second": 5, "height_max": 24})
        form = Format(64, 48)
        self.send(Sender(form).frame(form.pack([128, 60, 128, 200] * (64 * 48 // 2))))
        self.until("seen", lambda s: self.daemon.request("GET", "/v1/streams/seen/preview")[0] == 200)
        for side in ("in", "out"):
            status, fields, body = self.daemon.request("GET", f"/v1/streams/seen/preview?side={side}", role="read")
            self.assertEqual((status, fields["content-type"]), (200, "image/jpeg"))
            image = Image.open(io.BytesIO(body))
            self.assertEqual(image.size, (32, 24))
            self.assertLess(abs(np.asarray(image.convert("L")).mean() - 1.164 * (130 - 16)), 4)
            again = self.daemon.request("GET", f"/v1/streams/seen/preview?side={side}", headers={"If-None-Match": fields["etag"]})
            self.assertEqual((again[0], again[2]), (304, b""))
        self.ask("GET", "/v1/streams/seen/preview?side=up", status=400)

    def test_what_is_not_there_is_said(self):
        problem = self.ask("PUT", "/v1/streams/dpdk", {**SMALL, "listen": "127.0.0.1:5004", "backend": "dpdk", "dpdk_port": "net_ring0"}, 409)
        self.assertEqual(problem["type"], "urn:histod:problem:stream-unavailable")
        self.assertIn("--dpdk", problem["detail"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            problem = self.ask("PUT", "/v1/streams/taken", {**SMALL, "listen": "127.0.0.1:%d" % taken.getsockname()[1]}, 409)
            self.assertIn("cannot bind", problem["detail"])
        self.assertEqual(self.ask("GET", "/v1/streams")["streams"], [])

    def test_without_descriptors_a_stream_is_refused_and_the_daemon_serves(self):
        pid = self.daemon.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        body = json.dumps({**SMALL, "targets": ["127.0.0.1:5004", "127.0.0.1:5006"]})
        fields = {"Authorization": "Bearer " + self.daemon.tokens["admin"]}
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        self.addCleanup(self.daemon.request, "DELETE", "/v1/streams/poor")
        answers = []
        with contextlib.closing(connection):
            connection.request("GET", "/v1/node", headers=fields)  # a new connection would need one, too
            connection.getresponse().read()
            held = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
            lowest = min(set(range(len(held) + 1)) - held)
            try:
                while not answers or answers[-1][0] != 201:
                    self.assertLess(len(answers), 64, answers[-1:])
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest + len(answers), before[1]))
                    connection.request("PUT", "/v1/streams/poor", body, fields)
                    response = connection.getresponse()
                    answers.append((response.status, json.loads(response.read())))
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        self.assertGreater(len(answers), 2)
        for status, problem in answers[:-1]:
            self.assertEqual((status, problem["type"]), (409, "urn:histod:problem:stream-unavailable"))
        self.ask("GET", "/v1/node")

    def test_metrics_and_fallback(self):
        self.open("told")
        form = Format(64, 48)
        self.send(Sender(form).frame(frame(form, 1)))
        self.until("told", lambda s: s["frames"]["whole"] == 1)
        text = self.daemon.request("GET", "/metrics")[2].decode()
        for line in ('histod_stream_packets_total{stream="told",outcome="received"} 8', 'histod_stream_frames_total{stream="told",outcome="whole"} 1',
                     'histod_stream_delay_seconds_count{stream="told"} 0', 'histod_streams{state="failed"} 0'):
            self.assertIn(line + "\n", text)
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        else:
            print("skipped: promtool is missing: install prometheus (tools/test does)", flush=True)
        node = self.ask("GET", "/v1/node")
        shares = "stream shares CPUs" in [fallback["what"] for fallback in node["fallbacks"]]
        self.assertEqual(shares, node["stream_cpus"] == [])
        self.assertEqual(shares, 'histod_fallback{what="stream shares CPUs"} 1\n' in text)


class ConfiguredTest(unittest.TestCase):
    TABLE = """
[[stream]]
name = "studio"
listen = "127.0.0.1:0"
sampling = "YCbCr-4:2:2"
depth = 8
width = 64
height = 48
window = { frames = 2 }
"""

    def start(self, text, wait=True):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        path = daemon.folder / "histod.toml"
        path.write_text(text)
        daemon.options += ["--config", str(path)]
        return daemon.start(wait=wait)

    def test_streams_of_the_file_run_and_end_with_the_daemon(self):
        daemon = self.start(self.TABLE)
        state = json.loads(daemon.request("GET", "/v1/streams/studio")[2])
        self.assertEqual((state["state"], state["config"]["window"]), ("waiting", {"frames": 2}))
        host, port = state["local"].rsplit(":", 1)
        stop = threading.Event()
        form = Format(64, 48)

        def flow():
            sender = Sender(form)
            packets = frame(form, 1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                while not stop.is_set():
                    for packet in sender.frame(packets):
                        with contextlib.suppress(ConnectionRefusedError):
                            sending.sendto(packet, (host, int(port)))

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            while json.loads(daemon.request("GET", "/v1/streams/studio")[2])["frames"]["whole"] < 3:
                daemon.pause.wait(0.02)
            self.assertEqual(daemon.stop(), 0)
        finally:
            stop.set()
            thread.join()
        self.assertRegex(daemon.log(), r'msg="stream closed" stream=studio')

    def test_what_is_wrong_in_the_file_is_told_with_its_line(self):
        daemon = self.start(self.TABLE.replace("depth = 8", "depth = 9") + "colour = 1\n", wait=False)
        self.assertEqual(daemon.process.wait(timeout=60), 2)
        self.assertRegex(daemon.log(), r'histod.toml:2: stream "studio": depth must be 8, 10, 12 or 16, not "9"')
        self.assertRegex(daemon.log(), r'histod.toml:2: stream "studio": colour is unknown here')

    def test_a_stream_that_cannot_be_opened_is_shown_and_the_daemon_serves(self):
        daemon = self.start(self.TABLE.replace("127.0.0.1:0", "192.0.2.7:5004"))
        state = json.loads(daemon.request("GET", "/v1/streams/studio")[2])
        self.assertEqual(state["state"], "failed")
        self.assertIn("cannot bind 192.0.2.7:5004", state["error"])
        self.assertEqual(daemon.request("GET", "/readyz")[0], 200)


if __name__ == "__main__":
    main()
