#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One image on several nodes: the same bytes as from one, also while nodes are killed or stand still. Oracle: images.equalized()."""
import http.client
import json
import os
import signal
import threading
import time

import numpy as np

import images
from fleet_data_test import FleetDataTest
from fleet_test import wait_for
from harness import main


class FleetSpreadTest(FleetDataTest):
    def equalize(self, name, body, query):
        """(body, Histod-Placement, its milliseconds here)"""
        begin = time.monotonic()
        status, headers, answer = self.call(name, f"/v1/equalize?{query}", "POST", body)
        self.assertEqual(status, 200, answer[:500])
        return answer, headers["Histod-Placement"], 1000 * (time.monotonic() - begin)

    def test_results_are_those_of_one_node(self):
        self.up("60s", "-n", "3")
        wait_for(lambda: all(len(self.cluster(name)["members"]) == 3 for name in self.nodes), "all see all")
        for index, pixels in enumerate((images.noisy(640, 481, channels=3), images.noisy(333, 1001), images.noisy(37, 2, channels=3))):
            for kind in ("png", "tiff", "jpeg"):
                body = images.encode(pixels, kind)
                for query in ("rule=exact", "rule=opencv&color=channels", "rule=pillow&color=lab", "rule=vips&format=png"):
                    with self.subTest(index=index, kind=kind, query=query):
                        alone, said, _ = self.equalize("node1", body, query + "&placement=local")
                        # A plain gray file takes the short way, which has nothing to say.
                        self.assertRegex(said or "local; asked=local; ", "^local; asked=local; ")
                        spread, said, _ = self.equalize("node2", body, query + "&placement=fleet")
                        self.assertRegex(said, "^fleet; asked=fleet; ")
                        self.assertEqual(spread, alone)
        pixels = images.noisy(700, 500)
        spread, said, _ = self.equalize("node3", images.encode(pixels), "placement=fleet")
        np.testing.assert_array_equal(images.decode(spread), images.equalized(pixels))
        for name in self.nodes:
            self.assertGreater(self.metric(name, "histod_spread_parts_received_total"), 0)
        job = self.submit("node2", images.encode(pixels), "/v1/jobs?placement=fleet")
        done = self.is_done("node1", job["id"])
        self.assertEqual((done["placement"]["asked"], done["placement"]["chosen"], done["placement"]["why"]), ("fleet", "fleet", "asked for"))
        np.testing.assert_array_equal(images.decode(self.call("node3", f"/v1/jobs/{job['id']}/result")[2]), images.equalized(pixels))

    def test_auto_says_what_it_has_measured(self):
        self.up("60s", "-n", "3")
        wait_for(lambda: len(self.cluster("node1")["members"]) == 3, "node1 sees all")
        body = images.encode(images.noisy(4000, 3000, channels=3), "tiff")
        expected = self.equalize("node2", body, "format=ppm&placement=local")[0]
        self.assertIn("not measured", self.equalize("node1", body, "format=ppm")[1])
        took = {"local": [], "fleet": []}
        for _ in range(4):
            for where, times in took.items():
                answer, said, ms = self.equalize("node1", body, f"format=ppm&placement={where}")
                self.assertTrue(said.startswith(where), said)
                self.assertEqual(answer, expected)
                times.append(ms)
        answer, said, _ = self.equalize("node1", body, "format=ppm")
        self.assertRegex(said, r"^(local|fleet); asked=auto; local-ms=[\d.]+; fleet-ms=[\d.]+; why=\"faster ")
        self.assertEqual(answer, expected)
        print(f"12 MP of RGB, 3 nodes on this machine: local {np.median(took['local']):.0f} ms, fleet {np.median(took['fleet']):.0f} ms; {said}")

    def test_nodes_that_die_or_stand_still_fail_nothing(self):
        self.up("60s", "-n", "3")  # nobody is given up, or no member, in this time
        wait_for(lambda: len(self.cluster("node1")["members"]) == 3, "node1 sees all")
        body = images.encode(images.noisy(1500, 1000, channels=3))
        expected = self.equalize("node1", body, "placement=local&format=ppm")[0]
        ended, wrong, placements = threading.Event(), [], []

        def ask():
            while not ended.is_set():
                try:
                    status, headers, answer = self.call("node1", "/v1/equalize?placement=fleet&format=ppm", "POST", body)
                except (OSError, http.client.HTTPException) as error:
                    return wrong.append((repr(error), self.log("node1")))
                if (status, answer) != (200, expected):
                    wrong.append((status, headers["Histod-Placement"], answer[:300]))
                placements.append(headers["Histod-Placement"])

        # More than are spread at one time: the others are done by node1 alone.
        askers = [threading.Thread(target=ask) for _ in range(12)]
        for asker in askers:
            asker.start()
        redone = lambda: self.metric("node1", "histod_spread_parts_redone_total")  # noqa: E731
        try:
            wait_for(lambda: len(placements) >= 4, "some are done")
            before = redone()
            os.kill(self.nodes["node2"]["pid"], signal.SIGKILL)
            wait_for(lambda: redone() > before or wrong, "parts of the killed node are done elsewhere")
            before = redone()
            self.stop("node3")
            wait_for(lambda: redone() > before or wrong, "parts of the one that stands still, too")
            count = len(placements)
            wait_for(lambda: len(placements) > count + 2 or wrong, "it goes on")
        finally:
            ended.set()
            for asker in askers:
                asker.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.log("node1").count("a node does not do its part"), 2, "once for each node")
        print(f"{len(placements)} images, {redone():.0f} parts done again, none wrong")
        status, _, answer = self.call("node1", "/v1/equalize?placement=fleet&method=clahe", "POST", body)
        self.assertEqual((status, json.loads(answer)["type"]), (409, "urn:histod:problem:cannot-spread"))


if __name__ == "__main__":
    main()
