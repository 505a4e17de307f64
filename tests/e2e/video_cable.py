# SPDX-License-Identifier: Apache-2.0
"""A cable between two fresh network namespaces: this process, and what it starts, are at its near end; senders and targets at its far
one. Nothing else is in them, and they go with their processes."""
import contextlib
import ctypes
import os
import pathlib
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "lib"))
import fleet_network  # noqa: E402

NEAR, FAR = "10.77.0.1", "10.77.0.2"
NEAR_DEVICE, FAR_DEVICE = "near0", "far0"
CLONE_NEWNET = 0x40000000
SO_TIMESTAMPNS, SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 35, 33, 263, 6
OUTGOING = 4  # PACKET_OUTGOING
PATIENCE_S = 60
ROOM = 256 << 20  # octets that wait in the kernel until somebody looks: all of a test's
LIBC = ctypes.CDLL(None, use_errno=True)


def _switch(call, *arguments):
    if call(*arguments) != 0:
        raise OSError(ctypes.get_errno(), "network namespace")


class Cable:
    def __init__(self):
        _switch(LIBC.unshare, CLONE_NEWNET)
        self.near = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        waits = ["unshare", "--net", "--", "sh", "-c", "echo; read -r end"]
        self.holder = subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.far = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
        macs = {NEAR_DEVICE: "02:00:00:00:00:01", FAR_DEVICE: "02:00:00:00:00:02"}
        fleet_network.run("ip", "link", "add", NEAR_DEVICE, "address", macs[NEAR_DEVICE], "type", "veth", "peer", "name", FAR_DEVICE,
                          "address", macs[FAR_DEVICE], "netns", str(self.holder.pid))
        for inside, device, own, other, mac in ((), NEAR_DEVICE, NEAR, FAR, macs[FAR_DEVICE]), \
                                               (self.inside(), FAR_DEVICE, FAR, NEAR, macs[NEAR_DEVICE]):
            fleet_network.run(*inside, "ip", "link", "set", "lo", "up")
            fleet_network.run(*inside, "ip", "address", "add", f"{own}/24", "dev", device)
            fleet_network.run(*inside, "ip", "link", "set", device, "up")
            # Who must ask for a hardware address first keeps fewer packets meanwhile than a picture has.
            fleet_network.run(*inside, "ip", "neigh", "replace", other, "lladdr", mac, "nud", "permanent", "dev", device)

    def inside(self):
        """What goes before a command that is to run at the far end."""
        return ("nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--")

    @contextlib.contextmanager
    def at_far_end(self):
        """Sockets that are made in here are there, and stay there."""
        _switch(LIBC.setns, self.far, CLONE_NEWNET)
        try:
            yield
        finally:
            _switch(LIBC.setns, self.near, CLONE_NEWNET)

    def target(self):
        with self.at_far_end():
            return Target()

    def tap(self):
        with self.at_far_end():
            return Tap()

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()
        os.close(self.near)
        os.close(self.far)


class Target:
    """A UDP socket that keeps all that comes until it is asked."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self.socket.bind((FAR, 0))
        self.socket.settimeout(PATIENCE_S)
        self.address = "%s:%d" % self.socket.getsockname()

    def take(self, count):
        return [self.socket.recv(65536) for _ in range(count)]

    def rest(self):
        """What is there besides."""
        out = []
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                out.append(self.socket.recv(65536))
        self.socket.settimeout(PATIENCE_S)
        return out

    def close(self):
        self.socket.close()


class Tap:
    """All IPv4 frames at the far end, with the kernel's times."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind((FAR_DEVICE, 3))  # ETH_P_ALL

    def take(self):
        """(outgoing, UDP port it goes to, when in nanoseconds, payload) of each datagram so far."""
        out = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, control, _, address = self.socket.recvmsg(65536, 64, socket.MSG_DONTWAIT)
                if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
                    continue
                seconds, ns = struct.unpack("qq", next(data for level, kind, data in control if kind == SO_TIMESTAMPNS))
                port, length = struct.unpack("!HH", frame[36:40])
                out.append((address[2] == OUTGOING, port, seconds * 10**9 + ns, frame[42:34 + length]))
        _, dropped = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        if dropped:
            raise AssertionError(f"the test itself lost {dropped} packets: no room for them")
        return out

    def sent_to(self, port):
        """The payloads that left for this port."""
        return [payload for outgoing, to, _, payload in self.take() if outgoing and to == port]

    def close(self):
        self.socket.close()
