#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The view of live video in a real browser: against a stand-in for the node's streams (E2E_WWW: the built page), and against the
daemon, with packets of a sender that knows nothing of it, and by the commands that the page itself names (HISTOCTL)."""
import hashlib
import json
import os
import socket
import subprocess
import unittest

from harness import Daemon, main, need
from page_test import STAGE, stage
from rtp_video import Format, Model, Sender, frame

CONFIG = {"listen": "127.0.0.1:0", "sampling": "YCbCr-4:2:2", "depth": 8, "width": 64, "height": 48, "rule": "exact",
          "window": {"frames": 4}, "preview": {"per_second": 5}}


class StreamsPageTest(unittest.TestCase):
    def browse(self, name, **environment):
        done = subprocess.run(["node", "--test", f"page/{name}.test.mjs"], cwd=STAGE, check=False, timeout=500, env={**os.environ, **environment})
        self.assertEqual(done.returncode, 0)

    def setUp(self):
        need("node", "npm", "chromium")
        stage()

    def test_stand_in(self):
        self.browse("streams", HISTOD_WWW=os.environ["E2E_WWW"])

    def known_stream(self, daemon, name):
        """What the page is to say of a stream whose packets are over: as the naive model has it."""
        status, _, text = daemon.request("PUT", f"/v1/streams/{name}", json.dumps(CONFIG))
        self.assertEqual(status, 201, text)
        host, port = json.loads(text)["local"].rsplit(":", 1)
        form = Format(64, 48)
        sender, model = Sender(form), Model(form, "exact", 4)
        packets = [packet for number in range(6) for packet in sender.frame(frame(form, number))]
        del packets[11]
        packets[20], packets[21] = packets[21], packets[20]
        packets.insert(30, packets[29])
        packets.insert(40, b"\x80" * 5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            for packet in packets:
                sending.sendto(packet, (host, int(port)))
                model.receive(packet)
        model.flush()
        while json.loads(daemon.request("GET", f"/v1/streams/{name}")[2])["state"] != "silent":
            daemon.pause.wait(0.05)  # the daemon's own word: there is nothing else to wait for
        return {"name": name, "local": f"{host}:{port}", "lut": model.lut(), "digest": hashlib.sha256(bytes(model.lut())).hexdigest(),
                "ssrc": f"0x{sender.ssrc:08x}", "rows": {
                    **{f"Packets {each}": model.counts[each] for each in ("received", "reordered", "duplicated", "late", "malformed")},
                    "Malformed: header truncated": 1, "Frames whole": model.whole, "Frames partial": model.partial},
                "never_came": model.counts["lost"] + len(model.missing)}

    def test_daemon(self):
        with Daemon() as daemon:
            token_file = daemon.folder / "page-token"
            token_file.touch(mode=0o600)
            token_file.write_text(f"admin {daemon.tokens['admin']}\n")
            self.browse("streams_daemon", HISTOD_URL=f"http://127.0.0.1:{daemon.port}", HISTOD_TOKEN_FILE=str(token_file),
                        STREAM=json.dumps(self.known_stream(daemon, "known")))


if __name__ == "__main__":
    main()
