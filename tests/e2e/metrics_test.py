#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a live daemon tells Prometheus, by Prometheus' own linter and by another reader of OpenMetrics; and that the dashboard, the rules
and their tests in deploy/observability name only what is told."""
import json
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

import images
from harness import Daemon, main

try:
    from prometheus_client import parser as text_parser
    from prometheus_client.openmetrics import parser as openmetrics_parser
except ImportError:
    text_parser = openmetrics_parser = None

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "observability"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PROMETHEUS_ACCEPTS = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
NAME = re.compile(r"\b((?:histod|process)_[a-z0-9_]+)\b(?:\{([^}]*)\})?")
# Said of every target by Prometheus itself.
OWN_LABELS = {"job", "instance"}


def certificate(folder):
    """A key and a certificate that signs itself."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-keyout", str(key),
                    "-out", str(cert)], check=True, capture_output=True)
    return key, cert


class Case(unittest.TestCase):
    def promtool(self, *words, text=None):
        if shutil.which("promtool") is None:
            reason = "promtool is missing: install prometheus (tools/test does)"
            print(f"skipped: {reason}", flush=True)
            self.skipTest(reason)
        done = subprocess.run(["promtool", *map(str, words)], input=text, capture_output=True, text=True, cwd=FOLDER, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def need_parser(self):
        if text_parser is None:
            reason = "prometheus_client is missing: install python3-prometheus-client (tools/test does)"
            print(f"skipped: {reason}", flush=True)
            self.skipTest(reason)


class MetricsTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()
        picture = images.encode(images.noisy(64, 48, 1, 1, 200), "png")
        assert cls.daemon.request("POST", "/v1/equalize", picture)[0] == 200
        assert cls.daemon.request("POST", "/v1/equalize", b"no image")[0] == 415
        status, _, body = cls.daemon.request("POST", "/v1/jobs", picture)
        assert status == 202, body
        job = json.loads(body)["id"]
        while json.loads(cls.daemon.request("GET", f"/v1/jobs/{job}")[2])["state"] != "done":
            cls.daemon.pause.wait(0.02)  # the daemon's own word: there is nothing else to wait for
        assert cls.daemon.request("GET", "/v1/node", role=None)[0] == 401
        # Workers say what they have done once in a while.
        while cls.daemon.metric("histod_images_processed_total") < 2 or cls.daemon.metric("histod_image_failures_total") < 1:
            cls.daemon.pause.wait(0.02)
        cls.text = cls.scrape(None, TEXT)
        cls.openmetrics = cls.scrape(PROMETHEUS_ACCEPTS, OPENMETRICS)

    @classmethod
    def scrape(cls, accept, media_type):
        status, fields, body = cls.daemon.request("GET", "/metrics", headers={"Accept": accept} if accept else {}, role=None)
        assert (status, fields["content-type"], fields["vary"]) == (200, media_type, "Accept"), fields
        return body.decode()

    def families(self, text=None):
        self.need_parser()
        return {family.name: family for family in openmetrics_parser.text_string_to_metric_families(text or self.openmetrics)}

    def samples(self, families):
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}

    def test_prometheus_linter_is_content(self):
        self.assertEqual(self.promtool("check", "metrics", text=self.text), "")

    def test_openmetrics_is_read_by_another_reader(self):
        self.assertTrue(self.openmetrics.endswith("# EOF\n"))
        families = self.families()
        self.assertEqual(families["histod_build"].type, "info")
        self.assertEqual(families["histod_zookeeper_session_state"].type, "stateset")
        self.assertEqual((families["histod_images_processed"].type, families["histod_images_processed"].unit), ("counter", ""))
        self.assertEqual((families["histod_http_sent_bytes"].type, families["histod_http_sent_bytes"].unit), ("counter", "bytes"))
        durations = families["histod_request_duration_seconds"]
        self.assertEqual((durations.type, durations.unit), ("histogram", "seconds"))
        for family in families.values():
            self.assertTrue(family.documentation.endswith("."), family.name)
            if re.search(r"_(seconds|bytes)$", family.name):
                self.assertEqual(family.unit, family.name.rsplit("_", 1)[1])
        states = {sample.labels["histod_zookeeper_session_state"]: sample.value for sample in families["histod_zookeeper_session_state"].samples}
        self.assertEqual(states, {"CONNECTING": 0, "CONNECTED": 1, "SUSPENDED": 0, "LOST": 0})

    def test_both_forms_have_the_same_samples(self):
        families = self.families().values()
        text = self.samples(text_parser.text_string_to_metric_families(self.text))
        self.assertEqual(set(text), set(self.samples(families)))

    def test_values_are_those_of_what_was_done(self):
        self.need_parser()
        samples = self.samples(text_parser.text_string_to_metric_families(self.text))
        durations = {kind: samples["histod_request_duration_seconds_count", (("kind", kind),)] for kind in
                     ("refused", "image", "submit", "read", "change", "peer")}
        self.assertEqual({kind: durations[kind] for kind in ("image", "submit", "change", "peer")}, {"image": 2, "submit": 1, "change": 0, "peer": 0})
        self.assertGreaterEqual(durations["refused"], 1)
        self.assertGreaterEqual(durations["read"], 1)
        for (name, labels), value in samples.items():
            if name == "histod_request_duration_seconds_bucket" and ("le", "+Inf") in labels:
                self.assertEqual(value, durations[dict(labels)["kind"]])
        self.assertEqual(samples["histod_job_duration_seconds_count", ()], 1)
        self.assertEqual(samples["histod_jobs", (("state", "done"),)], 1)
        self.assertEqual(samples["histod_iouring_enabled", ()], int('backend="io_uring"' in self.text))
        self.assertGreater(samples["process_resident_memory_bytes", ()], 1e6)
        self.assertGreater(samples["process_start_time_seconds", ()], 1.7e9)

    def test_dashboard_and_rules_name_what_there_is(self):
        told = {}
        for line in self.text.splitlines():
            if match := re.match(r"# TYPE (\S+) (\S+)$", line):
                names = [match[1] + end for end in ("_bucket", "_sum", "_count")] if match[2] == "histogram" else [match[1]]
                told.update({name: None for name in names})
            elif match := re.match(r"([a-z0-9_]+)(?:\{(.*)\})? \S+$", line):
                labels = told[match[1]] = told[match[1]] or set()
                labels.update(re.findall(r'(\w+)="', match[2] or ""))
        asked = set()
        for where, expression in expressions():
            for name, matchers in NAME.findall(expression):
                self.assertIn(name, told, where)
                asked.add(name)
                labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers))
                if told[name] is not None:  # a family without samples now
                    self.assertLessEqual(labels, told[name] | OWN_LABELS, f"{where}: {name}")
        self.assertGreater(len(asked), 50, "the dashboard shows most of what there is")


class CertificateTest(Case):
    def test_its_end_is_told(self):
        daemon = Daemon(scheme="https")
        self.addCleanup(daemon.close)
        key, cert = certificate(daemon.folder)
        daemon.options += ["--tls-cert", str(cert), "--tls-key", str(key)]
        daemon.start()
        done = subprocess.run(["curl", "-sk", "--noproxy", "*", f"https://127.0.0.1:{daemon.port}/metrics"], capture_output=True, text=True, check=True)
        told = float(re.search(r"^histod_certificate_expiry_timestamp_seconds (\S+)$", done.stdout, re.M)[1])
        words = ["openssl", "x509", "-in", str(cert), "-noout", "-checkend"]
        said = subprocess.run(["openssl", "x509", "-in", str(cert), "-noout", "-enddate"], capture_output=True, text=True, check=True).stdout
        ends = subprocess.run(["date", "-d", said.split("=", 1)[1].strip(), "+%s"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(told, float(ends))
        self.assertEqual(subprocess.run([*words, "86400"], capture_output=True, check=False).returncode, 0)


def expressions():
    """(where, PromQL) of all panels, annotations, variables and rules."""
    dashboard = json.loads((FOLDER / "histod-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for note in dashboard["annotations"]["list"]:
        if "expr" in note:
            yield f"annotation {note['name']}", note["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["definition"]
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]


class ObservabilityTest(Case):
    def test_rules_are_right_and_do_what_their_tests_say(self):
        self.promtool("check", "rules", "alerts.yml")
        self.promtool("check", "config", "prometheus.yml")
        self.promtool("test", "rules", "alerts_test.yml")

    def test_each_alert_has_a_case_that_fires_and_one_that_does_not(self):
        alerts = {rule["alert"] for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]}
        cases = {(case["alertname"], bool(case["exp_alerts"])) for test in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
                 for case in test["alert_rule_test"]}
        self.assertEqual(cases, {(alert, fires) for alert in alerts for fires in (True, False)})

    def test_every_expression_of_the_dashboard_is_promql(self):
        rules = [{"record": f"panel:{number}", "expr": re.sub(r"\$(\{datasource\}|node)", ".*", expression).replace("$__rate_interval", "5m")}
                 for number, (where, expression) in enumerate(expressions()) if not where.startswith("variable")]
        self.promtool("check", "rules", "/dev/stdin", text=json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    def test_the_dashboard_is_one(self):
        dashboard = json.loads((FOLDER / "histod-dashboard.json").read_text())
        self.assertEqual([variable["name"] for variable in dashboard["templating"]["list"]], ["datasource", "node"])
        taken, ids = set(), set()
        for panel in dashboard["panels"]:
            self.assertNotIn(panel["id"], ids)
            ids.add(panel["id"])
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, f"{panel['title']} lies on another panel")
            taken |= cells
            if panel["type"] == "row":
                continue
            self.assertEqual(panel["datasource"]["uid"], "${datasource}", panel["title"])
            for target in panel["targets"]:
                self.assertIn('instance=~"$node"', target["expr"], panel["title"])
        titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertEqual(len(titles), len(set(titles)))


if __name__ == "__main__":
    main()
