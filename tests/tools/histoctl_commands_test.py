# SPDX-License-Identifier: Apache-2.0
"""histogram, status, jobs, and equalize by jobs."""
import json
import re
import signal
import unittest

import stub_server
from harness import HistoctlTest, pgm


class HistogramTest(HistoctlTest):
    def test_table(self):
        self.image("in.pgm", b"P5 4 1 255 " + bytes([1, 1, 2, 9]))
        lines = self.run_ctl("histogram", "in.pgm").stdout.decode().splitlines()
        self.assertEqual(lines[0], "in.pgm: pgm 4x1, 8 bit, 1 channel(s), 1 page(s)")
        self.assertEqual(lines[1].split(), "page channel levels counted masked min max mean stddev median entropy".split())
        self.assertEqual(lines[2].split(), "0 0 256 4 0 1 9 3.25 1.50 3 2.50".split())
        self.assertEqual(len(lines), 3)

    def test_json_is_the_servers_answer(self):
        data = self.image("in.pgm").read_bytes()
        [answer] = self.json_lines("histogram", "in.pgm", "--rule", "exact", "--bins", "16")
        counts, lut = stub_server.exact_lut(stub_server.parse_pgm(data)[2])
        self.assertEqual(answer["file"], "in.pgm")
        self.assertEqual((answer["planes"][0]["histogram"], answer["planes"][0]["lut"]), (counts, lut))
        self.assertEqual(answer["lut_digest"], stub_server.digest_of(lut))
        self.assertEqual(self.server.log[0].query, {"rule": "exact", "bins": "16"})

    def test_mask(self):
        self.image("in.pgm", b"P5 4 1 255 " + bytes([1, 1, 2, 9]))
        self.image("mask.pgm", b"P5 4 1 255 " + bytes([0, 255, 255, 0]))
        [answer] = self.json_lines("histogram", "in.pgm", "--mask", "mask.pgm")
        self.assertEqual((answer["planes"][0]["counted"], answer["planes"][0]["masked"]), (2, 2))

    def test_answers_keep_the_order_of_the_files(self):
        names = [self.image(f"in{i}.pgm").name for i in range(12)]
        self.server.plans.extend([{"status": 503}, None, "drop"])  # the first ones come back last
        records = self.json_lines("histogram", *names, "-j", "4")
        self.assertEqual([record["file"] for record in records], names)

    def test_failures_among_successes(self):
        self.image("a.pgm")
        self.image("b.txt", b"no image")
        records = self.json_lines("histogram", "missing", "a.pgm", "b.txt", expect=1)
        self.assertEqual([record["file"] for record in records], ["missing", "a.pgm", "b.txt"])
        self.assertEqual(records[0]["error"]["detail"], "no such file")
        self.assertEqual(records[2]["error"]["code"], "unknown-format")
        self.assertIn("planes", records[1])

    def test_standard_input(self):
        done = self.run_ctl("histogram", "-", stdin=pgm(4, 4))
        self.assertTrue(done.stdout.startswith(b"-: pgm 4x4"))


class StatusTest(HistoctlTest):
    def test_text(self):
        text = self.run_ctl("status").stdout.decode()
        for part in (f"server    {self.server.url} is ready", "stub, version 9.9.9, up 1 d 2 h", "epoll, instructions avx2",
                     "CPU 0, NUMA node 0: 12 B in flight, 2.1 MB of 1.1 GB leased, 4 KiB", "2 thread(s) on CPUs [0,1]",
                     "huge pages: none are reserved", "body_bytes 4194304"):
            self.assertIn(part, text)

    def test_json(self):
        [document] = self.json_lines("status")
        self.assertEqual(document, {"server": self.server.url, "ready": {"ready": True, "draining": False},
                                    "node": stub_server.NODE})

    def test_not_ready(self):
        self.server.ready = False
        done = self.run_ctl("status", expect=1)
        self.assertIn(b"is draining", done.stdout)
        self.assertEqual(len(self.server.log), 2, "a node that is not ready is an answer, not a reason to try again")

    def test_readiness_needs_no_token(self):
        done = self.run_ctl("status", env=self.environment(HISTOCTL_TOKEN_FILE=None), expect=4)
        self.assertIn(b"is ready", done.stdout)


class ClusterTest(HistoctlTest):
    def test_text(self):
        text = self.run_ctl("cluster").stdout.decode()
        self.assertEqual(text.splitlines(), [
            "node      n2, role member",
            "zookeeper CONNECTED since 2026-01-02T03:04:05.678Z, session 0x1001, zk1:2181, zk2:2181",
            "leader    n1, epoch 7",
            "counts    1 elections won, 2 sessions lost, 5 suspended",
            "",
            "member  role    url             version  CPUs",
            "n1      leader  http://n1:8080  9.9.9    4",
            "n2      member  http://n2:8080  9.9.9    4     (asked)",
            "n3      member  http://n3:8080  9.9.9    4"])

    def test_json(self):
        self.assertEqual(self.json_lines("cluster"), [stub_server.CLUSTER])

    def test_alert_and_trouble(self):
        cluster = self.server.cluster
        cluster.update(alert=True, alert_detail="the fleet has 2 members, but needs 3")
        cluster["leader"]["name"] = None
        self.assertIn("ALERT     the fleet has 2 members, but needs 3\n", self.run_ctl("cluster", expect=1).stdout.decode())
        cluster["alert"] = False
        cluster["zookeeper"].update(state="LOST", trouble="ZooKeeper refuses\x1b[2J the credential")
        text = self.run_ctl("cluster", expect=1).stdout.decode()
        self.assertIn("trouble   ZooKeeper refuses?[2J the credential\n", text)
        self.assertIn("leader    -, epoch 7\n", text)

    def test_a_node_that_is_alone(self):
        self.server.cluster["zookeeper"].update(embedded=True, servers=[])
        self.assertIn("zookeeper none: this node is a fleet of one\n", self.run_ctl("cluster").stdout.decode())

    def test_watching_ends_with_ctrl_c(self):
        running = self.start("cluster", "--watch", "--json")
        for _ in range(2):
            self.assertEqual(json.loads(running.stdout.readline()), stub_server.CLUSTER)
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(60), 0)
        self.assertEqual(running.stderr.read(), b"")
        running.stdout.close()
        running.stderr.close()

    def test_watching_outlives_a_node_that_is_away_but_not_a_refusal(self):
        done = self.run_ctl("cluster", "--watch", env=self.environment(HISTOCTL_TOKEN_FILE=None), expect=4)
        self.assert_one_line(done, "token")
        running = self.start("cluster", "--watch", "--retries", "0", env=self.environment(HISTOCTL_SERVER=self.closed_port_url()))
        for _ in range(2):
            self.assertTrue(running.stderr.readline().startswith(b"histoctl: "))
        running.send_signal(signal.SIGTERM)
        self.assertEqual(running.wait(60), 0)
        running.stdout.close()
        running.stderr.close()


class AsyncTest(HistoctlTest):
    def test_by_jobs(self):
        inputs = [self.image(f"in{i}.pgm", pgm(seed=i)) for i in range(5)]
        self.run_ctl("equalize", *inputs, "--async", "--rule", "exact", "-o", "out")
        for path in inputs:
            self.assertEqual((self.work / "out" / path.name).read_bytes(), stub_server.equalized(path.read_bytes())[0])
        submitted = [exchange for exchange in self.server.log if exchange.method == "POST"]
        self.assertEqual(len({exchange.fields["Idempotency-Key"] for exchange in submitted}), 5)
        self.assertTrue(all(exchange.query == {"rule": "exact"} for exchange in submitted))

    def test_record(self):
        data = self.image("in.pgm").read_bytes()
        [record] = self.json_lines("equalize", "in.pgm", "--async", "-o", "out.pgm")
        self.assertIn(record["job_id"], self.server.jobs)
        self.assertEqual(record["lut_digest"], stub_server.digest_of(stub_server.equalized(data)[1]))

    def test_lost_202_does_not_double_the_work(self):
        self.image("in.pgm")
        self.server.plans.append("drop")
        self.run_ctl("equalize", "in.pgm", "--async", "-o", "out.pgm")
        posts = [exchange for exchange in self.server.log if exchange.method == "POST"]
        self.assertEqual(len(posts), 2)
        self.assertEqual(posts[0].fields["Idempotency-Key"], posts[1].fields["Idempotency-Key"])
        self.assertEqual(len(self.server.jobs), 1)

    def test_failed_job(self):
        self.image("in.pgm")
        self.server.fail_jobs = True
        done = self.run_ctl("equalize", "in.pgm", "--async", "-o", "out.pgm", expect=1)
        self.assert_one_line(done, "in.pgm: the file ends early (value 10, limit 20)")
        self.assertEqual(self.names(), ["in.pgm"])

    def test_no_wait_prints_ids(self):
        names = [self.image(f"in{i}.pgm").name for i in range(3)]
        ids = self.run_ctl("equalize", *names, "--no-wait").stdout.decode().split()
        self.assertEqual(sorted(ids), sorted(self.server.jobs))
        self.assertEqual(self.names(), names)
        records = self.json_lines("equalize", *names, "--no-wait")
        self.assertTrue(all(record["ok"] and "output" not in record for record in records))


class SubmitTest(HistoctlTest):
    def setUp(self):
        super().setUp()
        self.server.files = {f"scans/{name}.pgm": pgm(seed=i) for i, name in enumerate(("a", "b &+", "ü"))}

    def test_waits_until_results_are_written(self):
        names = list(self.server.files)
        lines = self.run_ctl("submit", *names, "--result", "out/2026/", "--rule", "exact", "-j", "1").stdout.decode().split()
        self.assertEqual(lines, list(self.server.jobs))
        self.assertEqual({job["record"]["state"] for job in self.server.jobs.values()}, {"done"})
        posts = [exchange for exchange in self.server.log if exchange.method == "POST"]
        self.assertEqual([exchange.query for exchange in posts],
                         [{"rule": "exact", "file": name, "result": "out/2026/"} for name in names])
        self.assertEqual(len({exchange.fields["Idempotency-Key"] for exchange in posts}), 3)
        self.assertFalse(any(exchange.path.endswith("/result") for exchange in self.server.log), "nothing is fetched")

    def test_json(self):
        [record] = self.json_lines("submit", "scans/a.pgm", "--result", "beside", "--overwrite")
        self.assertEqual(record, {"file": "scans/a.pgm", "ok": True, "job_id": list(self.server.jobs)[0], "result_file": "beside"})
        self.assertEqual(self.server.log[0].query["overwrite"], "true")

    def test_no_wait(self):
        self.run_ctl("submit", "scans/a.pgm", "--no-wait")
        self.assertEqual([exchange.method for exchange in self.server.log], ["POST"])

    def test_a_lost_202_does_not_double_the_work(self):
        self.server.plans.append("drop")
        self.run_ctl("submit", "scans/a.pgm", "--no-wait")
        self.run_ctl("submit", "scans/a.pgm", "--no-wait")
        self.assertEqual(len(self.server.jobs), 2)

    def test_a_result_that_could_not_be_written_is_a_failure(self):
        self.server.full_volume = True
        done = self.run_ctl("submit", "scans/a.pgm", "--result", "out/a.pgm", expect=1)
        self.assert_one_line(done, "scans/a.pgm", "no room")

    def test_failures(self):
        self.assert_one_line(self.run_ctl("submit", "scans/nothing.pgm", expect=1), "scans/nothing.pgm", "no such file")
        self.server.fail_jobs = True
        self.assert_one_line(self.run_ctl("submit", "scans/a.pgm", expect=1), "the file ends early")
        self.assert_one_line(self.run_ctl("submit", expect=2), "ROOT/PATH")
        self.assert_one_line(self.run_ctl("submit", "scans/a.pgm", "--overwrite", expect=2), "only with --result")
        [record] = self.json_lines("submit", "scans/nothing.pgm", expect=1)
        self.assertEqual((record["ok"], record["error"]["status"]), (False, 404))


class JobsTest(HistoctlTest):
    def setUp(self):
        super().setUp()
        self.data = self.image("in.pgm").read_bytes()
        self.ids = [self.run_ctl("equalize", "in.pgm", "--no-wait").stdout.decode().strip() for _ in range(3)]

    def finish(self, job_id):
        for _ in range(2):
            self.run_ctl("jobs", "show", job_id)

    def test_list_that_is_not_whole(self):
        self.server.unreachable = ["n2", "n3"]
        done = self.run_ctl("jobs", "list", expect=1)
        self.assertEqual(len(done.stdout.splitlines()), 4, "what is known is shown")
        self.assert_one_line(done, "not whole: no answer from n2, n3")
        [answer] = self.json_lines("jobs", "list", expect=1)
        self.assertEqual(answer["unreachable"], ["n2", "n3"])

    def test_list(self):
        lines = self.run_ctl("jobs", "list").stdout.decode().splitlines()
        self.assertEqual(lines[0].split(), ["id", "state", "created", "bytes", "file"])
        self.assertEqual([line.split()[0] for line in lines[1:]], self.ids[::-1])
        self.assertRegex(lines[1], rf"queued +2026-01-02T03:04:05.678Z +{len(self.data)}  in\.pgm$")
        self.assertEqual(len(self.run_ctl("jobs", "list", "--limit", "2").stdout.splitlines()), 3)
        self.finish(self.ids[1])
        [answer] = self.json_lines("jobs", "list", "--state", "done")
        self.assertEqual([job["id"] for job in answer["jobs"]], [self.ids[1]])
        self.assertEqual(self.run_ctl("jobs", "list", "--state", "failed").stdout, b"")

    def test_show(self):
        text = self.run_ctl("jobs", "show", self.ids[0]).stdout.decode()
        self.assertIn(f"id: {self.ids[0]}\nstate: running\n", text)
        self.assertRegex(text, r"input:\n  bytes: \d+\n  sha256: [0-9a-f]{64}")
        [job] = self.json_lines("jobs", "show", self.ids[0])
        self.assertEqual(job["state"], "done")

    def test_get(self):
        self.assert_one_line(self.run_ctl("jobs", "get", self.ids[0], "-o", "out.pgm", expect=1),
                             f"{self.ids[0]}: the job is queued")
        self.finish(self.ids[0])
        result, lut = stub_server.equalized(self.data)
        [record] = self.json_lines("jobs", "get", self.ids[0], "-o", "out.pgm")
        self.assertEqual((self.work / "out.pgm").read_bytes(), result)
        self.assertEqual(record, {"job_id": self.ids[0], "output": "out.pgm", "bytes": len(result),
                                  "media_type": "image/x-portable-graymap", "lut_digest": stub_server.digest_of(lut)})
        self.assertEqual(self.run_ctl("jobs", "get", self.ids[0]).stdout, result)
        self.assert_one_line(self.run_ctl("jobs", "get", self.ids[0], "-o", "out.pgm", expect=1), "exists already")

    def test_cancel(self):
        unknown = "0" * 26
        done = self.run_ctl("jobs", "cancel", self.ids[0], unknown, self.ids[1], "--json", expect=1)
        self.assertEqual(list(self.server.jobs), [self.ids[2]])
        self.assert_one_line(done, unknown + ": there is no such job")
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([record["ok"] for record in records], [True, False, True])

    def test_unknown_job(self):
        self.assert_one_line(self.run_ctl("jobs", "show", "0" * 26, expect=1), "there is no such job")

    def test_ids_are_encoded(self):
        """An id cannot lead out of /v1/jobs/."""
        self.run_ctl("jobs", "show", "../../readyz?x", expect=1)
        path = self.server.log[-1].path
        self.assertTrue(re.fullmatch(r"/v1/jobs/[^/]+", path), path)


if __name__ == "__main__":
    unittest.main()
