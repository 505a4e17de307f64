# SPDX-License-Identifier: Apache-2.0
"""histoctl, the Python example and the API's description against the real daemon."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import stub_server
from harness import HISTOCTL, pgm

TOKENS = {"read": "read-token-0123456789abcdef", "submit": "submit-token-0123456789abcdef",
          "admin": "admin-token-0123456789abcdef"}
UPLOAD_BYTES_MAX = 2 << 20
KINDS = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}


def mismatch(description, schema, value, where="$"):
    """Why the value does not fit the schema (the part of JSON Schema that the description uses), or None."""
    schema = stub_server.resolve(description, schema)
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kinds and not any(isinstance(value, KINDS[kind]) if kind in KINDS else number and (kind == "number" or value % 1 == 0)
                         for kind in kinds):
        return f"{where}: {value!r} is no {kinds}"
    if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
        return f"{where}: {value!r} is not allowed"
    if number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return f"{where}: {value} is out of bounds"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return f"{where}: {value} does not match"
    if isinstance(value, list):
        return next(filter(None, (mismatch(description, schema["items"], v, f"{where}[{i}]")
                                  for i, v in enumerate(value))), None)
    if isinstance(value, dict):
        missing = set(schema.get("required", [])) - set(value)
        if missing:
            return f"{where}: without {sorted(missing)}"
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        if known and rest is None and set(value) - set(known):
            return f"{where}: {sorted(set(value) - set(known))} are not described"
        return next(filter(None, (mismatch(description, known.get(key, rest or {}), v, f"{where}.{key}")
                                  for key, v in value.items())), None)
    return None


class Daemon:
    def __init__(self, folder):
        self.token_file = folder / "token"
        self.token_file.write_text("".join(f"{role} {token} {role}-user\n" for role, token in TOKENS.items()))
        self.token_file.chmod(0o600)
        self.process = subprocess.Popen(
            [os.environ["HISTOD"], "--listen", "127.0.0.1:0", "--token-file", self.token_file, "--spool", folder / "spool",
             "--io", "auto", "--max-upload-bytes", str(UPLOAD_BYTES_MAX), "--auth-failures-per-minute", "1000",
             "--memory-budget", "256MiB", "--log-level", "info"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.log = []
        port = None
        for line in self.process.stderr:
            self.log.append(line)
            if match := re.search(r'listening.*\bport"?[=:] ?"?(\d+)', line):
                port = int(match[1])
                break
        if port is None:
            raise RuntimeError("the daemon did not start: " + "".join(self.log))
        self.url = f"http://127.0.0.1:{port}"
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(60)
        self.reader.join(10)
        self.process.stderr.close()
        return code


class RealDaemonTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="histod-real-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.daemon = Daemon(cls.folder)
        cls.addClassCleanup(cls.stop_daemon)
        cls.description = stub_server.load_description()

    @classmethod
    def stop_daemon(cls):
        code = cls.daemon.stop()
        if code != 0:
            raise AssertionError(f"the daemon ended with {code}: {''.join(cls.daemon.log)}")

    def ctl(self, *words, expect=0, stdin=b"", **environment):
        base = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "HISTOCTL_SERVER": self.daemon.url,
                "HISTOCTL_TOKEN_FILE": str(self.daemon.token_file), **environment}
        done = subprocess.run([HISTOCTL, *map(str, words)], input=stdin, capture_output=True, env=base, cwd=self.folder,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, expect, f"{words}: {done.stdout[:500]!r} {done.stderr.decode()}")
        return done

    def documents(self, *words, **how):
        return [json.loads(line) for line in self.ctl(*words, "--json", **how).stdout.splitlines()]

    def assert_fits(self, schema, value):
        self.assertIsNone(mismatch(self.description, {"$ref": f"#/components/schemas/{schema}"}, value))

    def write(self, name, data):
        (self.folder / name).write_bytes(data)
        return name

    def fetch(self, path, token=None):
        request = urllib.request.Request(self.daemon.url + path)
        if token:
            request.add_header("Authorization", "Bearer " + token)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def test_equalize_is_exact(self):
        for seed in range(5):
            data = pgm(61, 47, seed)
            done = self.ctl("equalize", "-", "--rule", "exact", stdin=data)
            lut = stub_server.exact_lut(stub_server.parse_pgm(data)[2])[1]
            self.assertEqual(stub_server.parse_pgm(done.stdout)[2], bytes(lut[s] for s in stub_server.parse_pgm(data)[2]))

    def test_records_and_digests(self):
        data = pgm(64, 64, 9)
        self.write("digest.pgm", data)
        [record] = self.documents("equalize", "digest.pgm", "-o", "digest-out.pgm", "-f", "--rule", "exact")
        digest = stub_server.digest_of(stub_server.exact_lut(stub_server.parse_pgm(data)[2])[1])
        self.assertEqual(record["lut_digest"], digest)
        self.assertIn("total", record["server_timing_ms"])
        self.assertEqual(record["media_type"], "image/x-portable-graymap")
        [job] = self.documents("equalize", "digest.pgm", "-o", "digest-out.pgm", "-f", "--rule", "exact", "--async")
        self.assertEqual(job["lut_digest"], digest)

    def test_mask_leaves_pixels_alone(self):
        data, mask = pgm(32, 32, 4), pgm(32, 32, 5)
        _, _, samples = stub_server.parse_pgm(data)
        _, _, cover = stub_server.parse_pgm(mask)
        self.write("masked.pgm", data)
        self.write("mask.pgm", mask)
        done = self.ctl("equalize", "masked.pgm", "-o", "-", "--mask", "mask.pgm", "--rule", "exact")
        skipped = {i for i, value in enumerate(cover) if value == 0}
        self.assertTrue(skipped)
        lut = stub_server.exact_lut(samples, skipped)[1]
        expected = bytes(s if i in skipped else lut[s] for i, s in enumerate(samples))
        self.assertEqual(stub_server.parse_pgm(done.stdout)[2], expected)

    def test_histogram(self):
        data = pgm(40, 30, 2)
        self.write("counted.pgm", data)
        [answer] = self.documents("histogram", "counted.pgm", "--rule", "exact")
        counts, lut = stub_server.exact_lut(stub_server.parse_pgm(data)[2])
        self.assertEqual((answer["planes"][0]["histogram"], answer["planes"][0]["lut"]), (counts, lut))
        self.assertEqual(answer.pop("file"), "counted.pgm")
        self.assert_fits("HistogramAnswer", answer)
        self.assertIn("1200", self.ctl("histogram", "counted.pgm").stdout.decode())

    def test_status(self):
        [document] = self.documents("status")
        self.assert_fits("Readiness", document["ready"])
        self.assert_fits("Node", document["node"])
        self.assertIn(b"is ready", self.ctl("status").stdout)

    def test_cluster_of_one(self):
        [document] = self.documents("cluster")
        self.assert_fits("Cluster", document)
        self.assertEqual([member["leader"] for member in document["members"]], [True])
        self.assertEqual(document["members"][0]["url"], self.daemon.url)
        self.assertIn(b"a fleet of one", self.ctl("cluster").stdout)

    def test_jobs(self):
        self.write("job.pgm", pgm(50, 20, 3))
        [job_id] = self.ctl("equalize", "job.pgm", "--no-wait").stdout.decode().split()
        [record] = self.documents("equalize", "job.pgm", "--async", "-o", "job-out.pgm", "-f")
        for state in ("done", None):
            words = ["jobs", "list"] + (["--state", state] if state else [])
            [answer] = self.documents(*words)
            for job in answer["jobs"]:
                self.assert_fits("Job", job)
            self.assertIn(record["job_id"], [job["id"] for job in answer["jobs"]])
        self.assertIn("filename: job.pgm", self.ctl("jobs", "show", record["job_id"]).stdout.decode())
        self.ctl("jobs", "get", record["job_id"], "-o", "again.pgm", "-f")
        self.assertEqual((self.folder / "again.pgm").read_bytes(), (self.folder / "job-out.pgm").read_bytes())
        self.ctl("jobs", "cancel", job_id)
        self.assertIn(b"histoctl: " + job_id.encode(), self.ctl("jobs", "show", job_id, expect=1).stderr)

    def test_refusals(self):
        self.write("noise.bin", b"this is no image")
        self.assertRegex(self.ctl("equalize", "noise.bin", "-o", "x", expect=1).stderr.decode(),
                         r"^histoctl: noise.bin: .*format.*\n$")
        self.write("large.pgm", pgm(2048, 1025))
        self.assertRegex(self.ctl("equalize", "large.pgm", "-o", "x", expect=1).stderr.decode(),
                         rf"\(value {(self.folder / 'large.pgm').stat().st_size}, limit {UPLOAD_BYTES_MAX}\)\n$")
        self.write("short.pgm", pgm()[:-5])
        self.assertRegex(self.ctl("equalize", "short.pgm", "-o", "x", expect=1).stderr.decode(), r"^histoctl: short.pgm: ")
        self.ctl("equalize", "short.pgm", "-o", "x", expect=4, HISTOCTL_TOKEN="not-a-token-of-this-node")
        self.ctl("equalize", "short.pgm", "-o", "x", expect=4, HISTOCTL_TOKEN=TOKENS["read"])

    def test_problems_fit_the_description(self):
        cases = [("/nowhere", None, 404), ("/v1/jobs", None, 401), ("/v1/jobs", "wrong", 401),
                 ("/v1/jobs?limit=0", TOKENS["read"], 400), ("/v1/jobs?limi=1", TOKENS["read"], 400),
                 ("/v1/jobs/" + "0" * 26, TOKENS["read"], 404), ("/v1/equalize", TOKENS["submit"], 405)]
        for path, token, status in cases:
            with self.subTest(path=path, token=token):
                code, headers, body = self.fetch(path, token)
                self.assertEqual((code, headers["Content-Type"]), (status, "application/problem+json"))
                self.assert_fits("Problem", json.loads(body))

    def test_public_paths_answer_without_a_token(self):
        for path, item in self.description["paths"].items():
            if item.get("get", {}).get("security") == [] and "{" not in path:
                code, headers, body = self.fetch(path)
                self.assertEqual(code, 200, path)
                declared = item["get"]["responses"]["200"]["content"]
                self.assertIn(headers["Content-Type"].split(";")[0], declared, path)
                schema = next(iter(declared.values()))["schema"]
                if "application/json" in declared:
                    self.assertIsNone(mismatch(self.description, schema, json.loads(body)), path)

    def test_description_is_served_as_it_is(self):
        with open(os.path.join(os.environ["HISTOD_SOURCE"], "daemon/api/openapi.yaml"), "rb") as file:
            self.assertEqual(self.fetch("/openapi.yaml")[2], file.read())

    def test_python_example(self):
        test = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_example_test.py")
        done = subprocess.run([sys.executable, test], capture_output=True, text=True, timeout=200, check=False,
                              env={**os.environ, "HISTOD_URL": self.daemon.url,
                                   "HISTOD_TOKEN_FILE": str(self.daemon.token_file)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"the example runs against {self.daemon.url}", done.stdout)


if __name__ == "__main__":
    unittest.main()
