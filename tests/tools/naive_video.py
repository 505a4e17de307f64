# SPDX-License-Identifier: Apache-2.0
"""RFC 3550 and RFC 4175 read a bit at a time, from the RFCs' figures and tables, and a socket that collects packets."""
import collections
import socket
import threading

# RFC 4175, 4.3: octets of a pgroup, pixels along a line, lines, and its samples as (component, row, pixel).
PGROUPS = {}
for _depth, _octets in ((8, 4), (10, 5), (12, 6), (16, 8)):
    PGROUPS["YCbCr-4:2:2", _depth] = (_octets, 2, 1, "CB00 Y00 CR00 Y01")
    PGROUPS["RGBA", _depth] = (_octets, 1, 1, "R00 G00 B00 A00")
_RGB = "R00 G00 B00"
PGROUPS["RGB", 8] = (3, 1, 1, _RGB)
PGROUPS["RGB", 10] = (15, 4, 1, _RGB + " R01 G01 B01 R02 G02 B02 R03 G03 B03")
PGROUPS["RGB", 12] = (9, 2, 1, _RGB + " R01 G01 B01")
PGROUPS["RGB", 16] = (6, 1, 1, _RGB)
_420 = "Y00 Y01 Y10 Y11 CB00 CR00"
PGROUPS["YCbCr-4:2:0", 8] = (6, 2, 2, _420)
PGROUPS["YCbCr-4:2:0", 10] = (15, 4, 2, _420 + " Y02 Y03 Y12 Y13 CB02 CR02")
PGROUPS["YCbCr-4:2:0", 12] = (9, 2, 2, _420)
PGROUPS["YCbCr-4:2:0", 16] = (12, 2, 2, _420)

Format = collections.namedtuple("Format", "sampling depth width height interlaced by_field", defaults=(False, False))
Packet = collections.namedtuple("Packet", "marker payload_type sequence timestamp ssrc field segments octets samples")


def read_packet(datagram, form):
    """One packet; `samples` is {(component, row of the frame, pixel): value}, without the fill of a line's last pgroup."""
    first, second = datagram[0], datagram[1]
    assert first == 0x80, "version 2, without padding, extension and CSRC"
    number = [int.from_bytes(datagram[i:i + 2], "big") for i in range(0, len(datagram) - 1, 2)]
    headers, at = [], 14
    while True:
        length, line, offset = (int.from_bytes(datagram[at + i:at + i + 2], "big") for i in (0, 2, 4))
        headers.append((length, line & 0x7fff, line >> 15, offset & 0x7fff))
        at += 6
        if not offset & 0x8000:
            break
    octets, pixels, lines, names = PGROUPS[form.sampling, form.depth]
    samples = {}
    for length, line, field, offset in headers:
        assert length % octets == 0 and offset % pixels == 0 and length > 0
        for group in range(length // octets):
            bits = int.from_bytes(datagram[at:at + octets], "big")
            at += octets
            for index, name in enumerate(names.split()):
                component, row, pixel = name[:-2], int(name[-2]), int(name[-1])
                value = bits >> (octets * 8 - (index + 1) * form.depth) & (1 << form.depth) - 1
                x = offset + group * pixels + pixel
                y = line + row
                if form.interlaced:
                    y = (line * 2 + field if form.by_field else line) + row * 2
                if x < form.width and y < form.height:
                    assert (component, y, x) not in samples
                    samples[component, y, x] = value
    assert at == len(datagram), "no octets are left over"
    return Packet(second >> 7, second & 0x7f, number[6] << 16 | number[1],
                  number[2] << 16 | number[3], number[4] << 16 | number[5], headers[0][2], headers, len(datagram), samples)


def frame_of(packets):
    """All samples of the packets, none of which may be there twice."""
    frame = {}
    for packet in packets:
        assert not frame.keys() & packet.samples.keys()
        frame.update(packet.samples)
    return frame


def whole_frame(form, value):
    """{place: value(component, row, pixel)} of all samples that such a frame has."""
    _, pixels, lines, names = PGROUPS[form.sampling, form.depth]
    step = 2 if form.interlaced else 1
    frame = {}
    for y in range(form.height):
        for x in range(form.width):
            for name in names.split():
                component, row, pixel = name[:-2], int(name[-2]), int(name[-1])
                if pixel == x % pixels and row == y // step % lines:
                    frame[component, y, x] = value(component, y, x)
    return frame


class Collector:
    """A socket that keeps what comes, until end() is called."""
    END = b"end"

    def __init__(self, family=socket.AF_INET, address="127.0.0.1"):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind((address, 0))
        self.port = self.socket.getsockname()[1]
        self.family, self.address = family, address
        self.datagrams = []
        self.some = threading.Event()
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        while (datagram := self.socket.recv(65536)) != self.END:
            self.datagrams.append(datagram)
            self.some.set()

    def end(self):
        """All that came before now."""
        with socket.socket(self.family, socket.SOCK_DGRAM) as sender:
            sender.sendto(self.END, (self.address, self.port))
        self.thread.join(60)
        assert not self.thread.is_alive()
        self.socket.close()
        return self.datagrams
