# SPDX-License-Identifier: Apache-2.0
"""histobench runs, finds its peers' bytes equal to its own, and says clearly what is wrong with a wrong call."""
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import unittest


def run(*arguments):
    return subprocess.run([os.environ["HISTOBENCH"], *arguments], capture_output=True, text=True, check=False)


class HistobenchTest(unittest.TestCase):
    def measured(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "out.json"
            done = run("--json", str(path), *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout, json.loads(path.read_text())

    def test_every_comparison_runs_and_is_exact(self):
        shown, report = self.measured("--suite", "kernel", "--tiny")
        self.assertEqual({(row["target"], row["input"].split()[-1]) for row in report["rows"]},
                         {("P1", "8-bit"), ("P1", "16-bit"), ("P6", "8-bit"), ("P6", "16-bit")})
        for row in report["rows"]:
            self.assertTrue(row["checked"], row)
            self.assertIn(row["peer"], shown)
        self.assertEqual(len(set(report["inputs"].values())), len(report["inputs"]))
        for name in ("histod", "commit", "cpu", "OpenCV", "instructions"):
            self.assertIn(report["machine"][name], shown)

    def test_the_ratio_is_the_median_of_the_rounds(self):
        _, report = self.measured("--suite", "kernel", "--tiny", "--rounds", "4")
        for row in report["rows"]:
            self.assertEqual(len(row["ours"]), 4)
            ratios = [theirs / ours for ours, theirs in zip(row["ours"], row["theirs"])]
            self.assertAlmostEqual(row["ratio"], statistics.median(ratios), delta=1e-3 * row["ratio"])
            self.assertEqual(row["verdict"], "met" if row["ratio"] >= row["target_ratio"] else "missed")

    def test_without_a_photograph_it_says_so(self):
        shown, report = self.measured("--suite", "kernel", "--tiny", "--photo", "/nonexistent")
        self.assertIn("no photograph", shown)
        self.assertEqual(len(report["notes"]), 1)
        self.assertEqual({row["input"].split()[0] for row in report["rows"]}, {"noise"})

    def test_wrong_calls(self):
        for arguments, said in ((["--fast"], "unknown option --fast"), (["--rounds", "0"], '--rounds takes 1 to 1000, not "0"'),
                                (["--rounds"], "--rounds needs a value"), (["--suite", "kernel,speed"], 'there is no suite "speed"'),
                                (["--suite", ""], "--suite needs a name"), (["--histod", "/nonexistent"], "there is no such program"),
                                (["--suite", "kernel", "--tiny", "--json", "/nonexistent/x"], "cannot write")):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn(said, done.stderr)
        self.assertIn("--quick", run("--help").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
