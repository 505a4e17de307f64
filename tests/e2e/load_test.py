#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many clients at once: wrk, slow clients, and no leak of descriptors. Nothing here measures speed."""
import os
import re
import subprocess
import unittest

import images
import numpy as np
from harness import Daemon, main, need


class LoadTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--header-timeout", "3s", "--stall-timeout", "3s").start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def test_wrk_posts_images(self):
        need("wrk")
        gray = images.noisy(256, 256)
        body = self.daemon.folder / "in.pgm"
        body.write_bytes(images.encode(gray, "ppm"))
        script = self.daemon.folder / "post.lua"
        script.write_text(f'''
            local file = io.open("{body}", "rb")
            wrk.method, wrk.body = "POST", file:read("*a")
            wrk.headers["Authorization"] = "Bearer {self.daemon.tokens['submit']}"
            local threads = {{}}
            function setup(thread) table.insert(threads, thread) end
            function init() wrong = 0 end
            function response(status, headers, text) if status ~= 200 or #text ~= #wrk.body then wrong = wrong + 1 end end
            function done(summary)
              local sum = 0
              for _, thread in ipairs(threads) do sum = sum + thread:get("wrong") end
              print("requests " .. summary.requests .. " wrong " .. sum)
            end
        ''')
        done = subprocess.run(["wrk", "-t", "1", "-c", "32", "-d", "3", "-s", str(script), f"http://127.0.0.1:{self.daemon.port}/v1/equalize"],
                              capture_output=True, text=True, timeout=120, check=True)
        requests, wrong = map(int, re.search(r"requests (\d+) wrong (\d+)", done.stdout).groups())
        print(f"  wrk: {requests} requests of 64 KiB in 3 s", flush=True)
        self.assertGreater(requests, 100)
        self.assertEqual(wrong, 0, done.stdout)
        self.assertNotIn("Socket errors", done.stdout)

    def test_slow_clients_do_not_stop_others(self):
        need("slowhttptest")
        before = self.descriptors()
        gray = images.noisy(640, 480)
        for attack in ("-H", "-B"):
            slow = subprocess.Popen(["slowhttptest", "-c", "300", attack, "-i", "1", "-r", "300", "-t", "POST", "-l", "8", "-u",
                                     f"http://127.0.0.1:{self.daemon.port}/v1/equalize"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            served = 0
            while slow.poll() is None:
                status, _, body = self.daemon.request("POST", "/v1/equalize", images.encode(gray))
                self.assertEqual(status, 200)
                served += 1
            np.testing.assert_array_equal(images.decode(body), images.equalized(gray))
            self.assertGreater(served, 3)
        self.assertGreater(self.daemon.metric("histod_http_timeouts_total"), 0)
        while self.descriptors() > before + 2:  # the last ones are being closed
            pass


if __name__ == "__main__":
    main()
