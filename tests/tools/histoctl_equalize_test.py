# SPDX-License-Identifier: Apache-2.0
import json
import os
import unittest

import stub_server
from harness import HistoctlTest, pgm

RECORD_KEYS = {"file", "ok", "output", "bytes", "media_type", "lut_digest", "server_version", "server_timing_ms", "tries",
               "elapsed_ms"}


class EqualizeTest(HistoctlTest):
    def test_one_file_to_a_named_file(self):
        data = self.image("in.pgm").read_bytes()
        done = self.run_ctl("equalize", "in.pgm", "-o", "out.pgm")
        self.assertEqual((self.work / "out.pgm").read_bytes(), stub_server.equalized(data)[0])
        self.assertEqual((done.stdout, done.stderr), (b"", b""))
        self.assertEqual(self.names(), ["in.pgm", "out.pgm"])
        sent = self.server.log[0]
        self.assertEqual((sent.method, sent.path, sent.query, sent.body), ("POST", "/v1/equalize", {}, data))
        self.assertEqual(sent.fields["Authorization"], "Bearer submit-token-2")

    def test_without_output_the_result_lies_beside_the_input(self):
        self.image("sub/photo.png", b"\x89PNG image")
        self.run_ctl("equalize", "sub/photo.png")
        self.assertEqual((self.work / "sub/photo_equalized.png").read_bytes(), b"EQ:\x89PNG image")

    def test_all_options_reach_the_server(self):
        self.image("a.pgm")
        self.run_ctl("--json", "equalize", "a.pgm", "-o", "b.jpg", "-m", "clahe", "--rule=exact", "-clab", "--clip", "3.5",
                     "--tiles", "16x4", "--nodata", "-9999.5", "--range", "4096", "--pages", "stack", "--format", "jpeg",
                     "--quality", "77")
        self.assertEqual(self.server.log[0].query,
                         {"method": "clahe", "rule": "exact", "color": "lab", "clip": "3.5", "tiles": "16x4",
                          "nodata": "-9999.5", "range": "4096", "pages": "stack", "format": "jpeg", "quality": "77"})

    def test_a_small_png_is_asked_for_by_name(self):
        self.image("a.pgm")
        self.run_ctl("equalize", "a.pgm", "-o", "b.png", "--format", "png", "--png", "small")
        self.assertEqual(self.server.log[0].query, {"format": "png", "png": "small"})

    def test_where_it_is_worked_on_is_passed_on(self):
        self.image("a.pgm")
        for where in ("auto", "local", "fleet"):
            self.run_ctl("equalize", "a.pgm", "-f", "-o", "b.pgm", "--placement", where)
            self.assertEqual(self.server.log[-1].query, {"placement": where})
        self.run_ctl("equalize", "a.pgm", "--placement", "moon", expect=2)
        self.assertEqual(len(self.server.log), 3)

    def test_many_files_in_parallel(self):
        inputs = [self.image(f"in{i}.pgm", pgm(seed=i)) for i in range(40)]
        self.run_ctl("equalize", *inputs, "-o", "out", "-j", "8")
        for path in inputs:
            self.assertEqual((self.work / "out" / path.name).read_bytes(), stub_server.equalized(path.read_bytes())[0])
        self.assertEqual(len(self.server.log), 40)

    def test_at_most_so_many_at_a_time(self):
        """Two are held by the server; with -j 2 a third must not come before one of them is let go."""
        inputs = [self.image(f"in{i}.pgm") for i in range(5)]
        self.server.plans.extend(["hold", "hold"])
        running = self.start("equalize", *inputs, "-o", "out/", "-j", "2")
        self.assertTrue(self.server.held.wait(60))
        while len(self.server.log) < 2:
            self.assertIsNone(running.poll())
        self.assertEqual(len(self.server.log), 2)
        self.server.release.set()
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0)
        self.assertEqual(len(self.names(self.work / "out")), 5)

    def test_format_gives_the_extension(self):
        self.image("a.pgm")
        self.image("b.png")
        self.run_ctl("equalize", "a.pgm", "b.png", "-o", "out/", "--format", "tiff")
        self.assertEqual(self.names(self.work / "out"), ["a.tif", "b.tif"])

    def test_standard_input_and_output(self):
        data = pgm(seed=5)
        done = self.run_ctl("equalize", "-", stdin=data)
        self.assertEqual(done.stdout, stub_server.equalized(data)[0])
        self.run_ctl("equalize", "-", "-o", "out.pgm", stdin=data)
        self.assertEqual((self.work / "out.pgm").read_bytes(), done.stdout)
        self.image("in.pgm", data)
        self.assertEqual(self.run_ctl("equalize", "in.pgm", "-o", "-").stdout, done.stdout)

    def test_mask_goes_as_a_form(self):
        data, mask = self.image("in.pgm").read_bytes(), self.image("mask.pgm", pgm(seed=9)).read_bytes()
        self.run_ctl("equalize", "in.pgm", "--mask", "mask.pgm", "-o", "out.pgm")
        sent = self.server.log[0]
        parts = stub_server.parse_form(sent.fields["Content-Type"], sent.body)
        self.assertEqual(parts["image"], ("in.pgm", data))
        self.assertEqual(parts["mask"][1], mask)
        self.run_ctl("equalize", "-", "--mask", "mask.pgm", "-o", "again.pgm", stdin=data)
        self.assertEqual((self.work / "again.pgm").read_bytes(), (self.work / "out.pgm").read_bytes())
        self.run_ctl("equalize", "in.pgm", "--mask", "nowhere.pgm", "-o", "x.pgm", expect=1)

    def test_large_body_is_streamed_whole(self):
        data = os.urandom(3 << 20)
        self.image("big.bin", data)
        self.run_ctl("equalize", "big.bin", "-o", "out.bin")
        self.assertEqual((self.work / "out.bin").read_bytes(), b"EQ:" + data)

    def test_empty_input_is_the_servers_to_refuse(self):
        self.image("empty.pgm", b"")
        self.server.plans.append({"status": 415, "code": "unknown-format", "detail": "the body is empty"})
        self.assert_one_line(self.run_ctl("equalize", "empty.pgm", "-o", "out", expect=1), "empty.pgm: the body is empty")
        self.assertEqual(self.server.violations, ["/v1/equalize: no body, or one beside a file"])
        self.server.violations.clear()


class OutputTest(HistoctlTest):
    def test_refuses_to_overwrite(self):
        self.image("in.pgm")
        self.image("out.pgm", b"precious")
        done = self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", expect=1)
        self.assert_one_line(done, "in.pgm: out.pgm exists already", "--overwrite")
        self.assertEqual((self.work / "out.pgm").read_bytes(), b"precious")
        self.assertEqual(self.server.log, [], "nothing is sent when the result could not be kept")
        self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", "--overwrite")
        self.assertTrue((self.work / "out.pgm").read_bytes().startswith(b"P5"))

    def test_a_file_that_appears_meanwhile_is_kept(self):
        self.image("in.pgm")
        self.server.plans.append("hold")
        running = self.start("equalize", "in.pgm", "-o", "out.pgm")
        self.assertTrue(self.server.held.wait(60))
        self.image("out.pgm", b"precious")
        self.server.release.set()
        _, errors = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 1, errors)
        self.assertEqual((self.work / "out.pgm").read_bytes(), b"precious")
        self.assertEqual(self.names(), ["in.pgm", "out.pgm"])

    def test_input_may_be_replaced_when_asked(self):
        data = self.image("in.pgm").read_bytes()
        self.run_ctl("equalize", "in.pgm", "-o", "in.pgm", "-f")
        self.assertEqual((self.work / "in.pgm").read_bytes(), stub_server.equalized(data)[0])

    def test_mode_follows_the_umask(self):
        self.image("in.pgm")
        self.run_ctl("equalize", "in.pgm", "-o", "out.pgm")
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual((self.work / "out.pgm").stat().st_mode & 0o777, 0o666 & ~mask)

    def test_failure_leaves_nothing_behind(self):
        self.image("in.pgm")
        for plan in ({"status": 422, "code": "broken-image", "detail": "the file ends early"}, "short"):
            self.server.plans.append(plan)
            self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", "--retries", "0", expect=1 if plan != "short" else 3)
            self.assertEqual(self.names(), ["in.pgm"])

    def test_folder_that_cannot_be_written(self):
        self.image("in.pgm")
        self.assert_one_line(self.run_ctl("equalize", "in.pgm", "-o", "no/such/out.pgm", expect=1), "in.pgm: cannot create")

    def test_results_of_one_name(self):
        self.image("a/in.pgm")
        self.image("b/in.pgm")
        self.assert_one_line(self.run_ctl("equalize", "a/in.pgm", "b/in.pgm", "-o", "out", expect=2), "out/in.pgm")
        self.assertEqual(self.server.log, [])

    def test_several_inputs_need_a_folder(self):
        self.image("a.pgm")
        self.image("b.pgm")
        self.image("out", b"a file")
        self.assert_one_line(self.run_ctl("equalize", "a.pgm", "b.pgm", "-o", "out", expect=2), "out: not a folder")
        self.run_ctl("equalize", "a.pgm", "b.pgm", "-o", "-", expect=2)
        self.run_ctl("equalize", "-", "-", expect=2)


class JsonTest(HistoctlTest):
    def test_record_of_a_success(self):
        data = self.image("in.pgm").read_bytes()
        [record] = self.json_lines("equalize", "in.pgm", "-o", "out.pgm")
        self.assertEqual(set(record), RECORD_KEYS)
        result, lut = stub_server.equalized(data)
        self.assertEqual(record["file"], "in.pgm")
        self.assertEqual(record["output"], "out.pgm")
        self.assertIs(record["ok"], True)
        self.assertEqual(record["bytes"], len(result))
        self.assertEqual(record["media_type"], "image/x-portable-graymap")
        self.assertEqual(record["lut_digest"], stub_server.digest_of(lut))
        self.assertEqual(record["server_version"], "9.9.9")
        self.assertEqual(record["server_timing_ms"], {"receive": 0.5, "decode": 1.25, "total": 3})
        self.assertEqual(record["tries"], 1)
        self.assertGreater(record["elapsed_ms"], 0)

    def test_numbers_and_text_are_plain_json(self):
        name = 'odd "name"\\ \u00fc\n.pgm'
        self.image(name)
        line = self.run_ctl("equalize", name, "-o", "out.pgm", "--json").stdout.decode()
        self.assertEqual(line.count("\n"), 1)
        self.assertEqual(json.loads(line)["file"], name)
        self.assertIn('"decode":1.25', line)
        self.assertNotRegex(line, r"\dE\d")

    def test_a_line_for_each_input(self):
        names = [self.image(f"in{i}.pgm").name for i in range(6)] + ["missing.pgm"]
        records = self.json_lines("equalize", *names, "-o", "out", expect=1)
        self.assertEqual(sorted(record["file"] for record in records), sorted(names))
        [failed] = [record for record in records if not record["ok"]]
        self.assertEqual(failed, {"file": "missing.pgm", "ok": False, "error": {"kind": "failed", "detail": "no such file"}})

    def test_problem_as_json(self):
        self.image("in.pgm")
        self.server.plans.append({"status": 413, "code": "limit-exceeded", "detail": "too many pixels",
                                  "more": {"value": 300000000, "limit": 200000000}})
        [record] = self.json_lines("equalize", "in.pgm", "-o", "out.pgm", expect=1)
        self.assertEqual(record["error"], {"kind": "failed", "detail": "too many pixels", "status": 413,
                                           "code": "limit-exceeded", "value": "300000000", "limit": "200000000"})

    def test_unsent_inputs_have_lines_too(self):
        names = [self.image(f"in{i}.pgm").name for i in range(9)]
        records = self.json_lines("equalize", *names, "-o", "out", "-j", "1", expect=4,
                                  env=self.environment(HISTOCTL_TOKEN="wrong"))
        self.assertEqual(sorted(record["file"] for record in records), names)
        self.assertFalse(any(record["ok"] for record in records))
        self.assertEqual(len(self.server.log), 0)

    def test_json_and_image_cannot_share_standard_output(self):
        self.run_ctl("equalize", "-", "--json", stdin=pgm(), expect=2)


if __name__ == "__main__":
    unittest.main()
