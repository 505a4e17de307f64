#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who writes the fleet's znodes, or asks its nodes, and has no right to: refused by real servers, and seen as security events.

The stranger is ZooKeeper's own command line. What he may not write the operator may, who has the credential.
"""
import re
import signal

from fleet_data_test import FleetDataTest
from fleet_test import wait_for
from harness import main

RECORD = '{"format":1,"since":1}'


class SecurityTest(FleetDataTest):
    def leader(self):
        return wait_for(lambda: (self.cluster("node1") or {"leader": {"name": None}})["leader"]["name"], "a leader")

    def alarm(self, leader, path, why):
        def seen():
            return f"{path}: {why}" in (self.cluster(leader) or {}).get("intruders", [])
        wait_for(seen, f"{path} is seen: {why}")
        self.assertTrue(self.cluster(leader)["alert"])
        lines = [line for line in self.log(leader).splitlines() if "security: a znode" in line and f"path={path} " in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(why, lines[0])

    def test_who_has_no_credential_writes_nothing(self):
        self.up("10s", "-n", "2")
        before = self.agree(["node1", "node2"], ["node1", "node2"])
        attempts = ["set /histod/epoch x", "create /histod/nodes/ghost x", "create -e /histod/leader/a-n_0000000000 x", "delete /histod/nodes/node1",
                    "deleteall /histod", "setAcl /histod world:anyone:cdrwa", "get /histod/epoch", "ls /histod"]
        for credential in ("", "histod:not-the-real-password"):
            said = self.zookeeper(*attempts, credential=credential)
            self.assertEqual(len(re.findall("Insufficient permission|NoAuth", said)), len(attempts), said)
        self.assertEqual(self.agree(["node1", "node2"], ["node1", "node2"]), before)
        self.assertNotIn("intruders", before)

    def test_what_an_operator_has_spoilt_is_passed_over_and_told(self):
        self.up("10s", "-n", "3")
        names = ["node1", "node2", "node3"]
        before = self.agree(names, names)
        leader = self.leader()
        credential = (self.state / "zookeeper-credential").read_text().strip()
        said = self.zookeeper("create /histod/nodes/ghost hello", f"create /histod/leader/me {RECORD}", f"create /histod/datasets/x {RECORD}",
                              "setAcl /histod/datasets world:anyone:cdrwa", credential=credential)
        self.assertNotIn("Insufficient", said)
        self.alarm(leader, "/histod/nodes/ghost", "its data are no record")
        self.alarm(leader, "/histod/leader/me", "it belongs to no session")
        self.alarm(leader, "/histod/datasets", "others may change it")
        # Now anybody may write there.
        said = self.zookeeper("create /histod/datasets/theirs x")
        self.assertIn("Created /histod/datasets/theirs", said)
        self.alarm(leader, "/histod/datasets/theirs", "its data are no record")
        self.assertGreaterEqual(self.metric(leader, 'histod_security_events_total{kind="znode"}'), 4)
        after = self.agree(names, names)
        self.assertEqual([member["name"] for member in after["members"]], names, "the ghost is no member")
        # Work goes on, and so does the lead when its candidate is behind a stranger.
        self.assertEqual(self.call("node1", "/v1/datasets?name=walls", "POST", b"")[0], 201)
        others = [name for name in names if name != leader]
        self.send([self.nodes[leader]["pid"]], signal.SIGKILL)
        new = wait_for(lambda: (seen := self.cluster(others[0])) and seen["leader"]["name"] in others and seen["leader"], "another leader")
        self.assertEqual(new["epoch"], before["leader"]["epoch"] + 1)
        self.alarm(new["name"], "/histod/datasets/theirs", "its data are no record")
        self.zookeeper("delete /histod/nodes/ghost", "delete /histod/leader/me", "delete /histod/datasets/theirs",
                       f"setAcl /histod/datasets auth:{credential}:cdrwa", "delete /histod/datasets/x", credential=credential)
        wait_for(lambda: "intruders" not in (self.cluster(new["name"]) or {"intruders": 1}), "all is well again")


if __name__ == "__main__":
    main()
