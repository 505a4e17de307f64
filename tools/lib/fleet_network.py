# SPDX-License-Identifier: Apache-2.0
"""A bridge, and processes in network namespaces of their own that are plugged into it. A namespace has no name: it belongs to its
process and goes with it, and so does its cable."""
import hashlib
import ipaddress
import json
import os
import random
import select
import shutil
import subprocess
import time

PORT = 8080
WAIT_S = 20


class NetworkError(RuntimeError):
    pass


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetworkError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def pause():
    select.select([], [], [], 0.02)


def refusal():
    """Why there can be no namespaces here; empty when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root: sudo tools/fleet up"
    if missing := [program for program in ("ip", "unshare", "nsenter") if shutil.which(program) is None]:
        return f"{', '.join(missing)} is missing: install the packages iproute2 and util-linux"
    done = subprocess.run(["unshare", "--net", "ip", "link", "add", "type", "veth"], capture_output=True, text=True, check=False)
    return f"no network namespaces here: {done.stderr.strip()}" if done.returncode else ""


def free_subnet():
    """A network of 10.0.0.0/8 that nothing on this machine has a route to."""
    table = json.loads(run("ip", "-j", "-4", "route", "show", "table", "all") or "[]")
    routes = [ipaddress.ip_network(route["dst"], strict=False) for route in table if route["dst"] != "default"]
    for _ in range(100):
        subnet = ipaddress.ip_network(f"10.{random.randrange(64, 192)}.{random.randrange(256)}.0/24")
        if not any(subnet.overlaps(route) for route in routes):
            return subnet
    raise NetworkError("no network of 10.0.0.0/8 is free")


def bridge_name(folder):
    """Of the fleet in this folder: several can be up at one time."""
    return "hf" + hashlib.sha256(str(folder).encode()).hexdigest()[:8]


class Bridge:
    def __init__(self, name, subnet):
        self.name, self.subnet = name, ipaddress.ip_network(subnet)
        self.address = str(self.subnet[1])

    def node_address(self, number):
        return str(self.subnet[10 + number])

    def make(self):
        run("ip", "link", "add", self.name, "type", "bridge")
        run("ip", "address", "add", f"{self.address}/{self.subnet.prefixlen}", "dev", self.name)
        run("ip", "link", "set", self.name, "up")

    def spawn(self, command, folder, log):
        """Starts it in a new namespace, where it waits for go()."""
        waiting = ["unshare", "--net", "--", "sh", "-c", 'read -r go && exec "$@" </dev/null', "sh"]
        return subprocess.Popen([*waiting, *command], stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder, start_new_session=True)

    def plug_in(self, process, number):
        """Once the namespace is there."""
        own, deadline = os.readlink("/proc/self/ns/net"), time.monotonic() + WAIT_S
        while os.readlink(f"/proc/{process.pid}/ns/net") == own:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NetworkError("a process has got no network namespace")
            pause()
        inside = ("nsenter", "--target", str(process.pid), "--net")
        # A stopped node's cable goes by itself, but only some time after its namespace: a node that is back at once finds the old one.
        self.delete(f"{self.name}n{number}")
        run("ip", "link", "add", f"{self.name}n{number}", "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
        run("ip", "link", "set", f"{self.name}n{number}", "master", self.name, "up")
        run(*inside, "ip", "address", "add", f"{self.node_address(number)}/{self.subnet.prefixlen}", "dev", "eth0")
        run(*inside, "ip", "link", "set", "lo", "up")
        run(*inside, "ip", "link", "set", "eth0", "up")

    @staticmethod
    def go(process):
        process.stdin.write(b"go\n")
        process.stdin.close()

    @staticmethod
    def delete(link):
        """Whether it was there or not."""
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)

    def links(self):
        """What there is of it: the bridge, and cables of namespaces that are not gone yet."""
        return [link["ifname"] for link in json.loads(run("ip", "-j", "link")) if link["ifname"].startswith(self.name)]

    def remove(self):
        """With all cables, which go by themselves after their namespaces, a moment later."""
        deadline = time.monotonic() + WAIT_S
        while links := self.links():
            for link in links:
                self.delete(link)
            if time.monotonic() > deadline:
                raise NetworkError(f"these links are left: {', '.join(links)}")
            pause()
