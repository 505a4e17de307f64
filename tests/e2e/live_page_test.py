#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser on a real fleet: three nodes, three ZooKeeper servers, and what happens to them. HISTOCTL names that program."""
import json
import os
import subprocess
import sys

from fleet_test import ROOT, TOOL, FleetTest
from harness import main, need
from page_test import STAGE, stage


class LivePageTest(FleetTest):
    def test_page_of_a_fleet(self):
        need("node", "npm", "chromium", "curl")
        stage()
        self.up("6s", "-n", "3")
        self.agree(sorted(self.nodes), self.nodes)
        done = subprocess.run(["node", "--test", "page/live.test.mjs"], cwd=STAGE, check=False, timeout=500, env={
            **os.environ, "LIVE_FLEET": json.dumps(self.fleet), "LIVE_ROOT": str(ROOT), "LIVE_START": f"{sys.executable} {TOOL} start --state {self.state}"})
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
