#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/fleet_measure does its work and leaves nothing behind; what it measures is not looked at here."""
import json
import pathlib
import subprocess
import tempfile

import fleet_test
from harness import PROGRAM, main


class FleetMeasureTest(fleet_test.FleetTest):
    def test_all_ways_are_measured(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([fleet_test.ROOT / "tools" / "fleet_measure", "--images", "4", "--nodes", "2", "--format", "pgm",
                                   "--folder", folder, "--bin", pathlib.Path(PROGRAM).parent],
                                  capture_output=True, text=True, timeout=500, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            *rounds, summary = map(json.loads, done.stdout.splitlines())
            self.assertEqual({one["way"] for one in rounds}, {"fleet", "one", "vips"})
            self.assertEqual((summary["images"], summary["nodes"]), (4, 2))
            self.assertGreater(min(one["seconds"] for one in rounds), 0)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


if __name__ == "__main__":
    main()
