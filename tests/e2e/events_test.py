#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events of one node over HTTP: the three modes of CloudEvents, sent by curl and requests, and what is left after a kill or on a full disk."""
import contextlib
import http.client
import json
import secrets
import socket
import subprocess
import tempfile
import time
import unittest

import requests

from harness import Daemon, main, need

WAIT_S = 60


def event(number, **more):
    return {"specversion": "1.0", "id": f"e{number}", "source": "/tests", "type": "io.histod.rollout.k8s.applied", **more}


class EventsTest(unittest.TestCase):
    def daemon(self, *options, **more):
        daemon = Daemon(*options, **more)
        self.addCleanup(daemon.close)
        daemon.write_tokens({**daemon.tokens, "events": secrets.token_hex(16)})
        return daemon.start()

    def post(self, daemon, content_type, body, status=202, role="events", **fields):
        got, _, answer = daemon.request("POST", "/v1/events", body, {"Content-Type": content_type, **fields}, role=role)
        self.assertEqual(got, status, answer[:500])
        return json.loads(answer)

    def batch(self, daemon, events, **more):
        return self.post(daemon, "application/cloudevents-batch+json", json.dumps(events), **more)

    def listed(self, daemon, query="after=0&type=io.histod.rollout&limit=1000"):
        got, _, answer = daemon.request("GET", f"/v1/events?{query}", role="read")
        self.assertEqual(got, 200, answer[:500])
        return json.loads(answer)

    def ids(self, daemon):
        return [each["id"] for each in self.listed(daemon)["events"]]

    def wait_metric(self, daemon, name, least):
        deadline = time.monotonic() + WAIT_S
        while (value := daemon.metric(name)) < least:
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} is {value}, not {least}")
            daemon.pause.wait(0.02)  # another thread writes
        return value

    def test_three_modes_by_curl_and_requests(self):
        need("curl")
        daemon = self.daemon()
        url, token = f"http://127.0.0.1:{daemon.port}/v1/events", daemon.tokens["events"]
        curl = ["curl", "-sS", "--noproxy", "*", "--fail-with-body", "-H", f"@{daemon.folder / 'field'}", url]
        (daemon.folder / "field").write_text(f"Authorization: Bearer {token}\n")
        binary = ["-H", "ce-specversion: 1.0", "-H", "ce-id: e1", "-H", "ce-source: /tests", "-H", "ce-type: io.histod.rollout.k8s.applied",
                  "-H", "ce-subject: caf%C3%A9", "-H", "Content-Type: application/json", "--data-binary", '{"message":"by curl"}']
        done = subprocess.run(curl + binary, capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, json.loads(done.stdout)), (0, {"accepted": 1, "duplicates": 0}), done.stderr)
        structured = ["-H", "Content-Type: application/cloudevents+json; charset=utf-8", "--data-binary", json.dumps(event(2, severity="ok"))]
        self.assertEqual(subprocess.run(curl + structured, capture_output=True, timeout=60, check=False).returncode, 0)
        session = requests.Session()
        self.addCleanup(session.close)
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {token}"
        answer = session.post(url, data=json.dumps([event(1), event(3)]), headers={"Content-Type": "application/cloudevents-batch+json"}, timeout=60)
        self.assertEqual((answer.status_code, answer.json()), (202, {"accepted": 1, "duplicates": 1}))
        events = self.listed(daemon)["events"]
        self.assertEqual([each["id"] for each in events], ["e1", "e2", "e3"])
        self.assertEqual((events[0]["subject"], events[0]["data"]["message"], events[1]["severity"]), ("caf\u00e9", "by curl", "ok"))
        sequences = [int(each["sequence"]) for each in events]
        self.assertEqual(sequences, sorted(set(sequences)))
        greeting = session.options(url, headers={"WebHook-Request-Origin": "events.example"}, timeout=60)
        self.assertEqual((greeting.status_code, greeting.headers["WebHook-Allowed-Origin"]), (204, "*"))

    def test_hostile_requests(self):
        daemon = self.daemon()
        one, batch = "application/cloudevents+json", "application/cloudevents-batch+json"
        for body, kind, status in ((b"{", one, 400), (b"[" * 100_000, batch, 400), (b"\xff\xfe", one, 400), (b"{}", one, 422), (b"", batch, 400),
                                   (json.dumps([event(1), {}]).encode(), batch, 422), (json.dumps([event(n) for n in range(257)]).encode(), batch, 413),
                                   (b" " * (2 << 20), batch, 413), (b"x", "text/plain", 415),
                                   (json.dumps(event(1, data="x" * 70_000)).encode(), one, 422), (json.dumps(event("\n")).encode(), one, 422)):
            self.post(daemon, kind, body, status)
        self.post(daemon, one, json.dumps(event(1)), 403, role="read")
        self.assertEqual(self.ids(daemon), [])
        self.assertGreaterEqual(daemon.metric("histod_events_refused_total"), 9)
        self.assertEqual(daemon.stop(), 0)

    def test_what_the_daemon_tells_of_itself(self):
        daemon = self.daemon()
        for _ in range(30):  # from another address, which is then locked out
            stranger = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60, source_address=("127.0.0.2", 0))
            with contextlib.closing(stranger):
                stranger.request("GET", "/v1/node", headers={"Authorization": "Bearer wrong-token-0123456789"})
                self.assertIn(stranger.getresponse().status, (401, 429))
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=60) as malformed:
            malformed.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
            self.assertIn(b" 400 ", malformed.recv(4096))
        status, _, job = daemon.request("POST", "/v1/jobs", b"P5 2 2 255\n\x00\x01\x02\x03")
        self.assertEqual(status, 202, job)
        daemon.request("GET", f"/v1/jobs/{json.loads(job)['id']}/result?wait=30s")

        def heard():
            events = self.listed(daemon, "after=0&type=io.histod.secops,io.histod.job&limit=1000")["events"]
            return {each["type"]: each for each in events}, events
        deadline = time.monotonic() + WAIT_S
        wanted = {"io.histod.secops.token_refused", "io.histod.secops.rate_limited", "io.histod.secops.request_refused",
                  "io.histod.job.accepted", "io.histod.job.started", "io.histod.job.done"}
        while not wanted <= set(heard()[0]) and time.monotonic() < deadline:
            daemon.pause.wait(0.05)
        by_type, events = heard()
        self.assertLessEqual(wanted, set(by_type))
        refused = [each for each in events if each["type"] == "io.histod.secops.token_refused"]
        self.assertLess(len(refused), 10, "a flood is a few events")
        self.assertEqual((refused[0]["subject"], refused[0]["node"], refused[0]["severity"]), ("127.0.0.2", events[0]["node"], "warning"))
        self.assertEqual(by_type["io.histod.secops.request_refused"]["subject"], "127.0.0.1")
        fallbacks = json.loads(daemon.request("GET", "/v1/node", role="read")[2])["fallbacks"]
        self.assertEqual({each["subject"] for each in events if each["type"] == "io.histod.secops.fallback"}, {each["what"] for each in fallbacks})
        self.assertEqual(by_type["io.histod.job.done"]["subject"], json.loads(job)["id"])
        text = json.dumps(self.listed(daemon, "after=0&limit=1000"))
        for secret in (*daemon.tokens.values(), "wrong-token-0123456789"):
            self.assertNotIn(secret, text)
        self.assertIn("io.histod.log.info", text)

    def test_a_certificate_that_expires_soon(self):
        need("curl", "openssl")
        folder = tempfile.TemporaryDirectory(prefix="histod-e2e-certificate-")
        self.addCleanup(folder.cleanup)
        cert, key = f"{folder.name}/cert.pem", f"{folder.name}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "5", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, timeout=60, check=True)
        daemon = self.daemon("--tls-cert", cert, "--tls-key", key)
        (daemon.folder / "field").write_text(f"Authorization: Bearer {daemon.tokens['read']}\n")
        daemon.wait_log("the certificate expires in 119 hours")
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", cert, "-H", f"@{daemon.folder / 'field'}",
                               f"https://127.0.0.1:{daemon.port}/v1/events?type=io.histod.secops.certificate"], capture_output=True, timeout=60, check=False)
        events = json.loads(done.stdout)["events"]
        self.assertEqual([(each["type"], each["severity"], each["data"]["hours"]) for each in events],
                         [("io.histod.secops.certificate_expiry", "warning", 119)], done.stderr)

    def test_kill_and_restart_keep_events_and_sequence(self):
        daemon = self.daemon("--event-ring", "500")
        for first in range(0, 600, 100):
            self.batch(daemon, [event(number) for number in range(first, first + 100)])
        before = self.listed(daemon)
        self.wait_metric(daemon, "histod_events_spooled_total", daemon.metric("histod_events_published_total"))
        daemon.kill()
        daemon.start()
        after = self.listed(daemon)
        ids = [each["id"] for each in after["events"]]
        self.assertEqual(ids[-400:], [f"e{number}" for number in range(200, 600)])
        kept = {each["id"]: each for each in before["events"]}
        self.assertTrue(all(kept[each["id"]] == each for each in after["events"] if each["id"] in kept))
        self.assertEqual((after["identity"], after["last"] > before["last"]), (before["identity"], True))
        self.assertEqual(self.batch(daemon, [event(599), event(600)]), {"accepted": 1, "duplicates": 1})
        behind = self.listed(daemon, f"after={before['last']}&type=io.histod.rollout")["events"]
        self.assertEqual([each["id"] for each in behind], ["e600"])
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.assertEqual(self.ids(daemon)[-2:], ["e599", "e600"])

    def test_a_full_disk_counts_and_stops_nobody(self):
        folder = tempfile.TemporaryDirectory(prefix="histod-e2e-full-")
        self.addCleanup(folder.cleanup)
        mount = f"mkdir -p {folder.name}/spool && mount -t tmpfs -o size=1m,mode=700 histod-test {folder.name}/spool"
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
            print("skipped: no mount namespace may be made here", flush=True)
            self.skipTest("no mount namespace may be made here")
        daemon = self.daemon(prefix=["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh"], folder=folder.name)
        for first in range(0, 300, 20):
            self.batch(daemon, [event(number, data={"message": "x" * 5_000}) for number in range(first, first + 20)])
        self.wait_metric(daemon, "histod_events_spool_failures_total", 1)
        self.assertEqual(self.ids(daemon)[-1], "e299")
        self.assertIn("the spool of events is in trouble", daemon.log())
        self.assertEqual(daemon.log().count("the spool of events is in trouble"), 1)
        self.assertEqual(daemon.request("GET", "/healthz")[0], 200)
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    main()
