#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ZooKeeper servers for tests: one, or an ensemble, in a temporary folder on a loopback address of their own.

    zookeeper_servers.py COUNT

prints one line of JSON when all of them serve, {"servers": "127.1.2.3:12181,..."}, then obeys lines on standard input, each
answered by `ok` or `error WHY`: `kill N` (SIGKILL), `start N`, `spawn N` (the same without waiting), `freeze N` (SIGSTOP), `thaw N`. At the end of its input it
stops all servers and removes the folder, so that nothing is left however the test ended.
"""
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "lib"))
import zookeeper_server  # noqa: E402

START_S = 60
# A whole address is ours, by our process id, so that fixed ports collide with nobody's. All are below the ephemeral range.
PORT, PEER_PORT, ELECTION_PORT = 12181, 12281, 12381


def own_address():
    pid = os.getpid()
    return f"127.{1 + (pid >> 16) % 250}.{(pid >> 8) % 256}.{pid % 256}"


class Servers:
    def __init__(self, count, folder):
        self.count, self.folder, self.address = count, pathlib.Path(folder), own_address()
        self.processes = [None] * count

    def configure(self, index):
        zookeeper_server.configure(self.folder / str(index), index, [(self.address, PORT + i) for i in range(self.count)],
                                   [f"{self.address}:{PEER_PORT + i}:{ELECTION_PORT + i}" for i in range(self.count)])

    def spawn(self, index):
        home = self.folder / str(index)
        with open(home / "log", "ab") as log:
            self.processes[index] = subprocess.Popen(zookeeper_server.command(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                     cwd=home)

    def mode(self, index):
        return zookeeper_server.mode((self.address, PORT + index))

    def wait(self, indices):
        deadline = time.monotonic() + START_S
        for index in indices:
            while not self.mode(index):
                if self.processes[index].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"server {index} does not serve:\n" + (self.folder / str(index) / "log").read_text()[-2000:])
                select.select([], [], [], 0.05)  # the server tells nobody when it is ready

    def kill(self, index):
        self.processes[index].kill()
        self.processes[index].wait()

    def obey(self, word, index):
        if word in ("start", "spawn"):
            self.spawn(index)
            if word == "start":
                self.wait([index])
        elif word == "kill":
            self.kill(index)
        elif word in ("freeze", "thaw"):
            self.processes[index].send_signal(signal.SIGSTOP if word == "freeze" else signal.SIGCONT)
        else:
            raise ValueError(f"unknown command {word}")

    def stop(self):
        for index, process in enumerate(self.processes):
            if process is not None:
                self.kill(index)


def serve(count, folder):
    servers = Servers(count, folder)
    try:
        for index in range(count):
            servers.configure(index)
            servers.spawn(index)
        servers.wait(range(count))
        print(json.dumps({"servers": ",".join(f"{servers.address}:{PORT + index}" for index in range(count))}), flush=True)
        for line in sys.stdin:
            try:
                word, index = line.split()
                servers.obey(word, int(index))
                print("ok", flush=True)
            except (RuntimeError, ValueError, IndexError) as error:
                print("error", str(error).replace("\n", " | "), flush=True)
    finally:
        servers.stop()


def main():
    if missing := zookeeper_server.missing():
        print(missing, flush=True)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tempfile.TemporaryDirectory(prefix="histod-zookeeper-") as folder:
        try:
            serve(int(sys.argv[1]), folder)
        except RuntimeError as error:
            print(error, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
