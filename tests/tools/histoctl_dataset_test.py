# SPDX-License-Identifier: Apache-2.0
"""histoctl dataset: many images, one table."""
import hashlib
import json
import pathlib
import signal
import unittest

import stub_datasets
import stub_server
from harness import HistoctlTest, pgm


class DatasetTest(HistoctlTest):
    server_class = stub_datasets.DatasetServer

    def setUp(self):
        super().setUp()
        self.id = self.server.add_dataset({"name": "survey"})

    def dataset(self, *words, **how):
        return self.run_ctl("dataset", *words, **how)

    def images(self, count, folder="photos", seed=0):
        return [self.image(f"{folder}/in{i:03}.pgm", pgm(seed=seed + i)) for i in range(count)]

    def jobs(self, dataset_id=None):
        """The records of a dataset's images, the oldest first."""
        return [job["record"] for job in self.server.jobs_of(self.server.datasets[dataset_id or self.id])]

    def posts(self):
        return [exchange for exchange in self.server.log if exchange.path.endswith("/images") and exchange.method == "POST"]

    def finished(self, count=3, **how):
        """A dataset of so many images that are done; gives the inputs."""
        inputs = self.images(count, **how)
        self.dataset("add", self.id, *inputs, "-j", "1")
        self.dataset("finalize", self.id, "--wait")
        self.dataset("apply", self.id, "--wait")
        return inputs

    def expected(self, inputs):
        """The results by one table over all inputs, made here."""
        parsed = [stub_server.parse_pgm(path.read_bytes()) for path in inputs]
        _, lut = stub_server.exact_lut(b"".join(samples for _, _, samples in parsed))
        return [b"P5\n%d %d\n255\n" % (w, h) + bytes(lut[s] for s in samples) for w, h, samples in parsed], lut


class CreateTest(DatasetTest):
    def test_prints_the_id(self):
        text = self.dataset("create").stdout.decode()
        self.assertEqual(text, list(self.server.datasets)[-1] + "\n")
        self.assertEqual(self.server.log[-1].query, {})

    def test_options_reach_the_server(self):
        self.dataset("create", "--name", "Über & unter", "--rule", "exact", "--color", "lab", "--range", "4096", "--nodata",
                     "-9999", "--format", "jpeg", "--quality", "77")
        self.assertEqual(self.server.log[-1].query, {"name": "Über & unter", "rule": "exact", "color": "lab", "range": "4096",
                                                     "nodata": "-9999", "format": "jpeg", "quality": "77"})

    def test_webhook(self):
        self.json_lines("dataset", "create", "--webhook", "http://ci.example:8080/done?job=7&x=%20")
        self.assertEqual(self.server.log[-1].query["webhook"], "http://ci.example:8080/done?job=7&x=%20")

    def test_match(self):
        [dataset] = self.json_lines("dataset", "create", "--match", self.id)
        self.assertEqual(dataset["options"], {"method": "match", "reference": self.id})

    def test_a_lost_answer_makes_no_second_dataset(self):
        self.server.plans.append("drop")
        self.assert_one_line(self.dataset("create", expect=3), "cannot reach")
        self.assertEqual(len(self.server.log), 1)

    def test_busy_is_tried_again(self):
        self.server.plans.append({"status": 503})
        self.dataset("create")
        self.assertEqual(len(self.server.datasets), 2)


class LookTest(DatasetTest):
    def test_list(self):
        self.images(3)
        self.dataset("add", self.id, "photos")
        other = self.dataset("create", "--name", "other").stdout.decode().strip()
        lines = self.dataset("list").stdout.decode().splitlines()
        self.assertEqual(lines[0].split(), ["id", "created", "images", "done", "failed", "table", "name"])
        self.assertEqual([line.split() for line in lines[1:]],
                         [[other, "2026-01-02T03:04:05.678Z", "0", "0", "0", "-", "other"],
                          [self.id, "2026-01-02T03:04:05.678Z", "3", "0", "0", "-", "survey"]])
        [answer] = self.json_lines("dataset", "list", "--limit", "1")
        self.assertEqual([each["id"] for each in answer["datasets"]], [other])

    def test_show(self):
        text = self.dataset("show", self.id).stdout.decode()
        self.assertIn(f"id: {self.id}\nname: survey\n", text)
        self.assertIn("images:\n  total: 0\n", text)
        self.assert_one_line(self.dataset("show", "0" * 26, expect=1), "0" * 26 + ": there is no such dataset")

    def test_watch_waits_until_nothing_is_under_way(self):
        self.images(7)
        self.dataset("add", self.id, "photos")
        [dataset] = self.json_lines("dataset", "show", self.id, "--watch")
        self.assertEqual((dataset["progress"]["phase"], dataset["images"]["counted"]), ("idle", 7))

    def test_ids_are_encoded(self):
        self.dataset("show", "../../readyz?x", expect=1)
        self.assertRegex(self.server.log[-1].path, r"^/v1/datasets/[^/]+$")


class AddTest(DatasetTest):
    def test_files_and_folders(self):
        inputs = self.images(5)
        single = self.image("alone.dat", pgm(seed=77))
        self.image("photos/notes.txt", b"no image")
        self.image("photos/.hidden.pgm", pgm(seed=78))
        self.image("photos/deeper/in.PGM", pgm(seed=79))
        self.dataset("add", self.id, "photos", "alone.dat")
        digests = [record["input"]["sha256"] for record in self.jobs()]
        self.assertEqual(sorted(digests), sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in [*inputs, single]))
        self.assertEqual({record["input"]["filename"] for record in self.jobs()}, {path.name for path in [*inputs, single]})
        self.assertEqual(len({exchange.fields["Idempotency-Key"] for exchange in self.posts()}), 6)
        self.dataset("add", "-r", self.id, "photos")
        self.assertEqual(self.jobs()[-1]["input"]["filename"], "in.PGM")
        self.assertEqual(len(self.jobs()), 7)

    def test_what_is_there_is_not_sent_again(self):
        self.images(8)
        self.server.page_max = 3
        self.dataset("add", self.id, "photos")
        self.images(3, folder="more", seed=40)
        self.server.log.clear()
        records = self.json_lines("dataset", "add", self.id, "photos", "more")
        self.assertEqual([record["skipped"] for record in records].count(True), 8)
        self.assertEqual(len(self.posts()), 3)
        self.assertEqual(len(self.jobs()), 11)
        pages = [exchange.query for exchange in self.server.log if exchange.method == "GET"]
        ids = [record["id"] for record in self.jobs()]
        self.assertEqual(pages, [{"limit": "1000"}, {"limit": "1000", "after": ids[2]}, {"limit": "1000", "after": ids[5]}])

    def test_by_reference(self):
        self.server.files = {f"scans/{i} &+.pgm": pgm(seed=i) for i in range(5)}
        names = list(self.server.files)
        self.dataset("add", self.id, "--by-reference", *names[:3], "--result", "beside", "-j", "1")
        self.assertEqual([exchange.query for exchange in self.posts()], [{"file": name, "result": "beside"} for name in names[:3]])
        self.assertEqual({exchange.body for exchange in self.posts()}, {b""})
        self.assertEqual([job["input"]["file"] for job in self.jobs()], names[:3])
        records = self.json_lines("dataset", "add", self.id, "--by-reference", *names, names[4], "--result", "out/", "--overwrite", "-j", "1")
        self.assertEqual([record["skipped"] for record in records].count(True), 4)
        self.assertEqual(self.posts()[-1].query["overwrite"], "true")
        self.assertEqual([job["input"]["file"] for job in self.jobs()], names)
        self.dataset("finalize", self.id, "--wait")
        self.dataset("apply", self.id, "--wait")
        self.assertEqual({job["state"] for job in self.jobs()}, {"done"})

    def test_by_reference_what_is_wrong(self):
        self.image("a.pgm")
        done = self.dataset("add", self.id, "--by-reference", "scans/nothing.pgm", expect=1)
        self.assert_one_line(done, "scans/nothing.pgm", "no such file")
        self.assert_one_line(self.dataset("add", self.id, "a.pgm", "--result", "beside", expect=2), "only with --by-reference")
        self.assert_one_line(self.dataset("add", self.id, "-r", "scans/a", "--by-reference", expect=2), "--recursive")
        self.assert_one_line(self.dataset("finalize", self.id, "--by-reference", expect=2), "not an option of dataset finalize")

    def test_nothing_is_sent_while_a_node_is_away(self):
        self.image("a.pgm")
        self.server.unreachable = ["n2"]
        done = self.run_ctl("dataset", "add", self.id, "a.pgm", expect=1)
        self.assert_one_line(done, "not whole: no answer from n2")
        self.assertEqual(self.server.jobs, {}, "it may be there already")
        self.server.unreachable = []
        self.run_ctl("dataset", "add", self.id, "a.pgm")

    def test_the_same_image_twice_is_sent_once(self):
        self.image("a.pgm", pgm(seed=1))
        self.image("b.pgm", pgm(seed=1))
        records = self.json_lines("dataset", "add", self.id, "a.pgm", "b.pgm", "a.pgm")
        self.assertEqual([record["skipped"] for record in records].count(False), 1)
        self.assertEqual(len(self.jobs()), 1)

    def test_interrupted_and_begun_again(self):
        inputs = self.images(10)
        self.server.plans.extend([None] * 5 + ["hold"] * 4)  # one is the list
        running = self.start("dataset", "add", self.id, "photos", "-j", "1")
        self.assertTrue(self.server.held.wait(60))
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
        self.assertEqual((running.returncode, errors), (130, b""))
        self.server.plans.clear()
        self.server.release.set()
        self.dataset("add", self.id, "photos")
        digests = {record["input"]["sha256"] for record in self.jobs()}
        self.assertEqual(digests, {hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs})

    def test_lost_202_does_not_double_the_image(self):
        self.images(1)
        self.server.plans.extend([None, "drop"])
        self.dataset("add", self.id, "photos")
        posts = self.posts()
        self.assertEqual(len(posts), 2)
        self.assertEqual(posts[0].fields["Idempotency-Key"], posts[1].fields["Idempotency-Key"])
        self.assertEqual(len(self.jobs()), 1)

    def test_failures_have_a_line_each(self):
        self.images(4)
        self.server.plans.extend([None, {"status": 413, "code": "too-large", "detail": "the body is too large",
                                         "more": {"value": 20, "limit": 10}}])
        done = self.dataset("add", self.id, "photos", "missing.pgm", "-j", "1", expect=1)
        lines = sorted(done.stderr.decode().splitlines())
        self.assertEqual(lines, ["histoctl: missing.pgm: no such file",
                                 "histoctl: photos/in000.pgm: the body is too large (value 20, limit 10)"])
        self.assertEqual(len(self.jobs()), 3)

    def test_nothing_is_sent_to_where_nothing_is(self):
        self.images(1)
        self.assert_one_line(self.dataset("add", "0" * 26, "photos", expect=1), "there is no such dataset")
        self.assertEqual(self.posts(), [])
        self.dataset("add", self.id, "photos", expect=4, env=self.environment(HISTOCTL_TOKEN="wrong"))

    def test_refused_role_ends_it(self):
        self.images(9)
        done = self.dataset("add", self.id, "photos", "-j", "1", expect=4,
                            env=self.environment(HISTOCTL_TOKEN="read-token-1"))
        self.assertIn(b"histoctl: 8 more not sent\n", done.stderr)


class FinalizeTest(DatasetTest):
    def test_without_waiting(self):
        self.images(5)
        self.dataset("add", self.id, "photos")
        self.assert_one_line(self.dataset("finalize", self.id, expect=1),
                             f"{self.id}: 5 images are not counted yet (--wait waits for them)")

    def test_waits_until_all_is_counted(self):
        inputs = self.images(7)
        self.dataset("add", self.id, "photos")
        digest = self.dataset("finalize", self.id, "--wait").stdout.decode().strip()
        self.assertEqual(digest, stub_server.digest_of(self.expected(inputs)[1]))
        self.assertEqual({record["state"] for record in self.jobs()}, {"counted"})

    def test_an_image_that_comes_meanwhile_is_waited_for(self):
        self.images(2)
        self.dataset("add", self.id, "photos")
        self.server.plans.extend([None, None, {"status": 409, "code": "not-finished", "detail": "x", "more": {"value": 1}}])
        [dataset] = self.json_lines("dataset", "finalize", self.id, "--wait")
        self.assertEqual(dataset["lut"]["origin"], "counted")

    def test_empty(self):
        for words in ([], ["--wait"]):
            self.assert_one_line(self.dataset("finalize", self.id, *words, expect=1), f"{self.id}: there are no images")

    def test_broken_images_are_named(self):
        self.images(3)
        self.image("photos/zz.pgm", b"broken")
        self.dataset("add", self.id, "photos")
        done = self.dataset("finalize", self.id, "--wait", expect=1)
        broken = next(record for record in self.jobs() if record["state"] == "failed")
        self.assert_one_line(done, f"zz.pgm ({broken['id']}): the file ends early")
        self.assertTrue(done.stdout.startswith(b"sha-256="))

    def test_interrupt_while_waiting(self):
        self.images(1)
        self.dataset("add", self.id, "photos")
        self.server.pace = 0
        running = self.start("dataset", "finalize", self.id, "--wait")
        while not any(exchange.path == f"/v1/datasets/{self.id}" for exchange in self.server.log):
            self.assertIsNone(running.poll())
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
        self.assertEqual((running.returncode, errors), (130, b""))


class ApplyTest(DatasetTest):
    def test_needs_a_table(self):
        self.assert_one_line(self.dataset("apply", self.id, expect=1), f"{self.id}: the dataset has no table yet")

    def test_wait(self):
        self.finished(7)
        self.assertEqual({record["state"] for record in self.jobs()}, {"done"})

    def test_without_waiting(self):
        self.images(3)
        self.dataset("add", self.id, "photos")
        self.dataset("finalize", self.id, "--wait")
        [dataset] = self.json_lines("dataset", "apply", self.id)
        self.assertEqual((dataset["progress"]["phase"], dataset["images"]["queued"]), ("applying", 3))


class GetTest(DatasetTest):
    def test_results(self):
        inputs = self.finished(7)
        self.server.page_max = 2
        self.dataset("get", self.id, "-o", "out/here")
        results, _ = self.expected(inputs)
        self.assertEqual(self.names(self.work / "out/here"), [path.name for path in inputs])
        for path, result in zip(inputs, results):
            self.assertEqual((self.work / "out/here" / path.name).read_bytes(), result)

    def test_nothing_is_done_yet(self):
        self.images(1)
        self.dataset("add", self.id, "photos")
        self.assert_one_line(self.dataset("get", self.id, "-o", "out", expect=1), "no result is there yet")
        self.assertFalse((self.work / "out").exists())

    def test_only_what_is_done(self):
        self.finished(3)
        self.jobs()[1]["state"] = "running"
        self.server.pace = 0
        self.dataset("get", self.id, "-o", "out")
        self.assertEqual(self.names(self.work / "out"), ["in000.pgm", "in002.pgm"])

    def test_other_files_are_kept(self):
        inputs = self.finished(3)
        self.image("out/in001.pgm", b"precious")
        done = self.dataset("get", self.id, "-o", "out", expect=1)
        self.assert_one_line(done, self.jobs()[1]["id"], "out/in001.pgm exists already (--overwrite replaces it, --resume")
        self.assertEqual((self.work / "out/in001.pgm").read_bytes(), b"precious")
        self.assertEqual(len(self.names(self.work / "out")), 3)
        self.dataset("get", self.id, "-o", "out", "--overwrite")
        self.assertEqual((self.work / "out/in001.pgm").read_bytes(), self.expected(inputs)[0][1])

    def test_resume(self):
        inputs = self.finished(5)
        self.dataset("get", self.id, "-o", "out")
        (self.work / "out/in003.pgm").unlink()
        self.image("out/in004.pgm", b"of another size")
        self.server.log.clear()
        records = self.json_lines("dataset", "get", self.id, "-o", "out", "--resume", expect=1)
        self.assertEqual([record.get("skipped") for record in sorted(records, key=lambda record: record["output"])],
                         [True, True, True, False, None])
        self.assertEqual(len([exchange for exchange in self.server.log if exchange.path.endswith("/result")]), 1)
        self.dataset("get", self.id, "-o", "out", "--resume", "--overwrite")
        for path, result in zip(inputs, self.expected(inputs)[0]):
            self.assertEqual((self.work / "out" / path.name).read_bytes(), result)

    def test_originals_of_one_name_all_have_their_job_in_it(self):
        self.finished(2, folder="a")
        self.images(1, folder="b", seed=50)
        self.server.pace = 0
        self.dataset("add", self.id, "b")  # not done, but is going to want that name too
        self.dataset("get", self.id, "-o", "out")
        self.assertEqual(self.names(self.work / "out"), [f"in000_{self.jobs()[0]['id']}.pgm", "in001.pgm"])

    def test_names_cannot_leave_the_folder(self):
        """Whatever a server says that the originals were called."""
        hostile = ["../../escape.pgm", "/etc/absolute.pgm", "..", ".", "", ".bashrc", "a/b/c.pgm", "line\nbreak.pgm", "x.png"]
        self.finished(len(hostile))
        for record, name in zip(self.jobs(), hostile):
            record["input"]["filename"] = name
        self.dataset("get", self.id, "-o", "out/deep")
        ids = [record["id"] for record in self.jobs()]
        self.assertEqual(self.names(self.work / "out/deep"), sorted(
            ["escape.pgm", "absolute.pgm", f"{ids[2]}.pgm", f"{ids[3]}.pgm", f"{ids[4]}.pgm", "_bashrc.pgm", "c.pgm",
             "line_break.pgm", "x.pgm"]))
        self.assertEqual(self.names(self.work / "out"), ["deep"])
        self.assertEqual(self.names(), ["out", "photos"])

    def test_format_gives_the_name_that_is_shared(self):
        self.id = self.server.add_dataset({"format": "pgm"})
        self.finished(2)
        for record, name in zip(self.jobs(), ["scan.tif", "scan.png"]):
            record["input"]["filename"] = name
        self.dataset("get", self.id, "-o", "out")
        self.assertEqual(self.names(self.work / "out"), sorted(f"scan_{record['id']}.pgm" for record in self.jobs()))

    def test_odd_ids_are_refused(self):
        self.finished(1)
        self.jobs()[0]["id"] = "../../readyz"
        self.assert_one_line(self.dataset("get", self.id, "-o", "out", expect=1), "without a proper id")

    def test_interrupt_leaves_no_half_file_and_can_go_on(self):
        self.finished(6)
        self.server.plans.extend([None, None, None, None, "hold", "hold"])
        running = self.start("dataset", "get", self.id, "-o", "out", "-j", "1")
        self.assertTrue(self.server.held.wait(60))
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130)
        self.server.plans.clear()
        self.server.release.set()
        self.assertEqual(self.names(self.work / "out"), ["in000.pgm", "in001.pgm"])
        self.dataset("get", self.id, "-o", "out", "--resume")
        self.assertEqual(len(self.names(self.work / "out")), 6)


class LutTest(DatasetTest):
    def test_get(self):
        inputs = self.finished()
        lut = self.expected(inputs)[1]
        self.assertEqual(json.loads(self.dataset("lut", self.id).stdout)["kinds"][0]["tables"], [lut])
        self.dataset("lut", self.id, "--text", "--kind", "0", "-o", "lut.txt")
        self.assertEqual((self.work / "lut.txt").read_text(), stub_datasets.lut_text(lut))
        self.assert_one_line(self.dataset("lut", self.id, "-o", "lut.txt", expect=1), "lut.txt exists already")
        self.assert_one_line(self.dataset("lut", self.id, "--kind", "4", expect=1), "no such kind of images (value 4, limit 0)")

    def test_not_finalized(self):
        self.assert_one_line(self.dataset("lut", self.id, "-o", "lut.json", expect=1), "the dataset has no table yet")
        self.assertEqual(self.names(), [])

    def test_set(self):
        table = list(range(255, -1, -1))
        self.image("lut.json", b" \n" + stub_datasets.lut_json(table).encode())
        self.image("lut.txt", stub_datasets.lut_text(table).encode())
        for name, media_type in (("lut.json", "application/json"), ("lut.txt", "text/plain"), ("-", "application/json")):
            stdin = (self.work / "lut.json").read_bytes() if name == "-" else b""
            digest = self.dataset("lut", self.id, "--set", name, stdin=stdin).stdout.decode().strip()
            self.assertEqual(digest, stub_server.digest_of(table))
            self.assertEqual(self.server.log[-1].fields["Content-Type"], media_type)
        self.assertEqual(self.server.datasets[self.id]["lut"]["revision"], 3)
        self.assert_one_line(self.dataset("lut", self.id, "--set", "nowhere", expect=1), "nowhere: no such file")


class RemoveTest(DatasetTest):
    def test_images(self):
        self.images(3)
        self.dataset("add", self.id, "photos")
        ids = [record["id"] for record in self.jobs()]
        done = self.dataset("remove", self.id, ids[0], "0" * 26, ids[2], expect=1)
        self.assert_one_line(done, "0" * 26 + ": there is no such job")
        self.assertEqual([record["id"] for record in self.jobs()], [ids[1]])

    def test_images_of_others_stay(self):
        self.images(1)
        other = self.server.add_dataset({})
        self.dataset("add", self.id, "photos")
        self.dataset("add", other, "photos")
        [mine], [others] = self.jobs(), self.jobs(other)
        self.assert_one_line(self.dataset("remove", self.id, mine["id"], others["id"], expect=1),
                             f"{others['id']} is none of its images; nothing was removed")
        self.assertEqual(len(self.server.jobs), 2)

    def test_datasets(self):
        self.images(2)
        self.dataset("add", self.id, "photos")
        done = self.dataset("rm", self.id, "0" * 26, expect=1)
        self.assert_one_line(done, "0" * 26 + ": there is no such dataset")
        self.assertEqual((self.server.datasets, self.server.jobs), ({}, {}))


class UsageTest(DatasetTest):
    def test_wrong_words(self):
        cases = [([], "say create, list"), (["make"], "say create, list"), (["list", "x"], "takes no operands"),
                 (["show"], "name one dataset"), (["add", "ID"], "name a dataset and files"), (["get", "ID"], "-o FOLDER"),
                 (["remove", "ID"], "name a dataset and jobs"), (["rm"], "name a dataset"),
                 (["list", "--wait"], "--wait: not an option of dataset list"),
                 (["finalize", "ID", "--rule", "exact"], "--rule: not an option of dataset finalize"),
                 (["create", "--range", "auto"], "auto is not full"), (["create", "--quality", "5", "--format", "png"], "--quality"),
                 (["create", "--set", "x"], "--set: not an option"), (["lut", "ID", "--set", "x", "--text"], "--text: not with --set"),
                 (["add", "ID", "-"], "takes files, not -"), (["create", "--method", "clahe"], "--method")]
        for words, part in cases:
            with self.subTest(words=words):
                self.assert_one_line(self.dataset(*words, expect=2), part)
        self.assertEqual(self.server.log, [])

    def test_every_option_belongs_to_a_word(self):
        """Those of the table of options and those of the table of words are the same."""
        source = pathlib.Path(stub_server.os.environ["HISTOD_SOURCE"]) / "tools/histoctl/dataset.cpp"
        text = self.run_ctl("dataset", "--help").stdout.decode().split("Common options:")[0]
        known = source.read_text(encoding="utf-8").split("k_options{")[1].split("}};")[0]
        for name in {line.split("--")[1].split()[0] for line in text.split("\nOptions:\n")[1].splitlines() if "  --" in line
                     or ", --" in line}:
            self.assertIn(f'{{"{name}", "', known)


if __name__ == "__main__":
    unittest.main()
