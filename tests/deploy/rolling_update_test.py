#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet of three booted machines goes from one version to the next, one machine after the other, while clients that retry as histoctl does
notice nothing, and no accepted job is lost. HISTOD_BUILD names the build folder, HISTOCTL the client."""
import hashlib
import itertools
import json
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
import machine  # noqa: E402
from systemd_support import ENVIRONMENT, ROOT, equalized, need, run, skip  # noqa: E402

sys.path.insert(0, str(ROOT / "tools/lib"))
import fleet_network  # noqa: E402
import zookeeper_server  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HISTOD_BUILD", ROOT / "build/release")).resolve()
HISTOCTL = os.path.abspath(os.environ.get("HISTOCTL", BUILD / "bin/histoctl"))
NAMES = ("histo-01", "histo-02", "histo-03")
SERVERS, PATIENCE_S = 3, 300
WIDTH, HEIGHT, PICTURES = 160, 120, 5
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SETUP = machine.OWN_USER + """
dpkg --install /exchange/first.deb
install -D -m 0644 /usr/share/doc/histod/examples/listen.conf /etc/systemd/system/histod.socket.d/listen.conf
install -D -m 0644 /usr/share/doc/histod/examples/fleet.conf /etc/systemd/system/histod.service.d/fleet.conf
for secret in tokens zookeeper peer-token; do install -m 0600 /exchange/$secret /etc/histod/$secret; done
cat >>/etc/histod/histod.toml <<END
zookeeper = "{servers}"
zookeeper-session-timeout = "4s"
advertise-url = "{url}"
node-name = "{name}"
memory-budget = "512MiB"
END
systemctl daemon-reload
systemctl enable --now histod.socket histod.service
"""


class ZooKeeper:
    """Three servers on one address."""

    def __init__(self, folder, address):
        addresses = [(address, 2181 + index) for index in range(SERVERS)]
        self.servers, self.processes = ",".join(f"{host}:{port}" for host, port in addresses), []
        for index in range(SERVERS):
            home = folder / f"zookeeper{index + 1}"
            zookeeper_server.configure(home, index, addresses, [f"{address}:{2281 + one}:{2381 + one}" for one in range(SERVERS)])
            with open(home / "log", "wb") as log:
                self.processes.append(subprocess.Popen(zookeeper_server.command(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


class Load(threading.Thread):
    """One client of one node: images equalized at once and as jobs, in turns, until it is told to end. What fails ends it."""

    def __init__(self, name, url, folder):
        super().__init__()
        self.name, self.url, self.folder = name, url, folder
        self.ended, self.answers, self.jobs, self.failure = threading.Event(), 0, {}, ""
        self.start()

    def ask(self, *words):
        done = subprocess.run([HISTOCTL, *words, "--server", self.url, "--token-file", self.folder / "tokens", "--quiet"], capture_output=True, text=True,
                              env=ENVIRONMENT, timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError(f"histoctl {words}: {done.returncode}, {done.stderr}")
        return done.stdout

    def run(self):
        out = self.folder / f"{self.name}.pgm"
        try:
            for number in itertools.cycle(range(PICTURES)):
                if self.ended.is_set():
                    return
                self.ask("equalize", self.folder / f"image{number}.pgm", "-o", out, "--overwrite")
                if out.read_bytes() != (self.folder / f"expected{number}.pgm").read_bytes():
                    raise AssertionError(f"image {number} came back as another one")
                self.jobs[self.ask("equalize", "--no-wait", self.folder / f"image{number}.pgm").strip()] = number
                self.answers += 2
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            self.failure = f"{self.name}: {error}"


class RollingUpdateTest(unittest.TestCase):
    def setUp(self):
        need("cpack", "dpkg-deb", "mmdebstrap", "systemd-nspawn", "objcopy")
        if reason := fleet_network.refusal() or zookeeper_server.missing():
            skip(reason)
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="histod-update-")))
        self.token, self.pause = secrets.token_hex(24), threading.Event()
        first = machine.make_package(BUILD, self.folder)
        self.version = run("dpkg-deb", "-f", first, "Version").stdout.strip().removesuffix("-1")
        _, self.later, records = machine.make_next_package(BUILD, first, self.folder)
        if not records:
            print("skipped: records and messages of a later version: this build has no histod-next", flush=True)
        self.root = machine.make_root(BUILD / "machine", machine.packages_of(run("dpkg-deb", "-f", first, "Depends").stdout))
        self.make_files()

    def make_files(self):
        for number in range(PICTURES):
            pixels = bytes((x * y // (17 + number) + 20 * number) % (150 + 20 * number) for y in range(HEIGHT) for x in range(WIDTH))
            head = b"P5\n%d %d\n255\n" % (WIDTH, HEIGHT)
            (self.folder / f"image{number}.pgm").write_bytes(head + pixels)
            (self.folder / f"expected{number}.pgm").write_bytes(head + equalized(pixels))
        peer = secrets.token_hex(24)
        for name, text in (("tokens", f"admin {self.token} operator\npeer {peer} node\n"), ("peer-token", f"{peer}\n"),
                           ("zookeeper", f"histod:{secrets.token_hex(24)}\n")):
            (self.folder / name).touch(mode=0o600)
            (self.folder / name).write_text(text)

    def boot(self):
        """Three machines with the first version, that have found each other."""
        self.bridge = fleet_network.Bridge(fleet_network.bridge_name(self.folder), fleet_network.free_subnet())
        self.bridge.make()
        self.addCleanup(self.bridge.remove)
        zookeeper = ZooKeeper(self.folder, self.bridge.address)
        self.addCleanup(zookeeper.close)
        self.machines, self.urls = {}, {}
        for number, name in enumerate(NAMES, 1):
            self.urls[name] = f"http://{self.bridge.node_address(number)}:8080"
            self.machines[name] = machine.Machine(name, self.root, self.folder)
            self.addCleanup(self.machines[name].close)
            self.bridge.plug_in(self.machines[name], number)
            self.machines[name].run(SETUP.format(id=64000 + number, name=name, url=self.urls[name], servers=zookeeper.servers))
        self.wait_for(lambda: self.versions() == (self.version,) * 3, "the three find each other")

    def ask(self, name, path):
        """The JSON, or the bytes, of an answer of 200; None for any other, or none."""
        request = urllib.request.Request(self.urls[name] + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with OPENER.open(request, timeout=30) as answer:
                body = answer.read()
                return json.loads(body) if answer.headers["Content-Type"].startswith("application/json") else body
        except (OSError, urllib.error.HTTPError):
            return None

    def versions(self, asked=NAMES[0]):
        """Of all three as one of them sees them; None while it does not see all, in session with ZooKeeper."""
        nodes = (self.ask(asked, "/v1/nodes") or {"nodes": []})["nodes"]
        seen = {node["node_name"]: node["version"] for node in nodes if node["fleet"]["members"] == 3 and node["fleet"]["zookeeper"] == "CONNECTED"}
        return tuple(seen[name] for name in NAMES) if set(seen) == set(NAMES) else None

    def wait_for(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            if time.monotonic() > deadline:
                self.show_journals()
                raise AssertionError(f"not within {PATIENCE_S} s: {what}")
            self.pause.wait(0.1)  # nobody tells: the nodes are asked again
        return found

    def show_journals(self):
        for name, one in self.machines.items():
            print(f"--- {name}\n{one.run('journalctl --no-pager --unit histod.service --output cat --lines 60')}", file=sys.stderr, flush=True)

    def go_on(self, loads):
        """Until each client has had four more answers."""
        wanted = [load.answers + 4 for load in loads]
        self.wait_for(lambda: all(load.answers >= answers or load.failure for load, answers in zip(loads, wanted)), "clients are served")
        self.assertEqual([load.failure for load in loads if load.failure], [])

    def update_all(self, loads):
        """One after the other, each when the one before is ready; what was seen of the versions meanwhile."""
        seen = [self.versions()]
        for number, name in enumerate(NAMES, 1):
            started = time.monotonic()
            before = [load.answers for load in loads]
            self.machines[name].run("dpkg --install /exchange/second.deb </dev/null")
            wanted = (self.later,) * number + (self.version,) * (3 - number)

            def ready(one=name):
                versions = self.versions(NAMES[1])
                if versions not in (None, seen[-1]):
                    seen.append(versions)
                return self.ask(one, "/readyz") is not None and versions is not None and versions[NAMES.index(one)] == self.later
            self.wait_for(ready, f"{name} is ready with {self.later}")
            self.assertEqual(seen[-1], wanted)
            answered = sum(load.answers for load in loads) - sum(before)
            print(f"  {name}: {self.later} after {time.monotonic() - started:.1f} s, in which {answered} requests were answered", flush=True)
            self.go_on(loads)
        return seen

    def check_jobs(self, loads):
        """Each is there, done, and has the bytes of the oracle, whichever node is asked."""
        jobs = {job: number for load in loads for job, number in load.jobs.items()}
        self.assertEqual(sum(len(load.jobs) for load in loads), len(jobs), "no job has another's id")
        digests = {number: hashlib.sha256((self.folder / f"expected{number}.pgm").read_bytes()).hexdigest() for number in range(PICTURES)}
        for index, (job, number) in enumerate(jobs.items()):
            name = NAMES[index % 3]
            state = self.wait_for(lambda one=name, each=job: (found := self.ask(one, f"/v1/jobs/{each}")) and found["state"] in ("done", "failed") and found,
                                  f"{job} ends")
            self.assertEqual(state["state"], "done", state)
            self.assertEqual(hashlib.sha256(self.ask(name, f"/v1/jobs/{job}/result")).hexdigest(), digests[number], job)
        return len(jobs)

    def test_nobody_notices(self):
        self.boot()
        loads = [Load(name, self.urls[name], self.folder) for name in NAMES]
        try:
            self.go_on(loads)
            seen = self.update_all(loads)
        finally:
            for load in loads:
                load.ended.set()
            for load in loads:
                load.join()
        self.assertEqual([load.failure for load in loads if load.failure], [])
        self.assertEqual(seen, [(self.later,) * number + (self.version,) * (3 - number) for number in range(4)])
        print(f"  versions: {' -> '.join(','.join(versions) for versions in seen)}", flush=True)
        jobs = self.check_jobs(loads)
        print(f"  {sum(load.answers for load in loads)} requests, none failed; {jobs} jobs accepted, none lost", flush=True)
        for name in NAMES:
            self.assertEqual(self.ask(name, "/v1/cluster")["alert"], False)


if __name__ == "__main__":
    unittest.main(verbosity=2)
