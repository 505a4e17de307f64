# SPDX-License-Identifier: Apache-2.0
"""Whole pictures of RFC 4175's packets, and what a stream is to make of them: naive, frame by frame, of all pixels at once."""
import struct

import numpy as np

from rtp_video import table


class Raw:
    """YCbCr-4:2:2 of 8 or 10 bits; a picture is its pgroups, line by line."""

    def __init__(self, width, height, depth=8):
        self.width, self.height, self.depth = width, height, depth
        self.levels, self.group = 1 << depth, depth // 2
        self.line_octets = width // 2 * self.group
        self.octets = self.line_octets * height

    def luma(self, picture):
        if self.depth == 8:
            return picture[1::2].astype(np.uint16)
        b = picture.reshape(-1, 5).astype(np.uint16)
        return np.stack([(b[:, 1] & 0x3f) << 4 | b[:, 2] >> 4, (b[:, 3] & 3) << 8 | b[:, 4]], axis=1).reshape(-1)

    def with_luma(self, picture, luma):
        out = picture.copy()
        if self.depth == 8:
            out[1::2] = luma
            return out
        b, y = out.reshape(-1, 5), luma.reshape(-1, 2).astype(np.uint16)
        b[:, 1] = b[:, 1] & 0xc0 | y[:, 0] >> 4
        b[:, 2] = (y[:, 0] & 0xf) << 4 | b[:, 2] & 0xf
        b[:, 3] = b[:, 3] & 0xfc | y[:, 1] >> 8
        b[:, 4] = y[:, 1] & 0xff
        return out

    def pictures(self, packets):
        """In order of their timestamps' coming; what no packet had stays 0, and each pixel comes once."""
        out, seen = {}, {}
        for packet in packets:
            timestamp, = struct.unpack("!I", packet[4:8])
            if timestamp not in out:
                out[timestamp] = np.zeros(self.octets, np.uint8)
                seen[timestamp] = 0
            at = 14
            segments = []
            while True:
                octets, line, offset = struct.unpack("!HHH", packet[at:at + 6])
                at += 6
                segments.append((line * self.line_octets + (offset & 0x7fff) // 2 * self.group, octets))
                if not offset & 0x8000:
                    break
            octets = np.frombuffer(packet, np.uint8)
            for where, count in segments:
                out[timestamp][where:where + count] = octets[at:at + count]
                at += count
                seen[timestamp] += count
        if any(count != self.octets for count in seen.values()):
            raise AssertionError(f"pictures of {self.octets} octets have {seen}")
        return list(out.values())

    def read(self, path):
        octets = np.fromfile(path, np.uint8)
        if octets.size % self.octets:
            raise AssertionError(f"{path}: {octets.size} octets are no whole pictures of {self.octets}")
        return list(octets.reshape(-1, self.octets))


def equalized(raw, pictures, rule, frames):
    """Each by the table of the `frames` before it."""
    counts = [np.bincount(raw.luma(picture), minlength=raw.levels) for picture in pictures]
    out = []
    for number, picture in enumerate(pictures):
        window = counts[max(0, number - frames):number]
        lut = np.array(table(rule, [int(count) for count in sum(window)]) if window else range(raw.levels), np.uint16)
        out.append(raw.with_luma(picture, lut[raw.luma(picture)]))
    return out


def final_table(raw, pictures, rule, frames):
    counts = sum(np.bincount(raw.luma(picture), minlength=raw.levels) for picture in pictures[-frames:])
    return table(rule, [int(count) for count in counts])
