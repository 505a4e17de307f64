# SPDX-License-Identifier: Apache-2.0
"""Uncompressed video over RTP, written from RFC 3550 and RFC 4175: a sender, and a naive model of what a stream is to make of its
packets. Nothing here knows histod's code; pixels are worked on one at a time."""
import struct

import numpy as np

HOLD = 32  # packets of the next picture for which one that misses some waits
WINDOW = 1024  # packets within which one may come late


class Format:
    """YCbCr-4:2:2 of 8 or 10 bits: Cb Y Cr Y, the highest bit first."""

    def __init__(self, width, height, depth=8):
        self.width, self.height, self.depth = width, height, depth
        self.levels = 1 << depth
        self.group = 4 * depth // 8

    def line_octets(self):
        return self.width // 2 * self.group

    def unpack(self, octets):
        """The samples of whole pgroups."""
        out = []
        for at in range(0, len(octets), self.group):
            bits = int.from_bytes(octets[at:at + self.group], "big")
            out += [bits >> self.depth * (3 - i) & (self.levels - 1) for i in range(4)]
        return out

    def pack(self, samples):
        out = bytearray()
        for at in range(0, len(samples), 4):
            bits = 0
            for sample in samples[at:at + 4]:
                bits = bits << self.depth | int(sample)
            out += bits.to_bytes(self.group, "big")
        return bytes(out)


def frame(form, number, low=0):
    """A picture with few levels in no even share, another one for each number."""
    random = np.random.default_rng(number)
    samples = random.integers(0, form.levels, form.width * form.height * 2)
    samples[1::2] = low + (random.integers(0, form.levels // 4, form.width * form.height) ** 2) % (form.levels // 2 - low)
    return form.pack(list(samples))


class Sender:
    def __init__(self, form, ssrc=0x11223344, sequence=65520, timestamp=1000, lines=6, extended=True):
        self.form, self.ssrc, self.sequence, self.timestamp, self.lines, self.extended = form, ssrc, sequence, timestamp, lines, extended

    def packet(self, octets, first, count, marker):
        line = self.form.line_octets()
        head = struct.pack("!BBHII", 0x80, 96 | (0x80 if marker else 0), self.sequence & 0xffff, self.timestamp, self.ssrc)
        head += struct.pack("!H", self.sequence >> 16 & 0xffff if self.extended else 0)
        for i in range(count):
            head += struct.pack("!HHH", line, first + i, 0x8000 if i + 1 < count else 0)
        self.sequence += 1
        return head + octets[first * line:(first + count) * line]

    def frame(self, octets):
        """Its packets."""
        out = []
        for first in range(0, self.form.height, self.lines):
            count = min(self.lines, self.form.height - first)
            out.append(self.packet(octets, first, count, first + count == self.form.height))
        self.timestamp += 3000
        return out


def clip(counts, limit):
    """CLAHE's, with what is cut off spread evenly; `limit` in thousandths."""
    bins, total = len(counts), sum(counts)
    most = max(1, limit * total // (1000 * bins))
    excess = sum(max(0, count - most) for count in counts)
    out = [min(count, most) + excess // bins for count in counts]
    rest = excess % bins
    for j in range(1, rest + 1):
        out[-(-j * bins // rest) - 1] += 1
    return out


def table(rule, counts):
    levels, total = len(counts), sum(counts)
    if total == 0:
        return list(range(levels))
    first = next(i for i in range(levels) if counts[i])
    rest = total - counts[first]
    if rest == 0:
        raise ValueError("one level only: of no interest here")
    out, sums = [], 0
    scale = np.float32(levels - 1) / np.float32(rest)
    for count in counts:
        sums += count
        above = max(0, sums - counts[first])
        if rule == "exact":
            out.append((above * (levels - 1) + rest // 2) // rest)
        elif rule == "reference":
            out.append(above * (levels - 1) // rest)
        else:
            out.append(min(levels - 1, int(np.rint(np.float32(above) * scale))))
    return out


class Model:
    """What is to come out of a stream, packet by packet."""

    def __init__(self, form, rule="opencv", frames=32, average=0, clip_limit=0):
        self.form, self.rule, self.frames, self.average, self.clip = form, rule, frames, average, clip_limit
        self.history, self.counts = [], dict.fromkeys(("received", "lost", "reordered", "duplicated", "late", "stray", "malformed"), 0)
        self.whole = self.partial = self.changes = 0
        self.restart(None, 0)
        self.missing, self.suspect, self.reach, self.candidate = set(), None, [0, 0], None

    def restart(self, ssrc, sequence):
        self.ssrc, self.first, self.highest = ssrc, sequence, sequence
        self.missing, self.seen = set(), set()
        self.open = []  # pictures that take packets, the older one first
        self.done = set()

    def lut(self):
        counts = [0] * self.form.levels
        if self.average:  # a frame weighs 1 / average
            sums = None
            for one in self.history:
                sums = [c << 16 for c in one] if sums is None else [a - a // self.average + (c << 16) // self.average for a, c in zip(sums, one)]
            counts = [a >> 16 for a in sums] if sums else counts
        else:
            for one in self.history[-self.frames:]:
                counts = [a + b for a, b in zip(counts, one)]
        return table(self.rule, clip(counts, self.clip) if self.clip and sum(counts) else counts)

    def end(self, picture):
        self.open.remove(picture)
        self.done.add(picture["timestamp"])
        self.history.append(picture["counts"])
        if picture["pixels"] == self.form.width * self.form.height:
            self.whole += 1
        else:
            self.partial += 1

    def flush(self):
        for picture in list(self.open):
            self.end(picture)

    def parse(self, datagram):
        """Sequence number, timestamp, SSRC, marker and segments; None for what is no packet."""
        if len(datagram) < 20 or datagram[0] >> 6 != 2:
            return None
        kind, low, timestamp, ssrc = struct.unpack("!BHII", datagram[1:12])
        high, = struct.unpack("!H", datagram[12:14])
        at, segments, more = 14, [], True
        while more:
            if at + 6 > len(datagram):
                return None
            octets, line, offset = struct.unpack("!HHH", datagram[at:at + 6])
            more, at = offset & 0x8000, at + 6
            segments.append([octets, line & 0x7fff, offset & 0x7fff])
        for segment in segments:
            segment.append(at)
            at += segment[0]
        return None if at > len(datagram) else (low, high, timestamp, ssrc, bool(kind & 0x80), segments)

    def sized(self, marker):
        """Whether the pictures have had another size twice."""
        if not marker:
            return
        size, self.reach = tuple(self.reach), [0, 0]
        known, self.candidate = self.candidate, size
        if size != (self.form.width, self.form.height) and size == known:
            self.flush()
            self.form = Format(*size, self.form.depth)
            self.history, self.changes, self.ssrc, self.candidate = [], self.changes + 1, None, None
            self.counts["lost"] += len(self.missing)
            self.missing, self.open = set(), []

    def arrival(self, low, ssrc):
        """Whether the packet is a new one; and whether it is the newest."""
        if self.ssrc is None:
            self.restart(ssrc, low)
        elif ssrc != self.ssrc:
            follows, self.suspect = self.suspect == (ssrc, low), (ssrc, low + 1 & 0xffff)
            if not follows:
                self.counts["stray"] += 1
                return False, False
            self.counts["lost"] += len(self.missing)
            opened = self.open
            self.restart(ssrc, low)
            self.open = opened
        else:
            self.suspect = None
            index = self.highest + ((low - self.highest + 0x8000) & 0xffff) - 0x8000
            if index > self.highest:
                self.missing.update(range(self.highest + 1, index))
                self.highest = index
            elif index < self.first:
                self.counts["late"] += 1
                return False, False
            elif index in self.missing:
                self.missing.remove(index)
                self.counts["reordered"] += 1
                self.counts["received"] += 1
                return True, False
            else:
                self.counts["duplicated"] += 1
                return False, False
        self.counts["received"] += 1
        return True, True

    def receive(self, datagram):
        """The datagram that is to be sent on, or None."""
        parsed = self.parse(datagram)
        form = self.form
        if parsed is None:
            self.counts["malformed"] += 1
            return None
        low, _, timestamp, ssrc, marker, segments = parsed
        beyond = any(line >= form.height or offset + octets // form.group * 2 > form.width for octets, line, offset, _ in segments)
        reach = [max(offset + octets // form.group * 2 for octets, _, offset, _ in segments), max(line + 1 for _, line, _, _ in segments)]
        if beyond:
            self.counts["malformed"] += 1
            self.reach = [max(pair) for pair in zip(self.reach, reach)]
            self.sized(marker)
            return None
        new, newest = self.arrival(low, ssrc)
        if not new:
            return None
        picture = next((one for one in self.open if one["timestamp"] == timestamp), None)
        if picture is None and newest and timestamp not in self.done:
            if len(self.open) > 1:
                self.end(self.open[0])
            picture = {"timestamp": timestamp, "lut": self.lut(), "counts": [0] * form.levels, "pixels": 0, "packets": 0}
            self.open.append(picture)
        if picture is None:
            self.counts["late"] += 1
            return None
        out = bytearray(datagram)
        for octets, _, _, at in segments:
            samples = form.unpack(datagram[at:at + octets])
            for luma in samples[1::2]:
                picture["counts"][luma] += 1
            samples[1::2] = [picture["lut"][luma] for luma in samples[1::2]]
            out[at:at + octets] = form.pack(samples)
            picture["pixels"] += len(samples) // 2
        picture["packets"] += 1
        whole = picture["pixels"] == form.width * form.height
        if picture is self.open[-1] and len(self.open) > 1 and (whole or picture["packets"] >= HOLD):
            self.end(self.open[0])
        if whole:
            self.end(picture)
        self.reach = [max(pair) for pair in zip(self.reach, reach)]
        self.sized(marker)
        return bytes(out)
