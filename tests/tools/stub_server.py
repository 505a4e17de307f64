# SPDX-License-Identifier: Apache-2.0
"""A small histod for client tests. It answers as daemon/api/openapi.yaml says, checks every request against that document,
and keeps a list of what a client did wrong (`violations`) and of all it was asked (`log`).

Trouble is planned beforehand: each request to a path of images or jobs takes the next entry of `plans`, if there is one:
  {"status": 503, "fields": {"Retry-After": "1"}, "problem": {...}}   answer with that problem
  "drop"                                                              close the connection without an answer
  "hold"                                                              set `held`, then wait for `release`
  "short"                                                             promise more bytes than are sent
"""
import collections
import copy
import hashlib
import http.server
import json
import os
import re
import secrets
import socket
import ssl
import threading
import urllib.parse

import yaml

TOKENS = {"read-token-1": "read", "submit-token-2": "submit", "admin-token-3": "admin"}
RANK = {"read": 1, "submit": 2, "admin": 3}
BODY_BYTES_MAX = 4 << 20
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MEDIA = {b"P5": ("pgm", "image/x-portable-graymap"), b"\x89P": ("png", "image/png")}

Exchange = collections.namedtuple("Exchange", "method path query fields body")


def load_description():
    with open(os.path.join(os.environ["HISTOD_SOURCE"], "daemon/api/openapi.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def resolve(description, node):
    while isinstance(node, dict) and "$ref" in node:
        merged = {key: value for key, value in node.items() if key != "$ref"}
        target = description
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = {**target, **merged}
    return node


def fits(description, schema, text):
    """Whether the text of a query parameter fits its schema (the part of JSON Schema that parameters use)."""
    schema = resolve(description, schema)
    if "oneOf" in schema:
        return sum(fits(description, each, text) for each in schema["oneOf"]) == 1
    if "enum" in schema and text not in schema["enum"] or "const" in schema and text != schema["const"]:
        return False
    if schema.get("type") in ("integer", "number"):
        try:
            value = int(text) if schema["type"] == "integer" else float(text)
        except ValueError:
            return False
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return "pattern" not in schema or re.search(schema["pattern"], text) is not None


def parse_pgm(data):
    """(width, height, samples) of an 8-bit binary PGM without comments, or None."""
    match = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", data)
    if not match:
        return None
    width, height = int(match[1]), int(match[2])
    samples = data[match.end():]
    return (width, height, samples) if len(samples) == width * height else None


def exact_lut(samples, skipped=()):
    """rule=exact for 8 bit, by the formula."""
    counts = [0] * 256
    for position, sample in enumerate(samples):
        counts[sample] += position not in skipped
    total = sum(counts)
    first = next((value for value in range(256) if counts[value]), None)
    if first is None or counts[first] == total:
        return counts, list(range(256))
    span = total - counts[first]
    lut, running = [], 0
    for value in range(256):
        running += counts[value]
        lut.append(max(0, ((running - counts[first]) * 255 + span // 2) // span) if value >= first else 0)
    return counts, lut


def equalized(data):
    """(result, table): a real result for an 8-bit PGM, a recognizable one for other bytes."""
    pgm = parse_pgm(data)
    if pgm is None:
        return b"EQ:" + data, list(range(256))
    _, lut = exact_lut(pgm[2])
    return b"P5\n%d %d\n255\n" % pgm[:2] + bytes(lut[s] for s in pgm[2]), lut


def digest_of(lut):
    return "sha-256=" + hashlib.sha256(bytes(lut)).hexdigest()


def parse_form(content_type, body):
    """{part name: (filename, bytes)} of multipart/form-data."""
    boundary = b"--" + re.search(r'boundary="?([^";]+)', content_type)[1].encode()
    parts = {}
    for chunk in body.split(boundary)[1:-1]:
        head, _, content = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        disposition = re.search(rb"(?i)content-disposition:([^\r\n]*)", head)[1].decode()
        filename = re.search(r'filename="([^"]*)"', disposition)
        parts[re.search(r'[; ]name="([^"]*)"', disposition)[1]] = (filename and filename[1], content.removesuffix(b"\r\n"))
    return parts


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", content_type="application/json", fields=None):
        self.send_response(status)
        if status != 204:
            fields = {"Content-Type": content_type, "Content-Length": str(len(body)), **(fields or {})}
        for name, value in (fields or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def problem(self, status, code, detail, fields=None, **more):
        document = {"type": f"urn:histod:problem:{code}", "title": code.replace("-", " "), "status": status,
                    "detail": detail, **more}
        if status >= 400 and "Expect" in self.headers:
            self.close_connection = True
        self.answer(status, json.dumps(document).encode(), "application/problem+json", fields)

    def handle_expect_100(self):
        """The body is refused before it is sent, as histod does."""
        return self.admit() and super().handle_expect_100()

    def role(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return TOKENS.get(token) if scheme == "Bearer" else None

    def admit(self):
        operation = self.operation()
        if operation is None:
            return False
        if operation.get("security") != []:
            needed = "read" if self.command == "GET" else "submit"
            role = self.role()
            if role is None:
                self.problem(401, "unauthorized", "the token is missing or unknown", {"WWW-Authenticate": "Bearer"})
                return False
            if RANK[role] < RANK[needed]:
                self.problem(403, "forbidden", "this needs another role", value=role, limit=needed)
                return False
        length = int(self.headers.get("Content-Length", 0))
        if length > self.server.body_bytes_max:
            self.problem(413, "too-large", "the body is too large", value=length, limit=self.server.body_bytes_max)
            return False
        return self.check_query(operation)

    def operation(self):
        """The description of what is asked for; answers 404 or 405 when there is none."""
        description = self.server.description
        path = urllib.parse.urlsplit(self.path).path
        for template, item in description["paths"].items():
            if not re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
                continue
            if self.command.lower() in item:
                return item[self.command.lower()]
            self.violation(f"{self.command} {path}: no such method")
            self.problem(405, "method-not-allowed", "the method is not allowed", {"Allow": "GET"})
            return None
        self.violation(f"{path}: no such path")
        self.problem(404, "not-found", "there is nothing here")
        return None

    def check_query(self, operation):
        description = self.server.description
        known = {p["name"]: p for p in (resolve(description, p) for p in operation.get("parameters", []))
                 if p["in"] == "query"}
        seen = set()
        for name, value in urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True):
            if name not in known or name in seen or not fits(description, known[name]["schema"], value):
                self.violation(f"{self.path}: option {name}={value}")
                self.problem(400, "bad-option", f"option {name} is unknown, doubled or out of bounds", value=value)
                return False
            seen.add(name)
        if seen & {"clip", "tiles"} and "method=clahe" not in self.path:
            self.violation(f"{self.path}: clip and tiles without method=clahe")
            self.problem(400, "bad-option", "clip and tiles belong to method=clahe")
            return False
        return True

    def violation(self, text):
        self.server.violations.append(text)

    def do_any(self):
        if "Expect" not in self.headers and not self.admit():
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.server.log.append(Exchange(self.command, url.path, query, dict(self.headers.items()), body))
        named = "file" in query
        if self.command in ("POST", "PUT") and named != (not body) and not self.bodiless(url.path):
            self.violation(f"{self.path}: no body, or one beside a file")
        plan = self.server.next_plan(url.path)
        if plan == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if plan == "hold":
            self.server.held.set()
            self.server.release.wait(60)
        if plan == "short":
            self.close_connection = True
            self.answer(200, b"only this", "image/png", {"Content-Length": "1000"})
            return
        if isinstance(plan, dict):
            code, detail = plan.get("code", "overloaded"), plan.get("detail", "no memory for this request at the moment")
            self.problem(plan["status"], code, detail, plan.get("fields"), **plan.get("more", {}))
            return
        if named and query["file"] not in self.server.files:
            self.problem(404, "not-found", f"{query['file']}: there is no such file")
            return
        self.route(url.path, query, body)

    do_GET = do_POST = do_PUT = do_DELETE = do_any

    def bodiless(self, path):
        """Whether a POST to this path says all by its path and query."""
        return False

    def image_of(self, body):
        """(image, mask, filename) of the body, or an image alone."""
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if not body and "file" in query:
            return self.server.files[query["file"]], None, query["file"].rsplit("/", 1)[1]
        content_type = self.headers.get("Content-Type", "")
        if not content_type.startswith("multipart/form-data"):
            return body, None, None
        parts = parse_form(content_type, body)
        for name in set(parts) - {"image", "mask"}:
            self.violation(f"form part {name}")
        return parts["image"][1], parts.get("mask", (None, None))[1], parts["image"][0]

    def route(self, path, query, body):
        if path == "/v1/equalize":
            self.equalize(body)
        elif path == "/v1/histogram":
            self.histogram(query, body)
        elif path == "/v1/jobs":
            self.submit(query, body) if self.command == "POST" else self.list_jobs(query)
        elif path.startswith("/v1/jobs/"):
            self.job(*path.removeprefix("/v1/jobs/").split("/"))
        elif path == "/readyz":
            ready = self.server.ready
            self.answer(200 if ready else 503, json.dumps({"ready": ready, "draining": not ready}).encode())
        elif path == "/v1/node":
            self.answer(200, json.dumps(NODE).encode())
        elif path == "/v1/cluster":
            self.answer(200, json.dumps(self.server.cluster).encode())

    def equalize(self, body):
        image, _, filename = self.image_of(body)
        result, lut = equalized(image)
        fields = {"Histod-Lut-Digest": digest_of(lut), "Histod-Version": "9.9.9",
                  "Server-Timing": "receive;dur=0.5, decode;dur=1.25, total;dur=3"}
        if filename:
            fields["Content-Disposition"] = f'inline; filename="{os.path.splitext(filename)[0]}_equalized.pgm"'
        self.answer(200, result, MEDIA.get(image[:2], MEDIA[b"P5"])[1], fields)

    def histogram(self, query, body):
        image, mask, _ = self.image_of(body)
        pgm = parse_pgm(image)
        if pgm is None:
            self.problem(415, "unknown-format", "no known image format begins like this")
            return
        skipped = {i for i, m in enumerate(parse_pgm(mask)[2]) if m == 0} if mask else ()
        counts, lut = exact_lut(pgm[2], skipped)
        total = sum(counts)
        first = next((i for i in range(256) if counts[i]), 0)
        cdf = [sum(counts[:i + 1]) for i in range(256)]
        after = [0] * 256
        for value, count in enumerate(counts):
            after[lut[value]] += count
        plane = {"page": 0, "channel": 0, "levels": 256, "rule": query.get("rule", "opencv"), "method": "global",
                 "counted": total, "masked": len(skipped), "nodata_collisions": 0, "first_bin": first,
                 "first_count": counts[first], "min": first, "max": max(i for i in range(256) if counts[i]),
                 "mean": sum(i * c for i, c in enumerate(counts)) / total, "stddev": 1.5, "median": 3,
                 "entropy_bits": 2.5, "histogram": counts, "cdf": cdf, "lut": lut, "after": after}
        self.answer(200, json.dumps({"format": "pgm", "width": pgm[0], "height": pgm[1], "depth": 8, "channels": 1,
                                     "pages": 1, "lut_digest": digest_of(lut), "program_version": "9.9.9",
                                     "planes": [plane]}).encode())

    def submit(self, query, body):
        key = self.headers.get("Idempotency-Key")
        with self.server.lock:
            image, mask, _ = self.image_of(body)
            request = (tuple(sorted(query.items())), hashlib.sha256(image).hexdigest(), mask)
            known = self.server.keys.get(key)
            if known and known[0] != request:
                self.problem(409, "conflict", "the key belongs to another request")
                return
            job_id = known[1] if known else self.server.add_job(query, self.image_of(body))
            if key:
                self.server.keys[key] = (request, job_id)
        fields = {"Location": f"/v1/jobs/{job_id}"}
        if known:
            fields["Idempotency-Replayed"] = "true"
        self.answer(202, json.dumps(self.server.jobs[job_id]["record"]).encode(), fields=fields)

    def list_jobs(self, query):
        records = [job["record"] for job in reversed(self.server.jobs.values())]
        records = [r for r in records if query.get("state") in (None, r["state"])][:int(query.get("limit", 100))]
        self.answer(200, json.dumps({"jobs": records, **self.server.missing()}).encode())

    def job(self, job_id, result=None):
        job = self.server.jobs.get(job_id)
        if job is None:
            self.problem(404, "not-found", "there is no such job", value=job_id)
        elif self.command == "DELETE":
            del self.server.jobs[job_id]
            self.answer(204)
        elif result:
            self.job_result(job)
        else:
            self.server.advance(job)
            self.answer(200, json.dumps(job["record"]).encode())

    def job_result(self, job):
        record = job["record"]
        if record["state"] != "done":
            gone = record["state"] in ("failed", "cancelled")
            self.problem(410 if gone else 409, "conflict", f"the job is {record['state']}")
            return
        self.answer(200, job["bytes"], record["result"]["media_type"],
                    {"Histod-Lut-Digest": record["result"]["lut_digest"], "Histod-Version": "9.9.9"})


NODE = {
    "version": "9.9.9", "backend": "epoll", "node_name": "stub", "uptime_s": 93784,
    "workers": [{"cpu": 0, "numa_node": 0, "bytes_in_flight": 12, "leased_bytes": 2097152, "budget_bytes": 1073741824,
                 "pages": "4 KiB"}],
    "arenas": [{"cpus": [0, 1], "threads": 2}], "isa": "avx2",
    "fallbacks": [{"what": "huge pages", "why": "none are reserved"}],
    "fleet": {"zookeeper": "CONNECTED", "embedded": True, "members": 1, "role": "leader", "epoch": 1, "alert": False}, "limits": {"body_bytes": BODY_BYTES_MAX},
}

CLUSTER = {
    "node_name": "n2", "role": "member", "min_nodes": 3, "alert": False,
    "zookeeper": {"state": "CONNECTED", "since": "2026-01-02T03:04:05.678Z", "embedded": False, "servers": ["zk1:2181", "zk2:2181"],
                  "session_id": "0x1001", "session_timeout_ms": 4000},
    "leader": {"name": "n1", "epoch": 7},
    "members": [{"name": f"n{i}", "id": f"id{i}", "url": f"http://n{i}:8080", "version": "9.9.9", "cpus": 4, "self": i == 2,
                 "leader": i == 1} for i in (1, 2, 3)],
    "counts": {"elections_won": 1, "sessions": 3, "suspensions": 5, "session_losses": 2},
}


class StubServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    handler = Handler
    planned = ("/v1/equalize", "/v1/histogram", "/v1/jobs")  # beginnings of paths that plans are for

    def __init__(self, certificate=None):
        """`certificate`: a PEM file with key and certificate makes it https."""
        super().__init__(("127.0.0.1", 0), self.handler)
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"
        self.description = load_description()
        self.body_bytes_max = BODY_BYTES_MAX
        self.ready = True
        self.unreachable = []  # nodes of the fleet whose jobs lists lack
        self.cluster = copy.deepcopy(CLUSTER)
        self.plans = collections.deque()
        self.violations, self.log = [], []
        self.jobs, self.keys = {}, {}
        self.fail_jobs = False
        self.files, self.full_volume = {}, False  # of shared volumes; nothing can be written there
        self.lock = threading.Lock()
        self.held, self.release = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def missing(self):
        return {"unreachable": self.unreachable} if self.unreachable else {}

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass  # a client that goes away is a test's intention

    def stop(self):
        self.release.set()
        self.shutdown()
        self.server_close()

    def next_plan(self, path):
        if not path.startswith(self.planned):
            return None
        with self.lock:
            return self.plans.popleft() if self.plans else None

    def add_job(self, query, image, named=None):
        job_id = "".join(secrets.choice(CROCKFORD) for _ in range(26))
        options = {name: value for name, value in query.items() if name not in ("file", "result", "overwrite")}
        record = {"id": job_id, "state": "queued", "created_at": "2026-01-02T03:04:05.678Z", "options": options,
                  "input": {"bytes": len(image[0]), "sha256": hashlib.sha256(image[0]).hexdigest(),
                            "filename": image[2] or ""},
                  "attempts": 0, "program_version": "9.9.9"}
        named = named or query
        if "file" in named:
            record["input"]["file"] = named["file"]
        if "result" in named:
            record["result_file"] = named["result"]
        self.jobs[job_id] = {"record": record, "image": image[0], "bytes": b""}
        return job_id

    def advance(self, job):
        """queued -> running -> done (or failed), a step for each time that somebody looks."""
        record = job["record"]
        if record["state"] == "queued":
            record.update(state="running", attempts=1)
        elif record["state"] == "running" and self.fail_jobs:
            record.update(state="failed", error={"type": "urn:histod:problem:broken-image", "title": "broken image",
                                                 "status": 422, "detail": "the file ends early", "value": 10,
                                                 "limit": 20})
        elif record["state"] == "running":
            job["bytes"], lut = equalized(job["image"])
            record.update(state="done", result={"bytes": len(job["bytes"]), "media_type": "image/x-portable-graymap",
                                                "lut_digest": digest_of(lut),
                                                "href": f"/v1/jobs/{record['id']}/result"})
            if self.full_volume and "result_file" in record:
                record["error"] = {"type": "urn:histod:problem:file-failed", "title": "volume failed", "status": 503,
                                   "detail": f"{record['result_file']}: no room"}
