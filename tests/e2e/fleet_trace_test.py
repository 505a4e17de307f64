#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One trace over several nodes: what a client's traceparent says is in the log of every node that had a part in its request, and in what the
webhook's receiver hears."""
import json
import pathlib
import re

import fleet_webhook_test
import images
from fleet_test import wait_for
from harness import main
from webhook_test import KEY, WAIT_S, Receiver

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class FleetTraceTest(fleet_webhook_test.FleetWebhookTest):
    test_the_next_leader_tells_what_the_last_one_did_not = None  # its own test, and not this one's

    def traced(self, name, path, body=b"", status=202):
        got, _, answer = self.call(name, path, "POST", body, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        self.assertEqual(got, status, answer[:500])
        return json.loads(answer)

    def requests(self, name, trace=None):
        """(trace id, path) of the requests that a node says it was asked."""
        found = re.findall(r"msg=request method=\S+ path=(\S+) .*trace_id=([0-9a-f]{32})", self.log(name))
        return [(seen, path) for path, seen in found if trace in (None, seen)]

    def test_nodes_and_webhooks_are_asked_in_the_clients_trace(self):
        receiver = Receiver("0.0.0.0")
        self.addCleanup(receiver.stop)
        port = receiver.server.server_port
        secret = pathlib.Path(self.state).parent / "webhook-key"
        secret.touch(mode=0o600)
        secret.write_text(KEY + "\n")
        self.up("4s", "-n", "2", "--", "--min-nodes", "1", "--log-level", "debug", "--webhook-allow", f"{{bridge}}:{port}", "--webhook-secret-file",
                str(secret))
        host = self.fleet["zookeeper"]["servers"].split(":")[0]
        picture = images.encode(images.noisy(40, 30, 1, 1, 90), "png")

        # Without a trace the nodes have one of their own, which the job does not show.
        plain = self.submit("node1", picture)
        self.assertNotIn("trace_id", plain)
        own = wait_for(lambda: [trace for trace, path in self.requests("node2") if path == f"/v1/peer/copies/{plain['id']}"], "a copy is sent")
        self.assertNotIn(own[0], (TRACE, "0" * 32))

        dataset = self.traced("node1", f"/v1/datasets?rule=exact&webhook=http://{host}:{port}/done%3Fjob=7", status=201)["id"]
        job = self.traced("node1", f"/v1/datasets/{dataset}/images", picture)
        self.assertEqual(job["trace_id"], TRACE)
        self.assertEqual(self.job("node2", job["id"])["trace_id"], TRACE, "as its node tells the other one")
        self.wait("node1", dataset, lambda state: state["progress"]["phase"] == "idle")
        self.traced("node1", f"/v1/datasets/{dataset}/finalize", status=200)
        self.traced("node1", f"/v1/datasets/{dataset}/apply")
        _, _, fields, body = receiver.heard.get(timeout=WAIT_S)
        self.assertEqual(json.loads(body)["dataset"], dataset)
        parents = {PARENT, fields["traceparent"].split("-")[2]}
        self.assertEqual(len(parents), 2)
        self.assertRegex(fields["traceparent"], f"^00-{TRACE}-[0-9a-f]{{16}}-01$")

        asked = [path for _, path in self.requests("node2", TRACE)]
        for path in (f"/v1/peer/copies/{job['id']}", f"/v1/peer/datasets/{dataset}/share", f"/v1/peer/datasets/{dataset}/tables"):
            self.assertIn(path, asked)
        for name, message in (("node1", "job accepted"), ("node1", "an attempt at a job ended")):
            self.assertRegex(self.log(name), f'msg="{message}".*trace_id={TRACE}')


if __name__ == "__main__":
    main()
