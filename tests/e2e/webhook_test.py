#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who is told that a dataset is done: a scripted receiver that refuses at first, signatures by Python's hmac."""
import hmac
import http.server
import json
import queue
import threading
import unittest

import images
from harness import Daemon, main

KEY = "key-of-the-webhooks-0123"
WAIT_S = 120


class Receiver:
    """Answers by `statuses` in turn, then with 204, once `may_answer` is set."""

    def __init__(self, address="127.0.0.1"):
        self.statuses, self.heard, self.callers = [], queue.Queue(), []
        self.may_answer = threading.Event()
        self.may_answer.set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                receiver.callers.append(self.client_address[0])
                receiver.heard.put((status, self.path, dict(self.headers), body))
                receiver.may_answer.wait(WAIT_S)
                try:
                    self.send_response(status)
                    self.end_headers()
                except OSError:
                    pass  # who asked is dead

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.place = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def next(self, case):
        status, path, fields, body = self.heard.get(timeout=WAIT_S)
        wanted = "sha256=" + hmac.new(KEY.encode(), body, "sha256").hexdigest()
        case.assertEqual((path, fields["Histod-Signature"], fields["Content-Type"]), ("/done?job=7", wanted, "application/json"))
        return status, json.loads(body)


class WebhookTest(unittest.TestCase):
    def setUp(self):
        self.receiver = Receiver()
        self.addCleanup(self.receiver.stop)
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        key = self.daemon.folder / "webhook-key"
        key.touch(mode=0o600)
        key.write_text(KEY + "\n")
        self.daemon.options += ["--log-level", "debug", "--webhook-allow", self.receiver.place, "--webhook-secret-file", str(key)]
        self.daemon.start()

    def ask(self, method, path, body=None, status=200):
        got, _, answer = self.daemon.request(method, path, body)
        self.assertEqual(got, status, answer[:500])
        return json.loads(answer) if answer else None

    def create(self):
        return self.ask("POST", f"/v1/datasets?rule=exact&webhook=http://{self.receiver.place}/done%3Fjob=7", status=201)["id"]

    def add(self, dataset, *seeds):
        for seed in seeds:
            self.ask("POST", f"/v1/datasets/{dataset}/images", images.encode(images.noisy(40, 30, seed, 1, 90), "png"), 202)

    def wait(self, dataset, condition):
        while not condition(state := self.ask("GET", f"/v1/datasets/{dataset}")):
            self.daemon.pause.wait(0.05)  # the daemon's own word: there is nothing else to wait for
        return state

    def finalize_and_apply(self, dataset):
        self.wait(dataset, lambda state: state["progress"]["phase"] == "idle")
        state = self.ask("POST", f"/v1/datasets/{dataset}/finalize")
        self.ask("POST", f"/v1/datasets/{dataset}/apply", status=202)
        return state["lut"]

    def wait_noted(self, dataset, revision):
        return self.wait(dataset, lambda state: state["webhook"]["notified_revision"] == revision)

    def test_told_once_for_each_revision_through_refusals_and_a_crash(self):
        self.receiver.statuses[:] = [500, 302]
        dataset = self.create()
        self.add(dataset, 1, 2, 3)
        broken = images.encode(images.noisy(40, 30, 9, 1, 90), "png")[:600]
        self.ask("POST", f"/v1/datasets/{dataset}/images", broken, 202)
        lut = self.finalize_and_apply(dataset)
        told = {"dataset": dataset, "revision": 1, "digest": lut["digest"], "images": 4, "failed": 1}
        for status in (500, 302, 204):
            self.assertEqual(self.receiver.next(self), (status, told))
        state = self.wait_noted(dataset, 1)
        self.assertEqual(state["webhook"]["to"], f"http://{self.receiver.place}", "the path may be a secret")
        self.assertEqual((self.daemon.metric("histod_webhooks_sent_total"), self.daemon.metric("histod_webhooks_failed_total")), (1, 2))

        self.daemon.kill()
        self.daemon.start()
        self.add(dataset, 4)
        lut = self.finalize_and_apply(dataset)
        told = {"dataset": dataset, "revision": 2, "digest": lut["digest"], "images": 5, "failed": 1}
        self.assertEqual(self.receiver.next(self), (204, told), "of revision 1 nothing was said again")
        self.wait_noted(dataset, 2)
        self.assertTrue(self.receiver.heard.empty())

    def test_he_is_told_in_the_trace_of_the_request(self):
        trace, other = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"

        def traced(path, body=None, traceparent=f"00-{trace}-00f067aa0ba902b7-01"):
            status, _, answer = self.daemon.request("POST", path, body, {"traceparent": traceparent})
            self.assertIn(status, (200, 201, 202), answer[:500])
            return json.loads(answer)

        dataset = traced(f"/v1/datasets?rule=exact&webhook=http://{self.receiver.place}/done%3Fjob=7", traceparent=f"00-{other}-b7ad6b7169203331-00")["id"]
        job = traced(f"/v1/datasets/{dataset}/images", images.encode(images.noisy(40, 30, 1, 1, 90), "png"))
        self.assertEqual(job["trace_id"], trace)
        self.wait(dataset, lambda state: state["progress"]["phase"] == "idle")
        traced(f"/v1/datasets/{dataset}/finalize")
        self.assertIn("digest", self.ask("POST", f"/v1/datasets/{dataset}/apply", status=202)["lut"], "a request without a trace changes nothing of it")
        fields = self.receiver.heard.get(timeout=WAIT_S)[2]
        version, told, parent, flags = fields["traceparent"].split("-")
        self.assertEqual((version, told, flags), ("00", trace, "01"))
        self.assertRegex(parent, "^(?!00f067aa0ba902b7)[0-9a-f]{16}$")
        self.wait_noted(dataset, 1)
        for message in ("job accepted", "an attempt at a job ended", "somebody was told that a dataset is done"):
            self.assertRegex(self.daemon.log(), f'level=info msg="{message}".*trace_id={trace}')
        self.assertRegex(self.daemon.log(), f"level=debug msg=request .*trace_id={other}", "which is not sampled")

        # What is no valid traceparent is none, and no trace begins.
        for bad in (f"00-{trace.upper()}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{trace}-00f067aa0ba902b7-01", ""):
            job = traced("/v1/jobs", images.encode(images.noisy(40, 30, 1, 1, 90), "png"), bad)
            self.assertNotIn("trace_id", job)
        dataset = self.create()
        self.add(dataset, 1)
        self.finalize_and_apply(dataset)
        self.assertNotIn("traceparent", self.receiver.heard.get(timeout=WAIT_S)[2])

    def test_what_is_not_applied_is_not_told(self):
        quiet, applied = self.create(), self.create()
        self.add(quiet, 1)
        self.add(applied, 1)
        self.wait(quiet, lambda state: state["progress"]["phase"] == "idle")
        self.ask("POST", f"/v1/datasets/{quiet}/finalize")
        self.finalize_and_apply(applied)
        self.assertEqual(self.receiver.next(self)[1]["dataset"], applied)
        self.wait_noted(applied, 1)
        self.assertTrue(self.receiver.heard.empty())

    def test_others_are_not_called(self):
        for url, part in (("http://127.0.0.1:1/", "--webhook-allow"), (f"http://x@{self.receiver.place}/", "host"),
                          (f"ftp://{self.receiver.place}/", "http://")):
            answer = self.ask("POST", f"/v1/datasets?webhook={url}", status=400)
            self.assertIn(part, answer["detail"])


if __name__ == "__main__":
    main()
