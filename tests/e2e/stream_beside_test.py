#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images are uploaded while GStreamer's video runs through the same daemon, by each back-end: no packet is lost, each frame and each
image is right, and the CPU of the stream is nobody else's unless it was asked for."""
import contextlib
import os
import pathlib
import re
import threading

import numpy as np

import images
from harness import main
from raw_video import Raw, equalized
from stream_bench import PORT, StreamBench, gstreamer

FRAMES, RATE, WINDOW, UPLOADERS = 10, 4, 4, 3  # no more packets than have room, should the daemon get no CPU for all that time


class BesideTest(StreamBench):
    OPTIONS = (*StreamBench.OPTIONS, "--stream-cpus", "1")

    def setUp(self):
        super().setUp()
        self.gray = images.noisy(1600, 1200, 5)
        self.picture, self.expected = images.encode(self.gray), images.equalized(self.gray)

    def upload(self, until, answers):
        while not until.is_set():
            status, _, body = self.daemon.request("POST", "/v1/equalize", self.picture)
            answers.append(status == 200 and np.array_equal(images.decode(body), self.expected))

    def while_uploading(self, work):
        ended, answers = threading.Event(), []
        threads = [threading.Thread(target=self.upload, args=(ended, answers)) for _ in range(UPLOADERS)]
        for thread in threads:
            thread.start()
        try:
            work()
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        self.assertGreaterEqual(len(answers), UPLOADERS)
        self.assertTrue(all(answers))
        return len(answers)

    def threads(self):
        """{name: the CPUs it may run on}, of all threads of the daemon that have the name."""
        out = {}
        for task in pathlib.Path(f"/proc/{self.daemon.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                text = re.search(r"Cpus_allowed_list:\s*(\S+)", (task / "status").read_text()).group(1)
                ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
                cpus = {cpu for end in ends for cpu in range(end[0], end[-1] + 1)}
                out.setdefault((task / "comm").read_text().strip(), []).append(cpus)
        return out

    def test_nothing_is_lost_and_all_uploads_are_right(self):
        raw = Raw(1280, 720)
        for backend, members in self.backends():
            with self.subTest(backend=backend), self.ends() as (target, tap):
                file = self.folder / "sent.raw"
                with self.stream(raw, targets=[target.address], rule="exact", window={"frames": WINDOW}, **members):
                    count = self.while_uploading(lambda: self.ended(self.far(gstreamer(raw, FRAMES, RATE, file))))
                    sent = tap.sent_to(PORT)
                    state = self.until("cam", lambda s: s["packets"]["received"] >= len(sent) and s["frames"]["whole"] >= FRAMES)
                    came = target.take(len(sent))
                packets = state["packets"]
                self.assertEqual((packets["received"], packets["sent"], packets["lost"], packets["missing"], packets["dropped"]), (len(sent),) * 2 + (0,) * 3)
                pictures = raw.read(file)
                same = [(a == b).all() for a, b in zip(raw.pictures(came), equalized(raw, pictures, "exact", WINDOW), strict=True)]
                self.assertEqual(same, [True] * FRAMES)
                print(f"{backend}: {count} images of {self.gray.size} pixels beside {FRAMES} frames: {len(sent)} packets, none lost", flush=True)

    def test_the_stream_has_a_cpu_of_its_own(self):
        node = self.ask("GET", "/v1/node")
        if not node["stream_cpus"]:
            print("skipped: a stream's own CPU: this machine has one CPU only", flush=True)
            return
        everywhere = {worker["cpu"] for worker in node["workers"]} | {cpu for arena in node["arenas"] for cpu in arena["cpus"]}
        self.assertFalse(everywhere & set(node["stream_cpus"]))
        for backend, members in self.backends():
            with self.subTest(backend=backend), self.stream(Raw(64, 48), **members) as state:
                own = {state["core"]["cpu"]}
                self.assertEqual(own, set(node["stream_cpus"]))
                self.assertEqual(self.threads()["hd-cam"], [own])
                seen = []
                self.while_uploading(lambda found=seen: found.extend(self.computing_threads(50)))
                # One that computes nothing has no place, until it does.
                placed = [cpus for cpus in seen if cpus != os.sched_getaffinity(0)]
                self.assertGreaterEqual(len(placed), len(node["workers"]) * 50)
                self.assertTrue(all(cpus <= everywhere for cpus in placed), placed)

    def computing_threads(self, looks):
        for _ in range(looks):
            yield from (cpus for name, sets in self.threads().items() if re.fullmatch(r"histod-w\d+", name) for cpus in sets)
            self.daemon.pause.wait(0.01)  # they come and go

    def test_a_cpu_is_shared_where_that_was_asked_for(self):
        node = self.ask("GET", "/v1/node")
        worker = node["workers"][0]["cpu"]
        for backend, members in self.backends():
            with self.subTest(backend=backend), self.stream(Raw(64, 48), cpu=worker, **members) as state:
                self.assertEqual(state["core"]["cpu"], worker)
                self.assertEqual(self.threads()["hd-cam"], [{worker}])
                self.while_uploading(lambda: None)


if __name__ == "__main__":
    main()
