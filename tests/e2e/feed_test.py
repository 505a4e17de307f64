#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The live feed of a real daemon: what comes, from where, to whom, and who is shut out."""
import json
import unittest

from feed_reader import TEXT, Closed, FeedReader, Refused
from harness import Daemon, main

KIND = "org.example.test"


class FeedTest(unittest.TestCase):
    def setUp(self):
        self.daemon = self.enterContext(Daemon())

    def post(self, *names, size=0, kind=KIND, severity="info"):
        events = [{"specversion": "1.0", "id": name, "source": "/tests", "type": kind, "severity": severity,
                   "data": {"message": name, "filling": "x" * size}} for name in names]
        status, _, body = self.daemon.request("POST", "/v1/events", json.dumps(events),
                                              {"Content-Type": "application/cloudevents-batch+json"})
        self.assertEqual(status, 202, body)

    def bearer(self, role="read"):
        return {"Authorization": f"Bearer {self.daemon.tokens[role]}"}

    def read(self, query="", **arguments):
        reader = FeedReader(self.daemon.port, query, {**self.bearer(), **arguments.pop("fields", {})}, **arguments)
        self.addCleanup(reader.close)
        return reader

    def ids(self, reader, last):
        return [event["id"] for event in reader.until(lambda event: event["id"] == last)]

    def test_what_was_comes_first_and_then_what_happens(self):
        self.post("a", "b", "c")
        reader = self.read(f"type={KIND}&limit=2")
        self.assertEqual(reader.hello["missed"], 0)
        self.assertEqual(self.ids(reader, "c"), ["b", "c"])
        self.post("d")
        self.post("e", "f")
        self.assertEqual(self.ids(reader, "f"), ["d", "e", "f"])
        everything = self.read()
        kinds = {event["type"] for event in everything.until(lambda event: event["id"] == "f")}
        self.assertIn("io.histod.log.info", kinds)

    def test_only_what_was_asked_for_comes(self):
        reader = self.read(f"type={KIND},org.example.other&severity=warning&limit=1")
        self.post("quiet")
        self.post("loud", severity="error")
        self.post("elsewhere", kind="org.example.unwanted", severity="error")
        self.post("last", kind="org.example.other.kind", severity="warning")
        self.assertEqual(self.ids(reader, "last"), ["loud", "last"])

    def test_a_reader_that_comes_back_misses_nothing_and_hears_nothing_twice(self):
        query = f"type={KIND}"
        reader = self.read(query)
        self.post("a", "b")
        seen = reader.until(lambda event: event["id"] == "b")
        reader.close()
        self.post("c", "d")
        back = f"{query}&identity={reader.hello['identity']}&after={seen[-1]['sequence']}"
        self.assertEqual(self.ids(self.read(back), "d"), ["c", "d"])
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.post("e")
        self.assertEqual(self.ids(self.read(back), "e"), ["c", "d", "e"], "the ring lasts over a restart")
        other = self.read(f"{query}&identity=01ARZ3NDEKTSV4RRFFQ69G5FAV&after={seen[-1]['sequence']}")
        self.assertEqual(self.ids(other, "e"), ["a", "b", "c", "d", "e"], "another node's numbers say nothing here")

    def test_a_ticket_opens_it_once(self):
        status, _, body = self.daemon.request("POST", "/v1/tickets", role="read")
        self.assertEqual(status, 201)
        fields = {"Sec-WebSocket-Protocol": f"histod.events, ticket.{json.loads(body)['ticket']}"}
        reader = FeedReader(self.daemon.port, "", fields)
        self.addCleanup(reader.close)
        self.assertEqual(reader.fields["sec-websocket-protocol"], "histod.events")
        with self.assertRaises(Refused) as refused:
            FeedReader(self.daemon.port, "", fields)
        self.assertEqual(refused.exception.status, 401)
        told = self.read("type=io.histod.secops").until(lambda event: event["type"] == "io.histod.secops.token_refused")
        self.assertNotIn(json.loads(body)["ticket"], json.dumps(told) + self.daemon.log())

    def test_others_are_shut_out(self):
        port = self.daemon.port
        for status, query, fields in ((401, "", {}), (401, "", {"Authorization": "Bearer 0123456789abcdef"}),
                                      (403, "", {**self.bearer(), "Origin": "http://elsewhere.example"}),
                                      (403, "", {**self.bearer(), "Origin": "null"}),
                                      (400, "colour=red", self.bearer()), (400, "severity=loud", self.bearer()),
                                      (426, "", {**self.bearer(), "Sec-WebSocket-Version": "8"}),
                                      (400, "", {**self.bearer(), "Sec-WebSocket-Key": "short"})):
            with self.subTest(status=status, fields=list(fields), query=query), self.assertRaises(Refused) as refused:
                FeedReader(port, query, fields)
            self.assertEqual(refused.exception.status, status, refused.exception)
        self.read(fields={"Origin": f"http://127.0.0.1:{port}"})

    def test_a_reader_that_does_not_read_is_dropped_and_others_are_not(self):
        slow = self.read(f"type={KIND}", receive_bytes=4096)
        quick = self.read(f"type={KIND}")
        for i in range(24):
            names = [f"{i}.{j}" for j in range(18)]
            self.post(*names, size=55_000)
            self.assertEqual(self.ids(quick, names[-1]), names)
        self.assertEqual(self.daemon.metric("histod_feed_slow_readers_total"), 1)
        with self.assertRaises(Closed) as closed:
            while True:
                slow.message()
        self.assertEqual(closed.exception.code, 1013)

    def test_a_reader_that_talks_is_shut_out(self):
        reader = self.read("limit=1")
        for _ in range(101):
            reader.send(TEXT, b"{}")
        with self.assertRaises(Closed) as closed:
            while True:
                reader.message()
        self.assertEqual(closed.exception.code, 1008)

    def test_the_end_of_the_daemon_is_told(self):
        reader = self.read(f"type={KIND}")
        self.assertEqual(self.daemon.stop(), 0)
        with self.assertRaises(Closed) as closed:
            while True:
                reader.message()
        self.assertEqual(closed.exception.code, 1001)


if __name__ == "__main__":
    main()
