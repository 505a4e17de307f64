# SPDX-License-Identifier: Apache-2.0
"""The part of the stub that has live streams: /v1/streams, as far as histoctl uses it. It keeps no video."""
import json
import re
import urllib.parse

import stub_server

CHANGEABLE = {"rule", "window", "clip_limit", "scene_cut", "targets", "next_hop", "preview"}
MEMBERS = CHANGEABLE | {"listen", "interface", "backend", "dpdk_port", "sampling", "depth", "width", "height", "interlaced",
                        "line_numbering", "payload_type", "colorimetry", "sdp", "cpu", "name"}
DEFAULTS = {"backend": "io_uring", "interlaced": False, "rule": "opencv", "window": {"frames": 32}, "clip_limit": 0,
            "scene_cut": 0, "targets": [], "preview": {"per_second": 3, "height_max": 360}}
STREAMS_MAX = 16
JPEG = {"out": b"\xff\xd8out\xff\xd9", "in": b"\xff\xd8in\xff\xd9"}


def state_of(name, config):
    """As the daemon tells it of a stream that runs."""
    return {"name": name, "config": config, "state": "running", "since": "2026-01-02T03:04:05.678Z", "local": "127.0.0.1:5004",
            "ssrc": 4711, "payload_type": 96,
            "format": {key: config[key] for key in ("sampling", "depth", "width", "height", "interlaced") if key in config},
            "packets": {"received": 1000, "lost": 3, "missing": 0, "reordered": 2, "duplicated": 1, "late": 0, "stray": 0,
                        "malformed": 0, "dropped": 0, "sent": 1000, "send_failed": 0},
            "faults": {}, "frames": {"whole": 24, "partial": 1},
            "rate": {"packets_per_second": 98200.0, "frames_per_second": 25.0, "bits_per_second": 1037500000.0},
            "jitter_seconds": 0.000011, "frame_jitter_seconds": 0.000002,
            "delay_seconds": {"p50": 0.0000123, "p99": 0.0000456, "p999": 0.00123}, "window": {"frames": 32, "filled": 25},
            "changes": {"ssrc": 0, "restarts": 0, "format": 0, "scene": 0}, "core": {"cpu": 3, "busy": 0.42, "quota": 0.8},
            "lut_digest": "sha-256=" + "0" * 64, "histogram": {"levels": 4, "counts": [1, 2, 3, 4]}, "lut": [0, 1, 2, 3]}


class StreamHandler(stub_server.Handler):
    def ours(self):
        return urllib.parse.urlsplit(self.path).path.startswith("/v1/streams")

    def admit(self):
        if not self.ours():
            return super().admit()
        needed = "read" if self.command == "GET" else "admin"
        role = self.role()
        if role is None:
            self.problem(401, "unauthorized", "the token is missing or unknown", {"WWW-Authenticate": "Bearer"})
            return False
        if stub_server.RANK[role] < stub_server.RANK[needed]:
            self.problem(403, "forbidden", "this needs another role", value=role, limit=needed)
            return False
        return True

    def route(self, path, query, body):
        if not self.ours():
            super().route(path, query, body)
            return
        if path == "/v1/streams":
            streams = [{key: value for key, value in state.items() if key not in ("histogram", "lut", "lut_digest")}
                       for _, state in sorted(self.server.streams.items())]
            self.answer(200, json.dumps({"streams": streams}).encode())
            return
        match = re.fullmatch(r"/v1/streams/([a-z0-9][a-z0-9-]{0,62})(/preview|/sdp)?", path)
        if not match or (match[2] and self.command != "GET"):
            self.problem(404, "not-found", "there is no such path")
            return
        with self.server.lock:
            self.stream(match[1], match[2], query, body)

    def stream(self, name, part, query, body):
        streams = self.server.streams
        if self.command == "PUT":
            self.put(name, json.loads(body))
        elif name not in streams:
            self.problem(404, "not-found", f"there is no stream {name}")
        elif self.command == "PATCH":
            self.change(name, json.loads(body))
        elif self.command == "DELETE":
            del streams[name]
            self.answer(204)
        elif part == "/preview":
            self.preview(query)
        elif part == "/sdp":
            self.answer(200, b"v=0\r\ns=" + name.encode() + b"\r\n", "application/sdp")
        else:
            self.answer(200, json.dumps(streams[name]).encode())

    def take(self, config, known):
        if self.headers["Content-Type"] != "application/json":
            self.violation(f"{self.command}: {self.headers['Content-Type']}")
        for unknown in config.keys() - known:
            self.problem(422, "bad-stream", f"{unknown} is not {', '.join(sorted(known))}", value=unknown)
            return False
        if config.get("depth", 8) == 8 or config.get("rule") != "pillow":
            return True
        self.problem(422, "bad-stream", "rule pillow is for a depth of 8.", value=str(config["depth"]), limit="8")
        return False

    def put(self, name, config):
        if not self.take(config, MEMBERS):
            return
        if name not in self.server.streams and len(self.server.streams) >= STREAMS_MAX:
            self.problem(409, "too-many-streams", "the node has all the streams that it may have", value="17", limit="16")
            return
        created = name not in self.server.streams
        self.server.streams[name] = state_of(name, {**DEFAULTS, **config})
        self.answer(201 if created else 200, json.dumps(self.server.streams[name]).encode())

    def change(self, name, change):
        if self.take(change, CHANGEABLE):
            self.server.streams[name]["config"].update(change)
            self.answer(200, json.dumps(self.server.streams[name]).encode())

    def preview(self, query):
        if self.server.no_frame:
            self.problem(404, "no-frame", "no whole frame came in yet")
        else:
            self.answer(200, JPEG[query.get("side", "out")], "image/jpeg", {"ETag": '"1-1-out"'})

    do_PATCH = stub_server.Handler.do_any


class StreamServer(stub_server.StubServer):
    handler = StreamHandler
    planned = (*stub_server.StubServer.planned, "/v1/streams")

    def __init__(self):
        self.streams, self.no_frame = {}, False
        super().__init__()
