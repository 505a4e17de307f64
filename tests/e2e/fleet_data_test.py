#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs and datasets over several nodes: whichever node is asked answers for all of them."""
import json
import pathlib
import re
import signal
import subprocess
import urllib.error
import urllib.request

import numpy as np

import images
from fleet_test import OPENER, FleetTest, wait_for, zookeeper_server
from harness import main


class FleetDataTest(FleetTest):
    def call(self, name, path, method="GET", body=None, token=None, headers=None):
        """(status, headers, body). `token`: None: the fleet's, empty: none."""
        request = urllib.request.Request(self.nodes[name]["url"] + path, data=body, method=method, headers=headers or {})
        if token != "":
            request.add_header("Authorization", f"Bearer {token or self.token}")
        try:
            with OPENER.open(request, timeout=90) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def submit(self, name, body, path="/v1/jobs"):
        status, _, answer = self.call(name, path, "POST", body)
        self.assertEqual(status, 202, answer)
        return json.loads(answer)

    def job(self, name, job):
        status, _, body = self.call(name, f"/v1/jobs/{job}")
        return json.loads(body) if status == 200 else status

    def is_done(self, name, job):
        return wait_for(lambda: self.job(name, job)["state"] in ("done", "failed") and self.job(name, job), f"{job} is done")

    def stop(self, *names):
        """Their processes stand still; they go on before the fleet is taken down."""
        pids = [self.nodes[name]["pid"] for name in names]
        self.send(pids, signal.SIGSTOP)
        self.addCleanup(self.send, pids, signal.SIGCONT)
        # The signal is sent: its threads stand still a little later, when they have answered what they were at.
        threads = lambda: [task for pid in pids for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]  # noqa: E731
        wait_for(lambda: all("\nState:\tT" in (task / "status").read_text() for task in threads()), f"{names} stand still")

    def zookeeper(self, *commands, credential=""):
        """What ZooKeeper's command line says to these, one after the other."""
        server = self.fleet["zookeeper"]["servers"].split(",")[0]
        words = ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", str(zookeeper_server.JAR), "org.apache.zookeeper.ZooKeeperMain", "-server", server]
        lines = ([f"addauth digest {credential}"] if credential else []) + list(commands) + ["quit"]
        done = subprocess.run(words, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def metric(self, name, metric):
        """The sum of its samples."""
        text = self.call(name, "/metrics")[2].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{re.escape(metric)}[ {{]", line))


class AnyNodeTest(FleetDataTest):
    def test_a_job_is_read_fetched_and_deleted_at_another_node(self):
        self.up("10s", "-n", "3")
        pixels = images.noisy(131, 97)
        job = self.submit("node1", images.encode(pixels))
        self.assertEqual(job["node"], "node1")
        for name in self.nodes:
            done = self.is_done(name, job["id"])
            self.assertEqual((done["state"], done["node"]), ("done", "node1"))
            for path in (f"/v1/jobs/{job['id']}/result", f"/download/{job['id']}_final.png"):
                status, headers, body = self.call(name, path)
                self.assertEqual((status, headers["Content-Type"]), (200, "image/png"), body)
                self.assertEqual(headers["Histod-Lut-Digest"], done["result"]["lut_digest"])
                self.assertEqual(headers["Content-Disposition"], f"attachment; filename=\"{job['id']}_equalized.png\"")
                np.testing.assert_array_equal(images.decode(body), images.equalized(pixels))
            self.assertEqual([one["id"] for one in json.loads(self.call(name, "/v1/jobs")[2])["jobs"]], [job["id"]])
        self.assertGreater(self.metric("node2", "histod_peer_answers_total"), 0)
        failed = [line for line in self.call("node2", "/metrics")[2].decode().splitlines() if line.startswith("histod_peer_errors_total")]
        self.assertEqual([line for line in failed if not line.endswith(" 0") and "cancelled" not in line], [])
        self.assertEqual(self.metric("node2", "histod_fallback"), self.metric("node1", "histod_fallback"))
        self.assertEqual(self.call("node3", f"/v1/jobs/{job['id']}", "DELETE")[0], 204)
        for name in self.nodes:
            self.assertEqual(self.job(name, job["id"]), 404)

    def test_lists_are_of_all_nodes_and_say_who_is_missing(self):
        self.up("60s", "-n", "3")
        jobs = [self.submit(name, images.encode(images.noisy(64, 48, seed=index))) for index, name in enumerate(["node1", "node2", "node3"] * 2)]
        for name in self.nodes:
            listed = json.loads(self.call(name, "/v1/jobs?limit=5")[2])
            self.assertEqual([job["id"] for job in listed["jobs"]], sorted((job["id"] for job in jobs), reverse=True)[:5])
            self.assertEqual({job["id"]: job["node"] for job in listed["jobs"]},
                             {job["id"]: job["node"] for job in jobs if job["id"] in {one["id"] for one in listed["jobs"]}})
            self.assertNotIn("unreachable", listed)
        dataset = json.loads(self.call("node1", "/v1/datasets?name=walls", "POST", b"")[2])
        self.assertEqual([node["name"] for node in dataset["nodes"]], ["node1"])
        self.assertEqual(json.loads(self.call("node3", f"/v1/datasets/{dataset['id']}")[2])["name"], "walls")
        self.stop("node2")
        listed = json.loads(self.call("node3", "/v1/jobs")[2])
        self.assertEqual(listed["unreachable"], ["node2"])
        self.assertEqual({job["id"] for job in listed["jobs"]}, {job["id"] for job in jobs if job["node"] != "node2"})
        of_node2 = next(job["id"] for job in jobs if job["node"] == "node2")
        status, headers, body = self.call("node1", f"/v1/jobs/{of_node2}")
        self.assertEqual((status, headers["Retry-After"]), (503, "1"), body)
        self.assertIn("node2", json.loads(body)["detail"])


class CopiesTest(FleetDataTest):
    def kept(self, job):
        """{node: the image it has on its disk} of those that have one."""
        files = {name: self.state / name / "spool" / "jobs" / job / "input" for name in self.nodes}
        return {name: file.read_bytes() for name, file in files.items() if file.exists()}

    def test_accepted_is_on_two_disks(self):
        self.up("60s", "-n", "3")
        # Large enough that it is not done, and its image dropped, before the disks are looked at.
        body = images.encode(images.noisy(3000, 2000))
        for name, holder in (("node1", "node2"), ("node3", "node1")):
            job = self.submit(name, body)
            self.assertEqual(self.kept(job["id"]).get(holder), body)
            record = (self.state / holder / "spool" / "jobs" / job["id"] / "record").read_text()
            self.assertTrue(record.startswith("histod-job 2 "), record[:40])
            self.assertEqual(self.is_done("node2", job["id"])["node"], name)
        sent = self.metric("node1", "histod_copies_sent_total")
        self.assertGreaterEqual(sent, 1)  # more when the node looked for jobs without a copy before it knew of that one
        self.assertEqual(self.metric("node1", "histod_copies_sent_bytes_total"), sent * len(body))
        self.stop("node2")
        job = self.submit("node1", body)
        self.assertEqual(self.kept(job["id"]).get("node3"), body, "the next one after the silent one")
        self.assertGreaterEqual(self.metric("node1", "histod_copies_failed_total"), 1)
        self.stop("node3")
        before = self.metric("node1", "histod_spool_bytes")
        status, headers, answer = self.call("node1", "/v1/jobs", "POST", images.encode(images.noisy(99, 88)))
        self.assertEqual((status, headers["Retry-After"], json.loads(answer)["type"]), (503, "1", "urn:histod:problem:no-replica"))
        self.assertLessEqual(self.metric("node1", "histod_spool_bytes"), before, "it is not kept here either")
        self.assertEqual(self.metric("node1", "histod_copies_missing_total"), 1)

    def test_a_removed_job_does_not_come_back_with_the_end_of_its_owner(self):
        self.up("2s", "-n", "3", "--", "--takeover-after", "2s", "--min-nodes", "1")
        body = images.encode(images.noisy(3000, 2000))
        removed, kept = self.submit("node1", body)["id"], self.submit("node1", body)["id"]
        self.assertEqual(self.kept(removed).get("node2"), body)
        self.assertEqual(self.call("node3", f"/v1/jobs/{removed}", "DELETE")[0], 204)
        self.assertEqual(self.kept(removed), {}, "not at its holder either")
        self.send([self.nodes.pop("node1")["pid"]], signal.SIGKILL)
        wait_for(lambda: (job := self.job("node3", kept)) not in (404, 503) and job["node"] == "node2", "the other one is taken over")
        self.assertEqual([self.job(name, removed) for name in self.nodes], [404, 404])

    def test_a_request_that_is_repeated_at_another_node_is_one_job(self):
        self.up("2s", "-n", "3", "--", "--takeover-after", "2s", "--min-nodes", "1")
        body = images.encode(images.noisy(3000, 2000))

        def send(name, key, image=body):
            status, headers, answer = self.call(name, "/v1/jobs", "POST", image, headers={"Idempotency-Key": key})
            return status, headers["Idempotency-Replayed"], json.loads(answer)

        first = send("node1", "key")[2]["id"]
        for name in ("node2", "node3"):
            self.assertEqual((*send(name, "key")[:2], send(name, "key")[2]["id"]), (202, "true", first))
        self.assertEqual(send("node3", "key", images.encode(images.noisy(9, 9)))[0], 409)
        # The client never hears of this one: its node dies when two disks have it.
        lost = send("node1", "lost")[2]["id"]
        self.send([self.nodes.pop("node1")["pid"]], signal.SIGKILL)
        answers = []
        wait_for(lambda: answers.append(send("node3", "lost")) or answers[-1][0] == 202, "the job is known again")
        self.assertEqual({status for status, _, _ in answers[:-1]} - {503}, set(), "never a second job")
        self.assertEqual((answers[-1][1], answers[-1][2]["id"]), ("true", lost))
        self.assertEqual(send("node2", "lost")[2]["id"], lost)
        done = self.is_done("node3", lost)
        self.assertEqual((done["state"], done["node"]), ("done", "node2"))
        self.assertEqual({job["id"] for job in json.loads(self.call("node2", "/v1/jobs")[2])["jobs"]}, {first, lost})

    def test_what_nodes_ask_each_other_is_for_nodes(self):
        self.up("10s", "-n", "2")
        path = "/v1/peer/owned"
        self.assertEqual(self.call("node1", path, "POST", b'{"ids":[]}', token="")[0], 401)
        self.assertEqual(self.call("node1", path, "POST", b'{"ids":[]}', token="x" * 30)[0], 401)
        self.assertEqual(self.call("node1", path, "POST", b'{"ids":[]}')[0], 403)
        self.assertEqual(self.metric("node1", 'histod_security_events_total{kind="peer"}'), 3)
        self.assertEqual(self.log("node1").count("whoever is no node asks as one"), 3)
        peer = (self.state / "peer-token").read_text().strip()
        fields = {"Histod-Peer-Version": "1"}
        self.assertEqual(self.call("node1", path, "POST", b'{"ids":[]}', token=peer, headers=fields)[::2], (200, b'{"ids":[]}'))
        self.assertEqual(self.call("node1", path, "POST", b'{"ids":[]}', token=peer)[0], 400)


if __name__ == "__main__":
    main()
