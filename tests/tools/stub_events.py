# SPDX-License-Identifier: Apache-2.0
"""The part of the stub that takes and gives events: POST and GET /v1/events."""
import json
import urllib.parse

import stub_server

TOKENS = {**stub_server.TOKENS, "events-token-4": "events"}
MAY = {"POST": ("events", "submit", "admin"), "GET": ("read", "submit", "admin")}
SEVERITIES = ("debug", "info", "ok", "warning", "error")
KNOWN_OPTIONS = ("after", "limit", "type", "node", "severity")
BATCH_EVENTS_MAX, BATCH_BYTES_MAX = 256, 1 << 20


class EventHandler(stub_server.Handler):
    def admit(self):
        if urllib.parse.urlsplit(self.path).path != "/v1/events":
            return super().admit()
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        role = TOKENS.get(token) if scheme == "Bearer" else None
        if role is None:
            self.problem(401, "unauthorized", "the token is missing or unknown")
        elif role not in MAY[self.command]:
            self.problem(403, "forbidden", "this needs another role", value=role)
        return role in MAY[self.command]

    def route(self, path, query, body):
        if path != "/v1/events":
            super().route(path, query, body)
        elif self.command == "POST":
            self.take_events(body)
        else:
            self.give_events(query)

    def take_events(self, body):
        events = json.loads(body)
        if self.headers["Content-Type"] != "application/cloudevents-batch+json" or not isinstance(events, list):
            self.violation("not a batch")
        if len(events) > BATCH_EVENTS_MAX or len(body) > BATCH_BYTES_MAX or not events:
            self.violation(f"{len(events)} events, {len(body)} bytes in a batch")
        new = 0
        for event in events:
            if event.get("specversion") != "1.0" or not all(event.get(name) for name in ("id", "source", "type", "time")):
                self.violation(f"no event: {event}")
            new += self.server.add_event(event)
        self.answer(202, json.dumps({"accepted": new, "duplicates": len(events) - new}).encode())

    def give_events(self, query):
        for name in query:
            if name not in KNOWN_OPTIONS:
                self.violation(f"GET /v1/events: option {name}")
        after, limit = query.get("after"), int(query.get("limit", 200))
        severity = SEVERITIES.index(query.get("severity", "debug"))
        with self.server.lock:
            found = [event for event in self.server.events
                     if (after is None or event["sequence"] > int(after)) and event["type"].startswith(query.get("type", ""))
                     and query.get("node", event.get("node")) == event.get("node")
                     and SEVERITIES.index(event["severity"]) >= severity]
            found = found[-limit:] if after is None else found[:limit]
            answer = {"events": found, "last": self.server.last, "identity": self.server.identity}
        self.answer(200, json.dumps(answer).encode())


class EventServer(stub_server.StubServer):
    handler = EventHandler
    planned = (*stub_server.StubServer.planned, "/v1/events")

    def __init__(self):
        self.events, self.known, self.last, self.identity = [], set(), 0, "stub-1"
        super().__init__()

    def add_event(self, event):
        """1 when it is new."""
        with self.lock:
            key = event["source"], event["id"]
            if key in self.known:
                return 0
            self.known.add(key)
            self.last += 1
            self.events.append({**event, "sequence": self.last})
            return 1
