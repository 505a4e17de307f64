# SPDX-License-Identifier: Apache-2.0
"""A daemon at the near end of a cable and real programs at its far one: what the tests of live video with senders share."""
import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import Daemon, failed
from video_cable import FAR, NEAR, NEAR_DEVICE, PATIENCE_S, Cable, fleet_network

PORT = 5004
DEVICE = f"net_af_packet0,iface={NEAR_DEVICE}"
# No sender waits, and a daemon that gets no CPU for a while must not lose what a test is about: all of it has room.
ROOM = ",blocksz=65536,framesz=2048,framecnt=16384"
BACKENDS = {"io_uring": {"backend": "io_uring"}, "dpdk": {"backend": "dpdk", "dpdk_port": DEVICE + ROOM}}


def skip(test, reason):
    print(f"skipped: {reason}", flush=True)
    test.skipTest(reason)


class StreamBench(unittest.TestCase):
    OPTIONS = ("--dpdk", "--no-dpdk-huge-pages")

    @classmethod
    def setUpClass(cls):
        cls.why_not = fleet_network.refusal() or ("" if shutil.which("gst-launch-1.0") else "gst-launch-1.0 is missing: install gstreamer1.0-tools")
        if cls.why_not:
            return
        folder = tempfile.TemporaryDirectory(prefix="histod-senders-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.cable = Cable()
        cls.addClassCleanup(cls.cable.close)
        cls.daemon = Daemon(*cls.OPTIONS)
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()
        cls.has_dpdk = cls.make_dpdk()

    def setUp(self):
        if self.why_not:
            skip(self, self.why_not)

    def tearDown(self):
        if not self.why_not and failed(self):
            print(self.daemon.log()[-4000:], flush=True)

    def ask(self, method, path, body=None, status=200):
        got, fields, text = self.daemon.request(method, path, None if body is None else json.dumps(body))
        self.assertEqual(got, status, text[:600])
        return json.loads(text) if text and "json" in fields.get("content-type", "") else text.decode()

    def until(self, name, condition):
        deadline = time.monotonic() + PATIENCE_S
        while not condition(state := self.ask("GET", f"/v1/streams/{name}")):
            if time.monotonic() > deadline:
                self.fail(f"never came about: {({name: value for name, value in state.items() if name not in ('histogram', 'lut', 'config')})}")
            self.daemon.pause.wait(0.02)  # the daemon's own word: there is nothing else to wait for
        return state

    def backends(self):
        """Those that this build has; it says which one it has not."""
        for name, members in BACKENDS.items():
            if name == "dpdk" and not self.has_dpdk:
                print("skipped: backend dpdk: this build has no DPDK: install libdpdk-dev and build again", flush=True)
            else:
                yield name, members

    @classmethod
    def make_dpdk(cls):
        body = {"listen": f"{NEAR}:{PORT}", "sampling": "YCbCr-4:2:2", "depth": 8, "width": 64, "height": 48, **BACKENDS["dpdk"]}
        status, _, text = cls.daemon.request("PUT", "/v1/streams/dpdk", json.dumps(body))
        if status == 409 and b"this build has no DPDK" in text:
            return False
        assert status == 201, text
        status, _, text = cls.daemon.request("DELETE", "/v1/streams/dpdk")
        assert status == 204, text
        return True

    @contextlib.contextmanager
    def stream(self, raw, **config):
        """The one stream, as long as this lasts."""
        body = {"listen": f"{NEAR}:{PORT}", "sampling": "YCbCr-4:2:2", "depth": raw.depth, "width": raw.width, "height": raw.height, **config}
        state = self.ask("PUT", "/v1/streams/cam", body, 201)
        try:
            yield state
        finally:
            self.ask("DELETE", "/v1/streams/cam", status=204)

    @contextlib.contextmanager
    def ends(self):
        """A target and a tap."""
        with contextlib.closing(self.cable.target()) as target, contextlib.closing(self.cable.tap()) as tap:
            yield target, tap

    def far(self, command):
        """A program at the far end, which the test ends if nothing else does."""
        process = subprocess.Popen([*self.cable.inside(), *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def ended(self, process):
        out, _ = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 0, out)


def gstreamer(raw, frames, rate, file, pattern="zone-plate kx2=20 ky2=20 kt=1", to=f"host={NEAR} port={PORT}", pay=""):
    """The pictures that it sends are also written as they are."""
    kind = {8: "UYVY", 10: "UYVP"}[raw.depth]
    return (f"gst-launch-1.0 -q videotestsrc num-buffers={frames} pattern={pattern} ! "
            f"video/x-raw,format={kind},width={raw.width},height={raw.height},framerate={rate}/1 ! tee name=t ! queue ! "
            f"rtpvrawpay mtu=1400 {pay} ! udpsink {to} t. ! queue ! filesink location={file}").split()


def ffmpeg(raw, frames, rate, file):
    each = ["-frames:v", frames, "-pix_fmt", "uyvy422", "-c:v", "rawvideo"]
    return ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-re", "-f", "lavfi", "-i", f"testsrc2=size={raw.width}x{raw.height}:rate={rate}",
            *each, "-f", "rtp", f"rtp://{NEAR}:{PORT}", *each, "-f", "rawvideo", file]


def far_address(port):
    return f"{FAR}:{port}"
