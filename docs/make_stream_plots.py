#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what docs/live-video-measured.md shows, and draws its pictures: how long each packet of a stream is on its way through the
daemon, and how much the brightness of a still scene with noise changes from frame to frame. As root, over a cable between two network
namespaces, with packets that GStreamer made; times are the kernel's, taken at the far end of the cable, so that nothing of the daemon's
own measuring is in them. Another program that runs meanwhile is in the figures.

    docs/make_stream_plots.py [--histod build/release/bin/histod] [--frames 60] [--rounds 5] [--only delay|flicker]
"""
import argparse
import contextlib
import json
import math
import os
import pathlib
import platform
import socket
import sys
import time

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/images"
PORT = 5004
SIZE, RATE = (1280, 720), 10
SCENE = (640, 360)
SHARES = (0.5, 0.99, 0.999)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#777777")  # told apart by whoever sees fewer colours, too


class Bench:
    """The daemon, and what is at the other end of its cable."""

    def __init__(self, program, stack):
        os.environ["HISTOD"] = str(program)
        sys.path.insert(0, str(ROOT / "tests/e2e"))
        import harness
        import raw_video
        import rtp_video
        import stream_bench
        import video_cable
        self.backends, self.near, self.gstreamer = stream_bench.BACKENDS, video_cable.NEAR, stream_bench.gstreamer
        self.raw_video, self.rtp_video = raw_video, rtp_video
        if reason := video_cable.fleet_network.refusal():
            sys.exit(f"make_stream_plots: {reason}")
        self.cable = stack.enter_context(contextlib.closing(video_cable.Cable()))
        # What the daemon sends in one piece is cut before it is on the cable, so that each packet has its time.
        video_cable.fleet_network.run("ip", "link", "set", video_cable.NEAR_DEVICE, "gso_max_segs", "1")
        options = ("--dpdk", "--no-dpdk-huge-pages", "--stream-cpus", "1")
        self.daemon = stack.enter_context(contextlib.closing(harness.Daemon(*options)))
        self.daemon.start()
        with self.cable.at_far_end():
            self.socket = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def ask(self, method, body=None, path="/v1/streams/cam"):
        status, _, text = self.daemon.request(method, path, None if body is None else json.dumps(body))
        if status >= 300:
            sys.exit(f"make_stream_plots: {method} {path}: {text.decode()}")
        return json.loads(text or b"null")

    @contextlib.contextmanager
    def stream(self, raw, target, **more):
        self.ask("PUT", {"listen": f"{self.near}:{PORT}", "sampling": "YCbCr-4:2:2", "depth": raw.depth, "width": raw.width, "height": raw.height,
                         "targets": [target.address], "preview": {"per_second": 0}, **more})
        yield
        self.ask("DELETE")

    def taken(self, count):
        """The stream's word when all packets are in and out, or nothing comes any more."""
        while (state := self.ask("GET"))["packets"]["sent"] < count and state["state"] != "silent":
            self.daemon.pause.wait(0.05)
        return state

    def recorded(self, raw, frames):
        """GStreamer's packets, picture by picture."""
        from subprocess import run
        pictures = {}
        with contextlib.closing(self.cable.tap()) as tap:
            run([*self.cable.inside(), *self.gstreamer(raw, frames, 30, "/dev/null")], check=True)
            for packet in tap.sent_to(PORT):
                pictures.setdefault(packet[4:8], []).append(packet)
        return list(pictures.values())

    def send(self, pictures, spaced):
        """At RATE pictures a second: the packets of each at equal distances, or at once."""
        begin = time.perf_counter()
        for number, packets in enumerate(pictures):
            for i, packet in enumerate(packets):
                when = begin + (number + (i / len(packets) if spaced else 0)) / RATE
                while time.perf_counter() < when:
                    pass
                self.socket.sendto(packet, (self.near, PORT))


def delays_ns(bench, pictures, members, spaced):
    """Of each packet, from when it left the far end until it was back there; and what the daemon says itself. None where packets were
    lost: others had the CPUs."""
    raw, count = bench.raw_video.Raw(*SIZE), sum(map(len, pictures))
    with contextlib.closing(bench.cable.target()) as target, contextlib.closing(bench.cable.tap()) as tap:
        with bench.stream(raw, target, **members):
            bench.send(pictures, spaced)
            state = bench.taken(count)
        at = {True: {}, False: {}}
        for outgoing, _, when, packet in tap.take():
            at[outgoing][packet[2:8]] = when
    if len(at[False]) < count:
        return None
    return numpy.array([back - at[True][key] for key, back in at[False].items()]), state["delay_seconds"]


def brightness(bench, pictures, frames):
    """The mean luma of each frame that comes out."""
    raw = bench.raw_video.Raw(*SCENE)
    sender = bench.rtp_video.Sender(bench.rtp_video.Format(*SCENE), lines=1)
    means = []
    with contextlib.closing(bench.cable.target()) as target, bench.stream(raw, target, rule="exact", window={"frames": frames}):
        for picture in pictures:
            packets = sender.frame(picture.tobytes())
            for packet in packets:
                bench.socket.sendto(packet, (bench.near, PORT))
            means.append(raw.luma(raw.pictures(target.take(len(packets)))[0]).mean())
    return means


def noisy_scene(raw, count):
    """A dim room with a lamp, that does not move, seen by a sensor with noise."""
    y, x = numpy.mgrid[0:raw.height, 0:raw.width]
    scene = 42 + 30 * numpy.exp(-((x - 420) ** 2 + (y - 120) ** 2) / 20000) + 9 * (x // 80 % 2) + 6 * (y // 45 % 2)
    random = numpy.random.default_rng(7)
    for _ in range(count):
        picture = numpy.full(raw.octets, 128, numpy.uint8)
        picture[1::2] = numpy.clip(numpy.rint(scene + random.normal(0, 6, scene.shape)), 16, 235).astype(numpy.uint8).reshape(-1)
        yield picture


class Plot:
    """One pair of axes as SVG. A scale is a function from values to 0..1, and the values that are written beside it."""
    WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 410, 80, 40, 20, 90

    def __init__(self, title, across, up, names):
        self.title, (self.across, self.ticks_across, name_across), (self.up, self.ticks_up, name_up) = title, across, up
        self.names, self.parts = names, []
        right, bottom = self.WIDTH - self.RIGHT, self.HEIGHT - self.BOTTOM
        for value, text in self.ticks_across:
            x = self.x(value)
            self.parts.append(f'<path class="grid" d="M{x:.1f} {self.TOP}V{bottom}"/><text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{text}</text>')
        for value, text in self.ticks_up:
            y = self.y(value)
            self.parts.append(f'<path class="grid" d="M{self.LEFT} {y:.1f}H{right}"/><text x="{self.LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
        self.parts.append(f'<text x="{(self.LEFT + right) / 2}" y="{bottom + 38}" text-anchor="middle">{name_across}</text>')
        self.parts.append(f'<text transform="translate(16 {(self.TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">{name_up}</text>')

    def x(self, value):
        return self.LEFT + min(1, max(0, self.across(value))) * (self.WIDTH - self.LEFT - self.RIGHT)

    def y(self, value):
        return self.HEIGHT - self.BOTTOM - min(1, max(0, self.up(value))) * (self.HEIGHT - self.TOP - self.BOTTOM)

    def line(self, number, points, dashed=False):
        path = "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(f'<path fill="none" stroke="{COLOURS[number]}" stroke-width="1.8"{dashes} d="{path}"/>')

    def text(self):
        legend = []
        for number, (colour, name, dashed) in enumerate(self.names):
            x, y = self.LEFT + number // 2 * 240, 378 + number % 2 * 18
            dashes = ' stroke-dasharray="6 4"' if dashed else ""
            legend.append(f'<path stroke="{COLOURS[colour]}" stroke-width="3"{dashes} d="M{x} {y}h24"/><text x="{x + 30}" y="{y + 4}">{name}</text>')
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.WIDTH} {self.HEIGHT}" role="img" aria-label="{self.title}">\n'
                '<!-- SPDX-License-Identifier: Apache-2.0 -->\n<style>text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd;fill:none}</style>\n'
                f'<rect width="100%" height="100%" fill="#fff"/><text x="{self.LEFT}" y="24" style="font-weight:bold">{self.title}</text>\n'
                + "\n".join(self.parts + legend) + "\n</svg>\n")


def decades(low, high):
    return lambda value: (math.log10(max(value, low)) - math.log10(low)) / (math.log10(high) - math.log10(low))


def draw_delays(measured):
    across = (decades(1e-6, 1), [(1e-6, "1 µs"), (1e-5, "10 µs"), (1e-4, "100 µs"), (1e-3, "1 ms"), (1e-2, "10 ms"), (1e-1, "100 ms"), (1, "1 s")],
              "from leaving the far end of the cable to being back there")
    up = (decades(1e-4, 1), [(1, "100 %"), (1e-1, "10 %"), (1e-2, "1 %"), (1e-3, "0.1 %"), (1e-4, "0.01 %")], "packets that take longer")
    names = [(number // 2, name, number % 2) for number, name in enumerate(measured)]
    plot = Plot(f"Packets of {SIZE[0]}x{SIZE[1]} at {RATE} frames/s: in, equalized in place, and out", across, up, names)
    for (colour, _, dashed), delays in zip(names, measured.values()):
        ordered = numpy.sort(delays) / 1e9
        shares = 1 - numpy.arange(len(ordered)) / len(ordered)
        picked = numpy.unique(numpy.concatenate([numpy.searchsorted(-shares, -numpy.logspace(0, -4, 300)), [len(ordered) - 1]]).clip(0, len(ordered) - 1))
        plot.line(colour, [(ordered[i], shares[i]) for i in picked], dashed)
    (PICTURES / "stream-delay.svg").write_text(plot.text())


def draw_flicker(changes):
    count = len(next(iter(changes.values())))
    across = (lambda value: value / count, [(value, str(value)) for value in range(0, count + 1, 20)], "frame")
    most = max(values.max() for values in changes.values())
    up = (lambda value: value / most, [(value / 10, f"{value / 10:g}") for value in range(int(most * 10) + 1)],
          "change of the mean luma, in levels")
    plot = Plot("A still scene with noise: how much the brightness of the whole picture changes", across, up,
                [(number, name, False) for number, name in enumerate(changes)])
    for number, values in enumerate(changes.values()):
        plot.line(number, enumerate(values))
    (PICTURES / "stream-flicker.svg").write_text(plot.text())


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown CPU")
    return f"{cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"


def measure_delays(bench, frames, rounds):
    pictures, found = bench.recorded(bench.raw_video.Raw(*SIZE), frames), {}
    for _ in range(rounds):
        for backend, members in bench.backends.items():
            for spaced in (True, False):
                one = delays_ns(bench, pictures, members, spaced)
                found.setdefault(f"{backend}, {'evenly spaced' if spaced else 'a frame at once'}", []).extend([one] if one else [])
    measured = {}
    for name, all_rounds in found.items():
        if not all_rounds:
            sys.exit(f"make_stream_plots: {name}: packets were lost in each round; try again when nothing else runs")
        measured[name], own = min(all_rounds, key=lambda one: numpy.quantile(one[0], SHARES[-1]))
        shown = [f"p{share * 100:g} {numpy.quantile(measured[name], share) / 1000:.1f} us (its own word {own[key] * 1e6:.1f})"
                 for share, key in zip(SHARES, own)]
        print(f"{name}: {len(measured[name])} packets, the best of {len(all_rounds)} rounds: {', '.join(shown)}", flush=True)
    draw_delays(measured)


def measure_flicker(bench, frames):
    raw = bench.raw_video.Raw(*SCENE)
    # The first frames have no whole window before them.
    scene = list(noisy_scene(raw, frames + 40))
    means = {"as it comes in": [raw.luma(picture).mean() for picture in scene]}
    means |= {f"W = {window}": brightness(bench, scene, window) for window in (1, 32)}
    counts = sum(numpy.bincount(raw.luma(picture), minlength=raw.levels) for picture in scene)
    table = numpy.array(bench.rtp_video.table("exact", counts.tolist()))
    means["one table for all"] = [table[raw.luma(picture)].mean() for picture in scene]
    changes = {name: numpy.abs(numpy.diff(values))[39:] for name, values in means.items()}
    for name, values in changes.items():
        print(f"{name}: mean luma {numpy.mean(means[name][40:]):.2f}, change from frame to frame: mean {values.mean():.4f}, most {values.max():.4f}")
    draw_flicker(changes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histod", type=pathlib.Path, default=ROOT / "build/release/bin/histod")
    parser.add_argument("--frames", type=int, default=60, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of each delay: the one that others disturbed least counts")
    parser.add_argument("--only", choices=("delay", "flicker"))
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bench = Bench(options.histod, stack)
        print(machine())
        if options.only != "flicker":
            measure_delays(bench, options.frames, options.rounds)
        if options.only != "delay":
            measure_flicker(bench, options.frames)


if __name__ == "__main__":
    main()
