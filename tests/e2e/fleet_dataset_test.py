#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One table for the images of all nodes, whichever node is asked and whichever dies. Oracle: numpy over all pixels in one row."""
import json
import os
import pathlib
import signal
import tempfile
import time

import numpy as np

import dataset_test
import images
from fleet_data_test import FleetDataTest
from fleet_test import wait_for
from harness import main

COUNT = int(os.environ.get("E2E_FLEET_IMAGES", "60"))
TAKEOVER = ("-n", "3", "--", "--takeover-after", "2s", "--min-nodes", "1")


class FleetDatasetTest(FleetDataTest):
    def tell(self, name, path, method="POST", body=b"", status=200):
        got, _, answer = self.call(name, path, method, body)
        self.assertEqual(got, status, (name, path, answer[:500]))
        return json.loads(answer) if answer else None

    def fill(self, count=COUNT, names=None):
        """A dataset whose images are shared out over the nodes: (its id, [(image's id, its pixels)])."""
        names = names or sorted(self.nodes)
        dataset = self.tell(names[0], "/v1/datasets?rule=exact&color=channels", status=201)["id"]
        sent = []
        for index, (pixels, kind) in enumerate(dataset_test.pictures(count)):
            sent.append((self.add(names[index % len(names)], dataset, pixels, kind), pixels))
        return dataset, sent

    def add(self, name, dataset, pixels, kind="png"):
        return self.tell(name, f"/v1/datasets/{dataset}/images", body=dataset_test.encoded(pixels, kind), status=202)["id"]

    def state_of(self, name, dataset):
        return self.tell(name, f"/v1/datasets/{dataset}", "GET", None)

    def idle(self, name, dataset, images):
        def condition():
            state = self.state_of(name, dataset)
            return state["progress"]["phase"] == "idle" and state["images"]["total"] == images and state
        return wait_for(condition, f"{name} sees {images} images and nothing to do")

    def finalize(self, name, dataset, images):
        self.idle(name, dataset, images)
        return self.tell(name, f"/v1/datasets/{dataset}/finalize")

    def check_tables(self, name, dataset, sent):
        """The naive ones."""
        tables = dataset_test.naive_tables([pixels for _, pixels in sent])
        shown = self.tell(name, f"/v1/datasets/{dataset}/lut", "GET", None)
        self.assertEqual(len(shown["kinds"]), len(tables))
        for kind in shown["kinds"]:
            expected = tables[(1 if kind["bins"] == 256 else 2, kind["planes"])]
            for table, naive in zip(kind["tables"], expected):
                np.testing.assert_array_equal(np.array(table), naive)
        return tables

    def check_results(self, name, sent, tables):
        for image, pixels in sent:
            status, _, body = self.call(name, f"/v1/jobs/{image}/result")
            self.assertEqual(status, 200, body)
            np.testing.assert_array_equal(dataset_test.decoded(body), dataset_test.expected(pixels, tables))

    def kill(self, name):
        os.kill(self.nodes[name]["pid"], signal.SIGKILL)
        del self.nodes[name]


class AnyNodeActsTest(FleetDatasetTest):
    def test_one_table_for_the_images_of_all_nodes(self):
        self.up("10s", "-n", "3")
        begin = time.monotonic()
        dataset, sent = self.fill()
        uploaded = time.monotonic()
        made = self.finalize("node2", dataset, len(sent))
        finalized = time.monotonic()
        self.assertEqual((made["lut"]["revision"], made["lut"]["images"]), (1, len(sent)))
        tables = self.check_tables("node1", dataset, sent)
        self.tell("node3", f"/v1/datasets/{dataset}/apply", status=202)
        self.idle("node3", dataset, len(sent))
        for name in self.nodes:
            self.check_results(name, sent, tables)
        print(f"{len(sent)} mixed images on 3 nodes: uploaded in {uploaded - begin:.2f} s, counted and finalized {finalized - uploaded:.2f} s later")
        # An image less, on whatever node: the next tables are those of the others.
        self.tell("node1", f"/v1/jobs/{sent[4][0]}", "DELETE", None, status=204)
        del sent[4]
        wait_for(lambda: self.state_of("node3", dataset)["lut"]["stale"], "the tables are stale")
        self.assertEqual(self.finalize("node3", dataset, len(sent))["lut"]["revision"], 2)
        for name in self.nodes:
            wait_for(lambda one=name: self.state_of(one, dataset)["lut"]["revision"] == 2, f"{name} follows")
            self.check_tables(name, dataset, sent)
        self.tell("node2", f"/v1/datasets/{dataset}", "DELETE", None, status=204)
        for name in self.nodes:
            wait_for(lambda one=name: self.call(one, f"/v1/datasets/{dataset}")[0] == 404, f"{name} forgets it")
            wait_for(lambda one=name: self.metric(one, "histod_job_copies") == 0, f"{name} drops its copies")


class DyingNodesTest(FleetDatasetTest):
    def test_a_node_that_dies_for_good_loses_nothing(self):
        self.up("4s", *TAKEOVER)
        dataset, sent = self.fill()
        digest = self.finalize("node1", dataset, len(sent))["lut"]["digest"]
        job = self.submit("node2", dataset_test.encoded(sent[0][1], "png"))["id"]
        self.kill("node2")
        begin = time.monotonic()
        taken = wait_for(lambda: self.metric("node1", "histod_jobs_adopted_total") + self.metric("node3", "histod_jobs_adopted_total"), "taken over")
        print(f"jobs of a node that was killed: {taken:.0f} taken over after {time.monotonic() - begin:.1f} s")
        made = self.finalize("node3", dataset, len(sent))
        self.assertEqual((made["lut"]["digest"], made["lut"]["images"]), (digest, len(sent)))
        tables = self.check_tables("node1", dataset, sent)
        self.tell("node1", f"/v1/datasets/{dataset}/apply", status=202)
        self.idle("node3", dataset, len(sent))
        self.check_results("node1", sent, tables)
        self.assertEqual(self.is_done("node3", job)["state"], "done")

    def test_results_go_to_the_shared_volume_whoever_makes_them(self):
        folder = tempfile.TemporaryDirectory(prefix="histod-volume-")
        self.addCleanup(folder.cleanup)
        volume = pathlib.Path(folder.name)
        self.up("4s", *TAKEOVER, "--file-root", f"v={volume}:rw")
        dataset = self.tell("node1", "/v1/datasets?rule=exact", status=201)["id"]
        names, pictures = sorted(self.nodes), {f"{i}": images.noisy(70, 50 + i, i, 1, 60 + 5 * i) for i in range(12)}
        for i, (name, pixels) in enumerate(pictures.items()):
            (volume / f"{name}.png").write_bytes(images.encode(pixels))
            self.tell(names[i % 3], f"/v1/datasets/{dataset}/images?file=v/{name}.png&result=beside", status=202)
            (volume / f"{name}.png").unlink()
        self.kill("node2")
        wait_for(lambda: self.metric("node1", "histod_jobs_adopted_total") + self.metric("node3", "histod_jobs_adopted_total") == 4, "taken over")
        self.finalize("node3", dataset, len(pictures))
        self.tell("node1", f"/v1/datasets/{dataset}/apply", status=202)
        self.idle("node3", dataset, len(pictures))
        self.assertEqual(sorted(path.name for path in volume.iterdir()), sorted(f"{name}_equalized.png" for name in pictures))
        [table] = dataset_test.naive_tables(pictures.values()).values()
        for name, pixels in pictures.items():
            np.testing.assert_array_equal(images.decode((volume / f"{name}_equalized.png").read_bytes()), table[0][pixels])

    def test_a_node_that_comes_back_lets_go_of_what_others_took_over(self):
        self.up("4s", *TAKEOVER)
        dataset, sent = self.fill()
        digest = self.finalize("node1", dataset, len(sent))["lut"]["digest"]
        os.kill(self.nodes["node3"]["pid"], signal.SIGSTOP)
        wait_for(lambda: self.metric("node1", "histod_jobs_adopted_total"), "taken over")
        os.kill(self.nodes["node3"]["pid"], signal.SIGCONT)
        wait_for(lambda: "this node is back in the fleet" in self.log("node3"), "node3 is back")
        for name in self.nodes:
            made = self.finalize(name, dataset, len(sent))
            self.assertEqual((made["lut"]["digest"], made["lut"]["images"]), (digest, len(sent)))
        self.assertGreater(self.metric("node3", "histod_jobs_disowned_total"), 0)


if __name__ == "__main__":
    main()
