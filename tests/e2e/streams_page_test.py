#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The view of live video in a real browser against a stand-in for the node's streams. E2E_WWW: the built page."""
import os
import subprocess
import unittest

from harness import main, need
from page_test import STAGE, stage


class StreamsPageTest(unittest.TestCase):
    def test_stand_in(self):
        need("node", "npm", "chromium")
        stage()
        done = subprocess.run(["node", "--test", "page/streams.test.mjs"], cwd=STAGE, check=False, timeout=500,
                              env={**os.environ, "HISTOD_WWW": os.environ["E2E_WWW"]})
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
