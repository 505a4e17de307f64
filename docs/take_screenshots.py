#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Takes docs/images anew, of three real nodes with three real ZooKeeper servers: images are uploaded to them, a recorded rollout is
told again, ZooKeeper stops for some seconds, a node is killed and started again, somebody comes with a wrong token, and a camera is played.
As root, on a machine where `ctest --preset release -R e2e_live_page` passes, which also installs what drives the browser.

    docs/take_screenshots.py [--only 390] [--state FOLDER]
"""
import argparse
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"
STAGE = ROOT / "build/release/tests/e2e/page-stage"
PICTURES = ROOT / "docs/pictures"
FOG = ROOT / "build/release/webui/dist/samples/fog.png"
COLOURS = 255
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Fleet:
    def __init__(self, state, scratch):
        self.state, self.scratch = state, scratch
        self.take_in(self.tool("up", "-n", "3", "--session-timeout", "6s", "--histod", BIN / "histod"))

    def tool(self, word, *words):
        done = subprocess.run([sys.executable, ROOT / "tools/fleet", word, "--state", self.state, *words], stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout or b"{}")

    def take_in(self, told):
        self.nodes, self.token_file, self.zookeepers = told["nodes"], told["token_file"], told["zookeeper"]["pids"]

    def histoctl(self, node, *words, **more):
        command = [BIN / "histoctl", *words, "--server", self.nodes[node]["url"], "--token-file", self.token_file, "--quiet"]
        return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True, text=True, **more).stdout.strip()

    def cluster(self, node):
        token = pathlib.Path(self.token_file).read_text().split()[1]
        request = urllib.request.Request(self.nodes[node]["url"] + "/v1/cluster", headers={"Authorization": f"Bearer {token}"})
        with OPENER.open(request, timeout=10) as answer:
            return json.load(answer)

    def wait(self, condition):
        deadline = time.monotonic() + 90
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the fleet does not come to where it should")
            time.sleep(0.1)

    def stop_zookeeper(self):
        for state, number in (("SUSPENDED", signal.SIGSTOP), ("CONNECTED", signal.SIGCONT)):
            for pid in self.zookeepers:
                os.kill(pid, number)
            self.wait(lambda state=state: all(self.cluster(node)["zookeeper"]["state"] == state for node in range(3)))

    def kill_node(self, node):
        os.kill(self.nodes[node]["pid"], signal.SIGKILL)
        self.wait(lambda: self.cluster(0)["alert"])
        self.take_in(self.tool("start", self.nodes[node]["name"]))
        self.wait(lambda: not self.cluster(0)["alert"])

    def come_with_wrong_tokens(self):
        field = self.scratch / "field"
        field.write_text("Authorization: Bearer this-is-no-token-of-theirs\n")
        for path in ("/v1/node", "/v1/peer/keys/photo-1"):
            subprocess.run(["curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-H", f"@{field}", self.nodes[0]["url"] + path], check=True)

    def fill_datasets(self):
        for number, name in enumerate(("clahe", "color", "nodata", "rule")):
            ident = self.histoctl(0, "dataset", "create", "--name", name, "--rule", "exact")
            for node, part in enumerate(itertools.zip_longest(*[iter(sorted(PICTURES.glob(f"{name}-*.png")))] * 2)):
                self.histoctl(node % 3, "dataset", "add", ident, *filter(None, part))
            self.histoctl(0, "dataset", "finalize", ident, "--wait")
            if number < 3:
                self.histoctl(0, "dataset", "apply", ident, "--wait")

    def work(self, ended):
        """Uploads to each node in turn, of one size and another, until it is told to end."""
        pictures = sorted(PICTURES.glob("*.png"))
        for turn in itertools.count():
            size = 3 + 7 * (turn % 3)
            chosen = [pictures[(turn * 5 + i) % len(pictures)] for i in range(size)]
            self.histoctl(0 if turn % 3 else 1 + turn // 3 % 2, "equalize", *chosen, "-o", self.scratch / "out", "--overwrite",
                          *(["--async"] if turn % 24 == 0 else []))
            if ended.wait(0.8):
                return

    def begin_video(self):
        """A camera in the fog, and a door where nobody sends."""
        first, second = (node["url"].split("/")[2].split(":")[0] for node in self.nodes[:2])
        size = "x".join(map(str, Image.open(FOG).size))
        for name, port, window in (("fog", 5004, 32), ("gate", 5008, 8)):
            self.histoctl(0, "stream", "set", name, "--listen", f"{first}:{port}", "--sampling", "YCbCr-4:2:2", "--depth", 8, "--size", size,
                          "--window", window, "--targets", f"{second}:5006")
        return subprocess.Popen([BIN / "histoctl", "stream", "send", FOG, "--to", f"{first}:5004", "--rate", "10", "--loop", "--quiet"])

    def shoot(self, out, only):
        shutil.copytree(ROOT / "tests/e2e/page", STAGE / "page", dirs_exist_ok=True)
        subprocess.run(["node", "page/screenshots.mjs", str(out), *([f"--only={only}"] if only else [])], cwd=STAGE, check=True,
                       env={**os.environ, "HISTOD_URL": self.nodes[0]["url"], "HISTOD_TOKEN_FILE": self.token_file})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="those whose name has this: light, 390, dark-1280")
    parser.add_argument("--state", default="/run/histod-screenshots")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="histod-screenshots-") as scratch:
        scratch = pathlib.Path(scratch)
        fleet = Fleet(options.state, scratch)
        ended = threading.Event()
        worker = threading.Thread(target=fleet.work, args=(ended,))
        try:
            fleet.fill_datasets()
            fleet.stop_zookeeper()
            fleet.kill_node(2)
            fleet.come_with_wrong_tokens()
            fleet.histoctl(1, "events", "replay", ROOT / "deploy/rollout/recorded.jsonl", "--rollout", "recorded")
            worker.start()
            video = fleet.begin_video()
            try:
                fleet.shoot(scratch / "images", options.only)
            finally:
                video.terminate()
                video.wait()
        finally:
            ended.set()
            if worker.ident:
                worker.join()
            fleet.tool("down")
        for picture in sorted((scratch / "images").glob("*.png")):
            Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(ROOT / "docs/images" / picture.name, optimize=True)


if __name__ == "__main__":
    main()
