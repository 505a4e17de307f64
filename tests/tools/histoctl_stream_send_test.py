# SPDX-License-Identifier: Apache-2.0
"""What `histoctl stream send` sends, received by a plain socket and read by naive code."""
import json
import re
import signal
import socket
import struct
import unittest

from PIL import Image

from harness import HistoctlTest
from naive_video import PGROUPS, Collector, Format, frame_of, read_packet, whole_frame

MASK = (1 << 64) - 1
# The 100 % bars of every test card, at 8 bits: Y, Cb and Cr of white, yellow, cyan, green, magenta, red, blue and black.
BARS_601 = {"Y": (235, 210, 170, 145, 106, 81, 41, 16), "CB": (128, 16, 166, 54, 202, 90, 240, 128),
            "CR": (128, 146, 16, 34, 222, 240, 110, 128)}
BARS_709 = {"Y": (235, 219, 188, 173, 78, 63, 32, 16), "CB": (128, 16, 154, 42, 214, 102, 240, 128),
            "CR": (128, 138, 16, 26, 230, 240, 118, 128)}
COMPONENTS = ("Y", "CB", "CR", "R", "G", "B", "A")


def split_mix(seed, position):
    """SplitMix64 by its published definition: the state grows by a constant, and is mixed."""
    z = (seed + 0x9e3779b97f4a7c15 * (position + 1)) & MASK
    z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & MASK
    return z ^ (z >> 31)


def noise(form, seed, frame):
    def value(component, y, x):
        if component == "A":
            return (1 << form.depth) - 1
        place = (frame * 8 + COMPONENTS.index(component)) * 2**30 + y * 2**15 + x
        return split_mix(seed, place) >> (64 - form.depth)
    return whole_frame(form, value)


def ramp(form):
    top = (1 << form.depth) - 1
    return whole_frame(form, lambda component, _, x: top if component == "A" else
                       (top + 1) // 2 if component in ("CB", "CR") else x * top // (form.width - 1))


class SendTest(HistoctlTest):
    def send(self, *words, expect=0, form=None, **how):
        """(the report, the packets) of one run to a socket of this machine."""
        collector = Collector()
        if form:
            words += ("--sampling", form.sampling, "--depth", form.depth)
            words += ("--interlaced",) if form.interlaced else ()
            words += ("--line-numbering", "field") if form.by_field else ()
        try:
            done = self.run_ctl("stream", "send", *words, "--to", f"127.0.0.1:{collector.port}", "--json", expect=expect, **how)
        finally:
            datagrams = collector.end()
        report = json.loads(done.stdout) if done.stdout else None
        return report, [read_packet(datagram, form) for datagram in datagrams] if form else datagrams

    def assert_frames(self, packets, form, frames):
        """Whether the packets are exactly these frames, in this order."""
        pictures = [[]]
        for packet in packets:
            pictures[-1].append(packet)
            if packet.marker:
                pictures.append([])
        self.assertEqual(pictures.pop(), [], "the last packet has the marker")
        fields = 2 if form.interlaced else 1
        self.assertEqual(len(pictures), len(frames) * fields)
        for index, picture in enumerate(pictures):
            self.assertEqual({packet.field for packet in picture}, {index % fields})
            self.assertEqual(len({packet.timestamp for packet in picture}), 1)
        for index, frame in enumerate(frames):
            got = frame_of(packet for picture in pictures[index * fields:(index + 1) * fields] for packet in picture)
            self.assertEqual(got, frame, f"frame {index}")


class PatternTest(SendTest):
    def test_noise_in_every_format(self):
        for sampling, depth in PGROUPS:
            for interlaced, by_field in ((False, False), (True, False), (True, True)):
                form = Format(sampling, depth, 21, 11, interlaced, by_field)
                with self.subTest(form=form):
                    report, packets = self.send("pattern:noise", "--size", "21x11", "--rate", "1000", "--frames", "2",
                                                "--mtu", "200", "--seed", "77", form=form)
                    self.assert_frames(packets, form, [noise(form, 77, 0), noise(form, 77, 1)])
                    self.assertEqual((report["frames"], report["packets"]), (2, len(packets)))
                    self.assertEqual(report["bytes"], sum(packet.octets for packet in packets))

    def test_noise_begins_again_after_16_frames_and_a_seed_makes_another(self):
        form = Format("YCbCr-4:2:2", 8, 8, 2)
        words = ("pattern:noise", "--size", "8x2", "--rate", "1000", "--frames", "18")
        _, packets = self.send(*words, form=form)
        self.assert_frames(packets, form, [noise(form, 0, frame % 16) for frame in range(18)])
        self.assertNotEqual(noise(form, 0, 0), noise(form, 1, 0))
        _, packets = self.send(*words, "--seed", str(2**64 - 1), form=form)
        self.assert_frames(packets, form, [noise(form, 2**64 - 1, frame % 16) for frame in range(18)])

    def test_ramp_and_flat(self):
        for form in (Format("YCbCr-4:2:2", 8, 300, 4), Format("YCbCr-4:2:2", 10, 300, 4), Format("RGBA", 12, 33, 3),
                     Format("YCbCr-4:2:0", 16, 34, 6)):
            with self.subTest(form=form):
                size = f"{form.width}x{form.height}"
                _, packets = self.send("pattern:ramp", "--size", size, form=form)
                self.assert_frames(packets, form, [ramp(form)])
                _, packets = self.send("pattern:flat", "--size", size, form=form)
                top = (1 << form.depth) - 1
                self.assert_frames(packets, form, [whole_frame(
                    form, lambda component, *_: top if component == "A" else (top + 1) // 2)])

    def test_bars_are_those_of_test_cards(self):
        for bars, height in ((BARS_601, 8), (BARS_709, 720)):
            for depth in (8, 10):
                form = Format("YCbCr-4:2:2", depth, 16, height)
                _, packets = self.send("pattern:bars", "--size", f"16x{height}", form=form)
                for (component, _, x), value in frame_of(packets).items():
                    # At 10 bits there are values between those of 8.
                    self.assertAlmostEqual(value / 2**(depth - 8), bars[component][x // 2], delta=0 if depth == 8 else 0.5)
        form = Format("RGB", 10, 16, 2)
        _, packets = self.send("pattern:bars", "--size", "16x2", form=form)
        frame = frame_of(packets)
        self.assertEqual([tuple(frame[c, 0, x] // 1023 for c in "RGB") for x in range(0, 16, 2)],
                         [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)])

    def test_several_inputs_follow_one_another(self):
        form = Format("YCbCr-4:2:2", 8, 16, 2)
        _, packets = self.send("pattern:ramp", "pattern:noise", "--size", "16x2", "--frames", "19", "--rate", "500", form=form)
        self.assert_frames(packets, form, [ramp(form), *(noise(form, 0, frame) for frame in range(16)), ramp(form),
                                           noise(form, 0, 0)])


class PacketTest(SendTest):
    form = Format("YCbCr-4:2:2", 8, 720, 16)

    def test_headers(self):
        report, packets = self.send("pattern:ramp", "--size", "720x16", "--frames", "3", "--payload-type", "112", form=self.form)
        first = packets[0].sequence
        self.assertEqual([packet.sequence for packet in packets], [(first + i) % 2**32 for i in range(len(packets))])
        self.assertEqual({(packet.ssrc, packet.payload_type) for packet in packets}, {(report["ssrc"], 112)})
        self.assertEqual(report["payload_type"], 112)

    def test_no_packet_is_larger_than_the_mtu_and_most_fill_it(self):
        for mtu in (100, 576, 1400, 9000):
            _, packets = self.send("pattern:ramp", "--size", "720x16", "--mtu", mtu, form=self.form)
            self.assert_frames(packets, self.form, [ramp(self.form)])
            sizes = [packet.octets + 28 for packet in packets]
            self.assertLessEqual(max(sizes), mtu)
            self.assertGreater(min(sizes[:-1] or sizes[-1:]), mtu - 4 - 6 - 1 if len(sizes) > 1 else 0)

    def test_timestamps_follow_the_rate(self):
        for rate, steps in (("25", [3600] * 5), ("30000/1001", [3003] * 5), ("59.94", [1501, 1502, 1501, 1502, 1501])):
            _, packets = self.send("pattern:flat", "--size", "720x16", "--rate", rate, "--frames", "6", form=self.form)
            stamps = [packet.timestamp for packet in packets if packet.marker]
            self.assertEqual([(b - a) % 2**32 for a, b in zip(stamps, stamps[1:])], steps, rate)
        fields = self.form._replace(interlaced=True)
        _, packets = self.send("pattern:flat", "--size", "720x16", "--rate", "25", "--frames", "2", form=fields)
        stamps = [packet.timestamp for packet in packets if packet.marker]
        self.assertEqual([(b - a) % 2**32 for a, b in zip(stamps, stamps[1:])], [1800] * 3)

    def test_two_runs_are_two_sources(self):
        one, _ = self.send("pattern:flat", "--size", "8x8")
        two, _ = self.send("pattern:flat", "--size", "8x8")
        self.assertNotEqual(one["ssrc"], two["ssrc"])

    def test_ipv6(self):
        try:
            collector = Collector(socket.AF_INET6, "::1")
        except OSError as error:
            self.skipTest(f"no IPv6 here: {error}")
        self.run_ctl("stream", "send", "pattern:ramp", "--size", "720x16", "--to", f"[::1]:{collector.port}")
        packets = [read_packet(datagram, self.form) for datagram in collector.end()]
        self.assert_frames(packets, self.form, [ramp(self.form)])
        self.assertLessEqual(max(packet.octets for packet in packets), 1400 - 48)

    def test_multicast(self):
        group = "239.255.77.7"
        collector = Collector(address="0.0.0.0")
        collector.address = "127.0.0.1"
        try:
            membership = struct.pack("4s4s", socket.inet_aton(group), socket.inet_aton("127.0.0.1"))
            collector.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        except OSError as error:
            collector.end()
            self.skipTest(f"no multicast on the loopback interface: {error}")
        self.run_ctl("stream", "send", "pattern:ramp", "--size", "720x16", "--to", f"{group}:{collector.port}",
                     "--interface", "127.0.0.1", "--ttl", "1", "--sdp", "group.sdp")
        packets = [read_packet(datagram, self.form) for datagram in collector.end()]
        self.assert_frames(packets, self.form, [ramp(self.form)])
        self.assertIn(f"\r\nc=IN IP4 {group}/1\r\n", (self.work / "group.sdp").read_bytes().decode())


class ImageFileTest(SendTest):
    def pixels(self, width, height, channels=1, top=255, seed=5):
        return [[[(seed * 37 + (y * width + x) * 29 + c * 71) % (top + 1) for c in range(channels)] for x in range(width)]
                for y in range(height)]

    def pnm(self, name, pixels, top=255):
        letter = b"P6" if len(pixels[0][0]) == 3 else b"P5"
        raw = b"".join(value.to_bytes(2 if top > 255 else 1, "big") for row in pixels for pixel in row for value in pixel)
        self.image(name, b"%s\n%d %d\n%d\n" % (letter, len(pixels[0]), len(pixels), top) + raw)

    def test_gray_is_the_luma(self):
        pixels = self.pixels(30, 9)
        self.pnm("gray.pgm", pixels)
        form = Format("YCbCr-4:2:2", 8, 30, 9)
        _, packets = self.send("gray.pgm", form=form)
        self.assert_frames(packets, form, [whole_frame(form, lambda c, y, x: pixels[y][x][0] if c == "Y" else 128)])
        form = Format("RGBA", 16, 30, 9)
        _, packets = self.send("gray.pgm", form=form)
        self.assert_frames(packets, form, [whole_frame(form, lambda c, y, x: 65535 if c == "A" else pixels[y][x][0] * 257)])

    def test_depths_and_the_maximum_of_a_file(self):
        pixels = self.pixels(12, 4, top=1000)
        self.pnm("deep.pgm", pixels, top=1000)
        form = Format("YCbCr-4:2:2", 10, 12, 4)
        _, packets = self.send("deep.pgm", form=form)
        self.assert_frames(packets, form, [whole_frame(
            form, lambda c, y, x: int(pixels[y][x][0] * 1023 / 1000 + 0.5) if c == "Y" else 512)])

    def test_png_of_16_bits(self):
        values = [(i * 4099) % 65536 for i in range(20 * 6)]
        picture = Image.frombytes("I;16", (20, 6), struct.pack("<120H", *values))
        picture.save(self.work / "deep.png")
        form = Format("YCbCr-4:2:2", 16, 20, 6, True)
        _, packets = self.send("deep.png", form=form)
        self.assert_frames(packets, form, [whole_frame(form, lambda c, y, x: values[y * 20 + x] if c == "Y" else 32768)])

    def test_colours_as_rgb_are_the_files(self):
        pixels = self.pixels(17, 5, channels=3)
        self.pnm("colour.ppm", pixels)
        for form in (Format("RGB", 8, 17, 5), Format("RGB", 8, 17, 5, True)):
            _, packets = self.send("colour.ppm", form=form)
            self.assert_frames(packets, form, [whole_frame(form, lambda c, y, x: pixels[y][x]["RGB".index(c)])])

    def test_alpha_is_kept(self):
        picture = Image.new("RGBA", (4, 2))
        picture.putdata([(10 * i, 20, 30, 25 * i) for i in range(8)])
        picture.save(self.work / "clear.png")
        form = Format("RGBA", 8, 4, 2)
        _, packets = self.send("clear.png", form=form)
        self.assert_frames(packets, form, [whole_frame(
            form, lambda c, y, x: {"R": 10 * (y * 4 + x), "G": 20, "B": 30, "A": 25 * (y * 4 + x)}[c])])

    def naive_ycbcr(self, pixels, form):
        """BT.601, narrow range; chroma of the mean of those that share it."""
        step, rows, columns = 2 if form.interlaced else 1, len(pixels), len(pixels[0])

        def value(component, y, x):
            shared = [(y, x)] if component == "Y" else [(y, x), (y, min(x + 1, columns - 1))]
            if component != "Y" and form.sampling == "YCbCr-4:2:0":
                below = y + step if y + step < rows else y
                shared += [(below, column) for _, column in shared]
            r, g, b = (sum(pixels[j][i][c] / 255 for j, i in shared) / len(shared) for c in range(3))
            luma = 0.299 * r + 0.587 * g + 0.114 * b
            return {"Y": 16 + 219 * luma, "CB": 128 + 224 * (b - luma) / 1.772, "CR": 128 + 224 * (r - luma) / 1.402}[component]
        return whole_frame(form, value)

    def test_colours_as_ycbcr(self):
        pixels = self.pixels(19, 7, channels=3)
        self.pnm("colour.ppm", pixels)
        for form in (Format("YCbCr-4:2:2", 8, 19, 7), Format("YCbCr-4:2:0", 8, 19, 7), Format("YCbCr-4:2:0", 10, 19, 7, True)):
            with self.subTest(form=form):
                _, packets = self.send("colour.ppm", form=form)
                frame, scale = frame_of(packets), 2**(form.depth - 8)
                wanted = self.naive_ycbcr(pixels, form)
                self.assertEqual(frame.keys(), wanted.keys())
                for place, value in wanted.items():
                    self.assertAlmostEqual(frame[place], value * scale, delta=0.501, msg=place)

    def test_a_folder_is_played_in_the_order_of_names(self):
        form, frames = Format("YCbCr-4:2:2", 8, 6, 2), []
        for index in range(3):
            pixels = self.pixels(6, 2, seed=index)
            self.pnm(f"film/{index:03}.pgm", pixels)
            frames.append(whole_frame(form, lambda c, y, x, p=pixels: p[y][x][0] if c == "Y" else 128))
        self.image("film/notes.txt", b"no image")
        report, packets = self.send("film", "--rate", "200", "--frames", "7", form=form)
        self.assert_frames(packets, form, [frames[i % 3] for i in range(7)])
        self.assertEqual(report["frames"], 7)

    def test_what_cannot_be_sent_is_known_before_the_first_packet(self):
        self.pnm("one.pgm", self.pixels(6, 2))
        self.pnm("two.pgm", self.pixels(8, 2))
        self.image("broken.png", b"\x89PNG\r\n\x1a\nnothing")
        for words, parts in ((("one.pgm", "two.pgm"), ("two.pgm: is 8x2, but the stream is 6x2",)),
                             (("one.pgm", "missing.pgm"), ("missing.pgm: cannot be read",)),
                             (("broken.png",), ("broken.png: ",)), (("one.pgm", "--size", "4x4"), ("one.pgm: is 6x2",))):
            with self.subTest(words=words):
                collector = Collector()
                done = self.run_ctl("stream", "send", *words, "--to", f"127.0.0.1:{collector.port}", expect=1)
                self.assert_one_line(done, *parts)
                self.assertEqual(collector.end(), [])


class ReportTest(SendTest):
    def test_text(self):
        collector = Collector()
        words = ("stream", "send", "pattern:flat", "--size", "64x8", "--frames", "5", "--rate", "50", "--to",
                 f"127.0.0.1:{collector.port}")
        text = self.run_ctl(*words).stdout.decode()
        self.assertEqual(self.run_ctl(*words, "--quiet").stdout, b"")
        packets = len(collector.end()) // 2
        self.assertRegex(text, rf"^sent 5 frames, {packets} packets, \d+\.\d kB in \d+\.\d\d s: \d+\.\d\d frames/s, "
                               r"\d+\.\d Mbit/s; at most \d+\.\d ms late\n$")

    def test_a_run_takes_its_time(self):
        """20 frames at 40 a second are half a second, and never less."""
        report, _ = self.send("pattern:flat", "--size", "64x8", "--frames", "20", "--rate", "40")
        self.assertGreaterEqual(report["seconds"], 0.5)
        self.assertLessEqual(report["frames_per_second"], 40)

    def test_nobody_need_listen(self):
        held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        held.close()
        [report] = self.json_lines("stream", "send", "pattern:flat", "--size", "64x8", "--frames", "5", "--rate", "500",
                                   "--to", f"127.0.0.1:{port}")
        self.assertEqual((report["frames"], report["failed_packets"]), (5, 0))

    def test_it_asks_no_daemon_and_needs_no_token(self):
        self.send("pattern:flat", "--size", "8x8", env=self.environment(HISTOCTL_SERVER=None, HISTOCTL_TOKEN_FILE=None))
        self.assertEqual(self.server.log, [])

    def test_ctrl_c_ends_a_loop_well_and_a_count_early(self):
        for words, code in ((("--loop",), 0), (("--frames", "1000000"), 130)):
            collector = Collector()
            running = self.start("stream", "send", "pattern:flat", "--size", "8x8", "--rate", "10", "--json", *words, "--to",
                                 f"127.0.0.1:{collector.port}")
            self.assertTrue(collector.some.wait(60))
            running.send_signal(signal.SIGINT)
            out, error = running.communicate(timeout=60)
            self.assertEqual((running.returncode, error), (code, b""))
            self.assertEqual(json.loads(out)["packets"], len(collector.end()))

    def test_description(self):
        self.send("pattern:flat", "--size", "1280x720", "--depth", "10", "--rate", "30000/1001", "--interlaced", "--sdp", "out.sdp",
                  "--payload-type", "100", form=None)
        lines = (self.work / "out.sdp").read_bytes().decode().split("\r\n")
        self.assertIn("c=IN IP4 127.0.0.1", lines)
        self.assertIn("a=rtpmap:100 raw/90000", lines)
        self.assertTrue(any(re.fullmatch(r"m=video \d+ RTP/AVP 100", line) for line in lines))
        [parameters] = [line for line in lines if line.startswith("a=fmtp:100 ")]
        for part in ("sampling=YCbCr-4:2:2", "width=1280", "height=720", "depth=10", "colorimetry=BT709-2", "interlace",
                     "exactframerate=30000/1001"):
            self.assertIn(part, parameters)
        self.send("pattern:flat", "--size", "8x8", "--sdp", "out.sdp", expect=1)
        self.send("pattern:flat", "--size", "8x8", "--sdp", "out.sdp", "--overwrite")
        self.assertIn("width=8;", (self.work / "out.sdp").read_text())


class UsageTest(SendTest):
    def test_wrong_usage(self):
        to = ("--to", "127.0.0.1:5004")
        flat = ("pattern:flat", "--size", "8x8")
        for words, part in (((), "name files, or pattern:NAME"), (flat, "--to HOST:PORT"),
                            (("pattern:flat", *to), "--size"), (("pattern:plaid", "--size", "8x8", *to), "pattern:ramp"),
                            ((*flat, *to, "--loop", "--frames", "3"), "not with --frames"),
                            ((*flat, "--to", "[::1]:5004", "--mtu", "79", "--depth", "16", "--sampling", "YCbCr-4:2:0"), "--mtu: "),
                            ((*flat, *to, "--interface", "lo"), "--interface: "),
                            (("pattern:flat", "--size", "8x1", "--interlaced", *to), "second field"),
                            ((*flat, *to, "--rule", "exact"), "--rule: not an option of stream send")):
            with self.subTest(words=words):
                self.assert_one_line(self.run_ctl("stream", "send", *words, expect=2), part)

    def test_bounds(self):
        bad = {"--to": ["host", "host:", "host:0", "host:65536", ":5004", "::1:5004", "[::1]", "[host]:5"],
               "--size": ["8", "8x", "x8", "0x8", "8x0", "32768x8", "8x8x8", "8X8", "-8x8"],
               "--rate": ["0", "x", "1001", "25.", "1/0", "0/1", "25.1234", "1/101", "-1", "1e1", "0.001"],
               "--frames": ["0", "-1", "x"], "--mtu": ["59", "65536"], "--depth": ["9", "14"], "--sampling": ["gray", "UYVY"],
               "--payload-type": ["128"], "--ttl": ["0", "256"], "--seed": ["-1", "18446744073709551616"]}
        for name, values in bad.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    self.assert_one_line(self.run_ctl("stream", "send", "pattern:flat", f"{name}={value}", expect=2), name)

    def test_names_without_an_address(self):
        done = self.run_ctl("stream", "send", "pattern:flat", "--size", "8x8", "--to", "a..b:5004", expect=3)
        self.assert_one_line(done, "a..b")


if __name__ == "__main__":
    unittest.main()
