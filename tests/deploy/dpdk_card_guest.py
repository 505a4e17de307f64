# SPDX-License-Identifier: Apache-2.0
"""What dpdk_card_test.py runs in its machine: the daemon in the pod's confinement, a card that vfio holds, and a sender on the other end of
the cable. Writes to the file that the argument names what was seen, as JSON."""
import contextlib
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys

from confined_daemon import NOBODY, ConfinedDaemon

from rtp_video import Format, Model, Sender, frame

CARD, OTHER_END = "0000:00:05.0", "eth0"
MAC, OTHER_MAC, LOCAL, PEER = "02:00:00:00:00:01", "02:00:00:00:00:02", "192.0.2.1", "192.0.2.2"
PCI = pathlib.Path("/sys/bus/pci")
HUGE_PAGES = 192
STREAM = {"backend": "dpdk", "dpdk_port": "pci0", "listen": f"{LOCAL}:5004", "targets": [f"{PEER}:6000"], "sampling": "YCbCr-4:2:2", "depth": 8,
          "width": 64, "height": 48}


def prepare():
    """As k8s/README.md says of each machine. The group's file."""
    device = PCI / "devices" / CARD
    (device / "driver/unbind").write_text(CARD)
    (device / "driver_override").write_text("vfio-pci")
    (PCI / "drivers_probe").write_text(CARD)
    for command in ("ip link set lo up", f"ip link set {OTHER_END} up", f"ip address add {PEER}/24 dev {OTHER_END}",
                    f"ip neighbour add {LOCAL} lladdr {MAC} dev {OTHER_END} nud permanent", f"sysctl -q -w vm.nr_hugepages={HUGE_PAGES}"):
        subprocess.run(command.split(), check=True)
    return pathlib.Path("/dev/vfio") / (device / "iommu_group").resolve().name


def exchange():
    """Three frames to the card; how many packets came back as the model says, of how many."""
    model, form = Model(Format(64, 48)), Format(64, 48)
    sender, sent, right = Sender(form), 0, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind((PEER, 6000))
        here.settimeout(30)
        for number in range(3):
            for packet in sender.frame(frame(form, number, 20)):
                here.sendto(packet, (LOCAL, 5004))
                wanted, sent = model.receive(packet), sent + 1
                with contextlib.suppress(TimeoutError):
                    right += here.recv(65536) == wanted
    return right, sent


def run(group, memlock=resource.RLIM_INFINITY, owner=NOBODY):
    """A daemon as with the component dpdk, and what it did."""
    os.chown(group, owner, owner)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (memlock, resource.RLIM_INFINITY))
    daemon = ConfinedDaemon(f"--dpdk-pci={CARD}", environment={"HISTOD_DPDK": "true", "HISTOD_DPDK_MEMORY": "256MiB", "HISTOD_STREAM_CPUS": "1"})
    with contextlib.closing(daemon):
        daemon.start()
        status, _, body = daemon.request("PUT", "/v1/streams/card", json.dumps(STREAM))
        seen = {"status": status, "detail": json.loads(body).get("detail"), "process": daemon.status()}
        if status == 201:
            seen["right"], seen["sent"] = exchange()
            # Another configuration closes the card and opens it again; so does a stream that takes the place of one.
            seen["replaced"] = daemon.request("PUT", "/v1/streams/card", json.dumps({**STREAM, "next_hop": OTHER_MAC}))[0]
            seen["right again"] = exchange()[0]
            seen["removed"] = daemon.request("DELETE", "/v1/streams/card")[0]
            seen["put again"] = daemon.request("PUT", "/v1/streams/card", json.dumps(STREAM))[0]
            seen["right at last"] = exchange()[0]
            seen["fallbacks"] = [each["what"] for each in json.loads(daemon.request("GET", "/v1/node")[2])["fallbacks"]]
        seen["stopped"] = daemon.stop()
    return seen


def main():
    group = prepare()
    # Root's with vfio's mode, which a run-time changes the owner of.
    seen = {"mode": group.stat().st_mode & 0o777, "mounts": pathlib.Path("/proc/mounts").read_text().count("hugetlbfs")}
    seen |= {"pod": run(group), "little memory to lock": run(group, memlock=8 << 20), "file of root": run(group, owner=0)}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(seen) + "\n")


main()
