# SPDX-License-Identifier: Apache-2.0
"""histobench runs, finds its peers' bytes equal to its own, and says clearly what is wrong with a wrong call."""
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree


FAKE = os.environ["FAKE_HISTOD"]


def run(*arguments, **variables):
    return subprocess.run([os.environ["HISTOBENCH"], *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, **variables})


class HistobenchTest(unittest.TestCase):
    def measured(self, *arguments, code=0, **variables):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "out.json"
            done = run("--json", str(path), *arguments, TMPDIR=folder, **variables)
            self.assertEqual(done.returncode, code, done.stderr + done.stdout)
            self.assertEqual(sorted(each.name for each in pathlib.Path(folder).iterdir()), ["out.json"], "left behind")
            return done.stdout, json.loads(path.read_text())

    def checked_rows(self, shown, report):
        """Each row was measured and believed, or its peer is not there, and which package has it is told."""
        for row in report["rows"]:
            self.assertTrue(row["checked"], row)
            self.assertIn(row["verdict"], ("met", "missed", "no target", "peer not found"))
            if row["verdict"] == "peer not found":
                self.assertIn(row["reason"], shown)
                self.assertNotIn("ratio", row)
                continue
            self.assertTrue(all(value > 0 for value in row["ours"] + row["theirs"]), row)
            if row["peer"]:
                self.assertEqual(len(row["ours"]), len(row["theirs"]))
                ratios = sorted(ours / theirs for ours, theirs in zip(row["ours"], row["theirs"]))
                if row["ratio"] < 0.99 * ratios[0] or row["ratio"] > 1.01 * ratios[-1]:
                    self.assertTrue(0.99 / ratios[-1] <= row["ratio"] <= 1.01 / ratios[0], row)
        return report["rows"]

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

    def test_packed_video_beside_opencv_and_the_definition(self):
        rows = self.checked_rows(*self.measured("--suite", "packed", "--tiny"))
        self.assertEqual({(row["work"], row["peer"]) for row in rows},
                         {("count, UYVY 8-bit", "cv::calcHist"), ("apply, UYVY 8-bit", "cv::LUT"),
                          ("count, UYVY 10-bit", "by pgroup, scalar"), ("apply, UYVY 10-bit", "by pgroup, scalar")})

    def test_live_video_beside_gstreamer(self):
        shown, report = self.measured("--suite", "video", "--tiny")
        rows = report["rows"]
        by_work = {row["work"]: row for row in rows}
        for row in rows:
            self.assertTrue(row["checked"], row)
            self.assertIn(row["verdict"], ("met", "missed", "no target", "peer not found"))
            if row["verdict"] == "peer not found":
                self.assertIn(row["reason"], shown)
                print("skipped:", row["work"], row["peer"], row["reason"])
        for name in ("io_uring", "io_uring, GRO", "DPDK af_packet"):
            if f"packets/s, {name}" not in by_work:
                self.assertEqual(name, "DPDK af_packet")
                continue
            self.assertEqual(by_work[f"lost at 80 %, {name}"]["theirs"], [1])
            own = [by_work[f"by its own clock, {part}, {name}"]["ours"][0] for part in ("p50", "p99", "p999")]
            self.assertEqual(own, sorted(own))
            self.assertGreater(own[0], 0)
        self.assertEqual({row["target_ratio"] for row in rows if row["work"].startswith("frames/s")}, {5})
        self.assertEqual({row["peer"] for row in rows if row["work"].startswith("delay p")}, {"GStreamer, sent on"})

    def test_codecs_beside_opencv(self):
        rows = self.checked_rows(*self.measured("--suite", "codec", "--tiny"))
        self.assertEqual({(row["work"], row["input"].split()[0]) for row in rows},
                         {(work, name) for work in ("decode", "encode") for name in ("png", "jpeg", "tiff")})

    def test_whole_requests_beside_their_peers(self):
        shown, report = self.measured("--suite", "http", "--tiny")
        rows = self.checked_rows(shown, report)
        peers = {row["peer"] for row in rows}
        self.assertEqual(peers, {"histod's own echo", "Flask + OpenCV", "OpenCV, in process", "vips hist_equal",
                                 "gm convert -equalize", "convert -equalize"})
        self.assertEqual({row["target"] for row in rows}, {"", "P3", "P4", "P5"}, "P2 is asked of 12 megapixels")
        self.assertTrue(any(row["target_is"] == "at least" for row in rows if "target_is" in row))
        self.assertIn(report["machine"]["back-end"], ("io_uring", "epoll"))
        self.assertEqual(report["machine"]["vips"].count("."), 2)

    def test_small_requests_beside_nginx(self):
        shown, report = self.measured("--suite", "small", "--tiny")
        rows = self.checked_rows(shown, report)
        self.assertEqual({row["target"] for row in rows}, {"", "P7", "P13"})
        self.assertEqual({row["unit"] for row in rows if row["work"] == "POST equalize, 32 connections"}, {"1/s"})
        tail = [next(row for row in report["rows"] if row["work"].startswith(f"p{part} at ")) for part in ("50", "99", "99.9")]
        for lower, higher in zip(tail, tail[1:]):
            self.assertLessEqual(lower["ours"][0], higher["ours"][0], "percentiles of one run rise")
        fairness = next(row for row in report["rows"] if row["target"] == "P13")
        self.assertEqual((fairness["target_ratio"], fairness["target_is"]), (3, "at most"))

    def test_memory_of_the_daemon(self):
        _, report = self.measured("--suite", "memory", "--tiny", "--rounds", "2")
        by_unit = {row["work"]: row for row in report["rows"]}
        self.assertTrue(all(row["checked"] and row["target"] == "P8" for row in report["rows"]), report)
        idle = by_unit["resident when idle, without the pool"]
        self.assertEqual(idle["theirs"], [40, 40])
        for mib in idle["ours"]:
            self.assertTrue(1 < mib < 2000, mib)
        self.assertGreater(min(by_unit["start to ready"]["ours"]), 1)

    def test_scaling_from_one_thread_to_two(self):
        shown, report = self.measured("--suite", "scaling", "--tiny")
        rows = self.checked_rows(shown, report)
        if os.cpu_count() == 1:
            self.assertIn("one CPU", shown)
            return
        self.assertEqual([row["target_ratio"] for row in rows if row["target"] == "P9"], [1.8, 1.3])

    def test_what_a_node_can_do(self):
        shown, report = self.measured("--suite", "node", "--tiny")
        rows = self.checked_rows(shown, report)
        self.assertEqual({row["peer"] for row in rows}, {"", "plain loopback echo", "its codecs alone"})
        limits = [row for row in rows if not row["peer"]]
        self.assertEqual({row["unit"] for row in limits}, {"GB/s"})
        self.assertTrue(all("ratio" not in row and row["verdict"] == "no target" for row in limits))

    def test_soak_finds_nothing_that_fails_or_grows_without_end(self):
        shown, report = self.measured("--suite", "soak", "--tiny")
        by_work = {row["work"]: row for row in report["rows"]}
        self.assertTrue(all(row["checked"] for row in report["rows"]), report)
        self.assertGreater(by_work["answers"]["ours"][0], 1)
        self.assertLessEqual(by_work["p50, bodies up to 256 KiB"]["ours"][0], by_work["p99, bodies up to 256 KiB"]["ours"][0])
        self.assertEqual(by_work["descriptors when all are gone"]["verdict"], "met", report)
        self.assertIn("kinds of requests", report["machine"]["soak"])
        self.assertIn("soak", run("--help").stdout)

    def test_readers_of_the_feed(self):
        shown, report = self.measured("--suite", "feed", "--tiny")
        self.assertTrue(all(row["checked"] and row["verdict"] == "no target" for row in report["rows"]), report)
        by_work = {}
        for row in report["rows"]:
            by_work.setdefault(row["work"], []).append(round(row["ours"][0], 3))
        self.assertEqual(by_work["connected, with their hello"], [50, 10])
        self.assertEqual(by_work["readers dropped as too slow"], [3])
        self.assertGreater(by_work["events delivered, each once, in order"][0], by_work["events posted"][0])
        for values in zip(*(by_work[f"posted to delivered, {part}"] for part in ("p50", "p99", "max"))):
            self.assertEqual(list(values), sorted(values))
            self.assertGreater(values[0], 0)
        self.assertEqual({row["unit"] for row in report["rows"]}, {"", "MiB", "KiB", "s", "%", "1/s", "ms"})
        self.assertIn("50 idle readers, 10 busy", shown)

    def test_readers_for_whom_there_are_no_files(self):
        done = subprocess.run(["bash", "-c", 'ulimit -n 300; exec "$0" --suite feed --tiny', os.environ["HISTOBENCH"]],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "suite feed: [0-9]+ files must be open at once, .* the hard limit is 300")

    def test_chart_is_a_picture_of_the_ratios(self):
        with tempfile.TemporaryDirectory() as folder:
            path, table = pathlib.Path(folder) / "c.svg", pathlib.Path(folder) / "c.json"
            done = run("--suite", "kernel,scaling", "--tiny", "--chart", str(path), "--json", str(table))
            self.assertEqual(done.returncode, 0, done.stderr)
            root = xml.etree.ElementTree.parse(path).getroot()
            report = json.loads(table.read_text())
        svg = "{http://www.w3.org/2000/svg}"
        self.assertEqual(root.tag, f"{svg}svg")
        self.assertEqual(len(root.findall(f"{svg}rect")) - 1, sum("ratio" in row for row in report["rows"]))
        words = " ".join(text.text for text in root.findall(f"{svg}text"))
        self.assertIn(report["machine"]["commit"], words)
        for row in report["rows"]:
            self.assertIn(f"{row['work']}, {row['input']} / {row['peer']}", words)

    def test_suites_run_in_their_order_and_once(self):
        shown, report = self.measured("--suite", "scaling,kernel", "--suite", "kernel", "--tiny")
        scaling = [row["target"] == "P9" for row in report["rows"] if row["target"]]
        self.assertEqual(scaling, sorted(scaling), "kernel comes first, whatever the order of the names")
        self.assertEqual(len({(row["work"], row["input"], row["peer"]) for row in report["rows"]}), len(report["rows"]))
        self.assertEqual(shown.count("instructions"), 1)

    def test_peers_that_are_not_there_are_told(self):
        shown, report = self.measured("--suite", "http", "--tiny", PATH="/nonexistent")
        self.checked_rows(shown, report)
        for package in ("libvips-tools", "graphicsmagick", "imagemagick"):
            self.assertIn(f"peer not found: install {package}", shown)

    def test_a_daemon_with_wrong_outputs_is_not_believed(self):
        shown, report = self.measured("--suite", "http", "--tiny", "--histod", FAKE, FAKE="wrong", code=1)
        there = [row for row in report["rows"] if row["target"] and row["verdict"] != "peer not found"]
        self.assertEqual({row["verdict"] for row in there}, {"wrong output"})
        for row in report["rows"]:
            self.assertNotIn("ratio", row)
            self.assertEqual(row["ours"], [], "what is wrong is not even timed")
        self.assertIn("a sample differs from the oracle's by", shown)

    def test_a_daemon_that_refuses_or_does_not_start(self):
        shown, _ = self.measured("--suite", "http", "--tiny", "--histod", FAKE, FAKE="refuses", code=1)
        self.assertIn("answers 415: no images today", shown)
        done = run("--suite", "http", "--tiny", "--histod", FAKE, FAKE="dies")
        self.assertEqual(done.returncode, 1)
        self.assertIn("suite http: the daemon did not become ready", done.stderr)
        self.assertIn("no memory for anything", done.stderr)

    def test_wrong_calls(self):
        for arguments, said in ((["--fast"], "unknown option --fast"), (["--rounds", "0"], '--rounds takes 1 to 1000, not "0"'),
                                (["--rounds"], "--rounds needs a value"), (["--suite", "kernel,speed"], 'there is no suite "speed"'),
                                (["--suite", ""], "--suite needs a name"), (["--histod", "/nonexistent"], "there is no such program"),
                                (["--suite", "kernel", "--tiny", "--json", "/nonexistent/x"], "cannot write"),
                                (["--suite", "kernel", "--tiny", "--chart", "/nonexistent/x"], "cannot write")):
            done = run(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn(said, done.stderr)
        self.assertIn("--quick", run("--help").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
