#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every view of the page in a real browser against a stand-in for the node, which says what happens. E2E_WWW: the built page."""
import os
import subprocess
import unittest

from harness import main, need
from page_test import STAGE, stage


class PanelsTest(unittest.TestCase):
    def test_panels(self):
        need("node", "npm", "chromium")
        stage()
        done = subprocess.run(["node", "--test", "page/panels.test.mjs"], cwd=STAGE, check=False, timeout=500,
                              env={**os.environ, "HISTOD_WWW": os.environ["E2E_WWW"]})
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
