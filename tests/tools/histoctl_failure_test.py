# SPDX-License-Identifier: Apache-2.0
"""What histoctl does when things go wrong: exit codes, one line for each failure, and when it tries again."""
import subprocess
import unittest

import stub_server
from harness import HistoctlTest, pgm

BUSY = {"status": 503, "fields": {"Retry-After": "1"}}


class RefusalTest(HistoctlTest):
    def setUp(self):
        super().setUp()
        self.image("in.pgm")

    def equalize(self, *more, **how):
        return self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", *more, **how)

    def test_wrong_token(self):
        done = self.equalize(expect=4, env=self.environment(HISTOCTL_TOKEN="wrong-token"))
        self.assert_one_line(done, "in.pgm: the token is missing or unknown")
        self.assertNotIn(b"wrong-token", done.stderr)

    def test_no_token_at_all(self):
        self.assert_one_line(self.equalize(expect=4, env=self.environment(HISTOCTL_TOKEN_FILE=None)), "token")

    def test_role_that_does_not_suffice(self):
        done = self.equalize(expect=4, env=self.environment(HISTOCTL_TOKEN="read-token-1"))
        self.assert_one_line(done, "(value read, limit submit)")

    def test_too_large_shows_value_and_limit(self):
        self.server.body_bytes_max = 10
        size = len((self.work / "in.pgm").read_bytes())
        self.assert_one_line(self.equalize(expect=1), f"in.pgm: the body is too large (value {size}, limit 10)")

    def test_too_large_is_known_before_the_body_is_sent(self):
        self.image("in.pgm", bytes(stub_server.BODY_BYTES_MAX + 1))
        done = self.equalize(expect=1)
        self.assert_one_line(done, f"(value {stub_server.BODY_BYTES_MAX + 1}, limit {stub_server.BODY_BYTES_MAX})")
        self.assertEqual(self.server.log, [], "the body was sent all the same")

    def test_text_of_the_server_cannot_drive_the_terminal(self):
        self.server.plans.append({"status": 422, "code": "broken-image", "detail": "bad\x1b[2J\nbytes\x07"})
        done = self.equalize(expect=1)
        self.assert_one_line(done, "bad?[2J?bytes?")
        self.assertNotIn(b"\x1b", done.stderr)

    def test_answer_that_is_no_problem_document(self):
        self.server.plans.append({"status": 400, "detail": "", "code": ""})
        self.assert_one_line(self.equalize(expect=1), "in.pgm: ")

    def test_partial_failure(self):
        self.image("other.pgm")
        done = self.run_ctl("equalize", "in.pgm", "missing.pgm", "other.pgm", "-o", "out", expect=1)
        self.assert_one_line(done, "missing.pgm: no such file")
        self.assertEqual(self.names(self.work / "out"), ["in.pgm", "other.pgm"])

    def test_folder_as_input(self):
        (self.work / "folder").mkdir()
        self.assert_one_line(self.run_ctl("equalize", "folder", "-o", "x", expect=1), "folder: is a folder")

    def test_a_refused_token_ends_the_run(self):
        names = [self.image(f"n{i}.pgm").name for i in range(30)]
        done = self.run_ctl("equalize", *names, "-o", "out", "-j", "1", expect=4,
                            env=self.environment(HISTOCTL_TOKEN="wrong"))
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("29 more not sent", lines[1])


class RetryTest(HistoctlTest):
    def setUp(self):
        super().setUp()
        self.image("in.pgm")

    def tries(self, *more, **how):
        [record] = self.json_lines("equalize", "in.pgm", "-o", "out.pgm", *more, **how)
        return record.get("tries")

    def test_busy_then_free(self):
        self.server.plans.extend([BUSY, {"status": 429, "code": "rate-limited", "fields": {"Retry-After": "1"}}])
        self.assertEqual(self.tries(), 3)
        self.assertEqual(len({exchange.body for exchange in self.server.log}), 1, "the same body each time")

    def test_retry_after_is_waited_for(self):
        self.server.plans.append(BUSY)
        [record] = self.json_lines("equalize", "in.pgm", "-o", "out.pgm")
        self.assertGreaterEqual(record["elapsed_ms"], 1000)

    def test_standard_input_is_sent_again(self):
        self.server.plans.append({"status": 503})
        data = pgm(seed=3)
        done = self.run_ctl("equalize", "-", stdin=data)
        self.assertEqual(done.stdout, stub_server.equalized(data)[0])
        self.assertEqual([exchange.body for exchange in self.server.log], [data, data])

    def test_form_is_sent_again(self):
        self.image("mask.pgm")
        self.server.plans.append({"status": 503})
        self.assertEqual(self.tries("--mask", "mask.pgm"), 2)

    def test_busy_for_ever(self):
        self.server.plans.extend([{"status": 503}] * 3)
        done = self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", "--retries", "2", expect=5)
        self.assert_one_line(done, "in.pgm: no memory for this request at the moment")
        self.assertEqual(len(self.server.log), 3)
        self.assertEqual(self.names(), ["in.pgm"])

    def test_busy_and_other_failures_are_partial(self):
        self.server.plans.append({"status": 503})
        self.run_ctl("equalize", "in.pgm", "missing.pgm", "-o", "out/", "--retries", "0", expect=1)

    def test_dropped_connection(self):
        self.server.plans.extend(["drop", "drop"])
        self.assertEqual(self.tries(), 3)

    def test_result_that_breaks_off(self):
        """What a broken try has written must not stand before the result of the next one."""
        self.server.plans.append("short")
        self.assertEqual(self.tries(), 2)
        self.assertEqual((self.work / "out.pgm").read_bytes(),
                         stub_server.equalized((self.work / "in.pgm").read_bytes())[0])

    def test_nobody_there(self):
        url = self.closed_port_url()
        done = self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", "--retries", "1", "--server", url, expect=3)
        self.assert_one_line(done, f"in.pgm: cannot reach {url}")
        self.assertEqual(self.names(), ["in.pgm"])

    def test_host_that_does_not_exist(self):
        done = self.run_ctl("status", "--server", "http://no-such-host.invalid", "--retries", "0", expect=3)
        self.assert_one_line(done, "cannot reach http://no-such-host.invalid")

    def test_time_limit(self):
        self.server.plans.append("hold")
        done = self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", "--timeout", "1", "--retries", "0", expect=1)
        self.assert_one_line(done, "in.pgm: no complete answer in time (limit 1 s, --timeout)")

    def test_refusals_are_not_repeated(self):
        self.server.plans.extend([{"status": 422, "code": "broken-image", "detail": "the file ends early"}])
        self.run_ctl("equalize", "in.pgm", "-o", "out.pgm", expect=1)
        self.assertEqual(len(self.server.log), 1)


class TlsTest(HistoctlTest):
    def setUp(self):
        super().setUp()
        self.certificate = self.folder / "both.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=stub", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-keyout",
                        self.certificate, "-out", self.folder / "cert.pem"], check=True, capture_output=True)
        with open(self.certificate, "a", encoding="ascii") as file:
            file.write((self.folder / "cert.pem").read_text())
        self.tls = stub_server.StubServer(self.certificate)
        self.addCleanup(self.tls.stop)

    def test_unknown_certificate_is_refused(self):
        done = self.run_ctl("status", "--server", self.tls.url, expect=3)
        self.assert_one_line(done, f"cannot reach {self.tls.url}", "certificate")
        self.assertEqual(self.tls.log, [], "the token was sent to a stranger")

    def test_cacert(self):
        self.run_ctl("status", "--server", self.tls.url, "--cacert", self.folder / "cert.pem")
        (self.home / ".config").mkdir()
        (self.home / ".config/histoctl.toml").write_text(
            f'server = "{self.tls.url}"\ncacert = "{self.folder}/cert.pem"\n')
        self.run_ctl("status", env=self.environment(HISTOCTL_SERVER=None))
        self.assertEqual(len(self.tls.log), 4)


if __name__ == "__main__":
    unittest.main()
