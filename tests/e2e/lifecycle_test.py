#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Start, reload, drain and stop; systemd's protocols; the command line; io_uring refused."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

import images
from harness import ENVIRONMENT, PROGRAM, Daemon, main, need

BACKEND = os.environ["E2E_BACKEND"]
SECCOMP = pathlib.Path(__file__).with_name("without_io_uring.py")


def run(*arguments, **environment):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False,
                          env={**ENVIRONMENT, **environment})


class CommandLineTest(unittest.TestCase):
    def test_help_version_and_configuration(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for flag in ("--config", "--listen", "--token-file", "--spool", "--io", "--zookeeper", "--node-name", "--tls-cert",
                     "--tls-key", "--memory-budget", "--check", "--print-config"):
            self.assertIn(flag, done.stdout)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100)
        self.assertRegex(run("--version").stdout, r"^histod \d+\.\d+\.\d+")
        configuration = run("--print-config", "--workers", "1", HISTOD_NODE_NAME="n1").stdout
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(configuration)
            file.flush()
            again = run("--config", file.name, "--print-config")
            self.assertEqual(again.returncode, 0, again.stderr)
            strip = lambda text: [line.split("#")[0].strip() for line in text.splitlines() if not line.startswith("#")]
            self.assertEqual([x for x in strip(again.stdout) if not x.startswith("config")],
                             [x for x in strip(configuration) if not x.startswith("config")])

    def test_all_errors_at_once(self):
        done = run("--workres=1", "--memory-budget", "lots", "--listen", "nowhere")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.strip().splitlines()), 3, done.stderr)
        self.assertIn("--workers", done.stderr)

    def test_what_cannot_start_says_why_in_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("--token-file", f"{folder}/none", "--spool", f"{folder}/spool")
            self.assertEqual((done.returncode, len(done.stderr.strip().splitlines())), (1, 1), done.stderr)
            self.assertIn(f"{folder}/none", done.stderr)
        with tempfile.TemporaryDirectory() as folder:
            tokens = pathlib.Path(folder, "tokens")
            tokens.write_text("admin 0123456789abcdef0123456789abcdef\n")
            tokens.chmod(0o600)
            done = run("--token-file", str(tokens), "--spool", f"{folder}/spool", "--listen", "127.0.0.1:0", "--io", "auto",
                       "--log-level", "error", "--zookeeper", "127.0.0.1:1", "--zookeeper-credential-file", f"{folder}/none")
            self.assertEqual((done.returncode, len(done.stderr.strip().splitlines())), (1, 1), done.stderr)
            self.assertIn(f"--zookeeper-credential-file: {folder}/none", done.stderr)

    def test_check_names_cures(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("--check", "--token-file", f"{folder}/none", "--spool", f"{folder}/spool")
            self.assertEqual(done.returncode, 1)
            self.assertIn("token", done.stdout)


class LifecycleTest(unittest.TestCase):
    def test_drain_finishes_what_is_in_hand(self):
        with Daemon() as daemon:
            body = images.encode(images.noisy(3000, 2000), compress_level=1)
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                answers = [pool.submit(daemon.request, "POST", "/v1/equalize", body) for _ in range(4)]
                while daemon.request("GET", "/v1/node")[2].count(b'"images"') and \
                        sum(w["bytes_in_flight"] for w in json.loads(daemon.request("GET", "/v1/node")[2])["workers"]) == 0 and \
                        not any(answer.done() for answer in answers):
                    pass
                self.assertEqual(daemon.stop(), 0)
            statuses = []
            for answer in answers:
                try:
                    statuses.append(answer.result()[0])
                except (OSError, http.client.HTTPException):  # it came too late to be accepted: refused, not lost
                    statuses.append(None)
            self.assertIn(200, statuses)
            self.assertIn("msg=stopped", daemon.log())

    def test_tokens_are_read_again(self):
        with Daemon() as daemon:
            old = dict(daemon.tokens)
            daemon.write_tokens({"admin": "n" * 32})
            daemon.wait_log("tokens read again")
            self.assertEqual(daemon.request("GET", "/v1/node")[0], 200)
            self.assertEqual(daemon.request("GET", "/v1/node", role=None, headers={"Authorization": f"Bearer {old['admin']}"})[0], 401)
            daemon.token_file.write_text("nonsense\n")
            daemon.wait_log("old tokens stay")
            self.assertEqual(daemon.request("GET", "/v1/node")[0], 200)

    def make_certificate(self, folder, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key.new", "-out",
                        f"{folder}/cert.new"], check=True, capture_output=True)
        os.rename(f"{folder}/key.new", f"{folder}/key.pem")
        os.rename(f"{folder}/cert.new", f"{folder}/cert.pem")

    def common_name(self, port):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", port), timeout=30) as raw, context.wrap_socket(raw) as peer:
            text = subprocess.run(["openssl", "x509", "-noout", "-subject", "-inform", "DER"], input=peer.getpeercert(True),
                                  capture_output=True, check=True).stdout.decode()
        return text.strip().rsplit("= ", 1)[1]

    def test_tls_and_certificate_rotation(self):
        need("openssl", "curl")
        with tempfile.TemporaryDirectory() as folder:
            self.make_certificate(folder, "first")
            with Daemon("--tls-cert", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem") as daemon:
                gray = images.noisy(1500, 1000)
                source = daemon.folder / "in.png"
                source.write_bytes(images.encode(gray))
                header = daemon.folder / "authorization"
                header.write_text(f"Authorization: Bearer {daemon.tokens['submit']}\n")
                done = subprocess.run(["curl", "-sS", "--cacert", f"{folder}/cert.pem", "-H", f"@{header}", "--data-binary", f"@{source}",
                                       f"https://127.0.0.1:{daemon.port}/v1/equalize"], capture_output=True, check=True)
                self.assertTrue((images.decode(done.stdout) == images.equalized(gray)).all())
                self.assertEqual(self.common_name(daemon.port), "first")
                self.make_certificate(folder, "second")
                daemon.wait_log("certificate read again")
                while self.common_name(daemon.port) != "second":
                    pass

    def test_readiness_and_watchdog_are_told_to_systemd(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(f"{folder}/notify")
            notify.settimeout(30)
            with Daemon(environment={"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "400000"}) as daemon:
                seen = notify.recv(4096)
                self.assertIn(b"READY=1", seen)
                self.assertIn(b"WATCHDOG=1", notify.recv(4096))
                self.assertEqual(daemon.stop(), 0)
                rest = b""
                while b"STOPPING=1" not in rest:
                    rest += notify.recv(4096)

    def test_socket_activation(self):
        need("systemd-socket-activate")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        daemon = Daemon(prefix=["systemd-socket-activate", f"--listen=127.0.0.1:{port}"])
        self.addCleanup(daemon.close)
        daemon.port = port
        daemon.start(wait=False)
        daemon.wait_log("Listening on")
        self.assertEqual(daemon.request("GET", "/healthz", role=None)[0], 200)
        daemon.wait_log("socket activation")

    def test_second_daemon_on_one_spool_is_refused(self):
        with Daemon() as daemon:
            done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(daemon.spool), done.stderr)


class WithoutIoUringTest(unittest.TestCase):
    """The kernel refuses io_uring, as container run times' default profiles do."""

    def refused(self, *options):
        return Daemon(*options, prefix=[sys.executable, str(SECCOMP)])

    @unittest.skipIf(BACKEND != "uring", "this is the epoll build: it asks for no ring")
    def test_refusal_is_explained(self):
        daemon = self.refused("--io", "uring")
        daemon.start(wait=False)
        self.assertEqual(daemon.process.wait(timeout=60), 1)
        self.assertIn("io_uring is refused: Operation not permitted", daemon.log())
        self.assertIn("--io=auto", daemon.log())
        daemon.close()

    @unittest.skipIf(BACKEND != "uring", "this is the epoll build: it asks for no ring")
    def test_auto_falls_back_and_says_so(self):
        with self.refused("--io", "auto") as daemon:
            node = json.loads(daemon.request("GET", "/v1/node")[2])
            self.assertEqual(node["backend"], "epoll")
            self.assertIn("epoll instead of io_uring", [fallback["what"] for fallback in node["fallbacks"]])
            self.assertGreaterEqual(daemon.metric("histod_fallback"), 1)
            gray = images.noisy(50, 40)
            self.assertTrue((images.decode(daemon.request("POST", "/v1/equalize", images.encode(gray))[2]) == images.equalized(gray)).all())

    @unittest.skipIf(BACKEND != "uring", "this is the epoll build: it asks for no ring")
    def test_auto_serves_where_the_rings_may_not_be_locked(self):
        """Whether their memory counts as locked is the kernel's affair: Linux 6.1 does not count it, 6.18 does."""
        need("setpriv", "prlimit")
        without = ["setpriv", "--bounding-set=-ipc_lock"] if os.geteuid() == 0 else []
        with Daemon("--io", "auto", prefix=[*without, "prlimit", "--memlock=65536"]) as daemon:
            node = json.loads(daemon.request("GET", "/v1/node")[2])
            fallbacks = [fallback["what"] for fallback in node["fallbacks"]]
            self.assertEqual(node["backend"] == "epoll", "epoll instead of io_uring" in fallbacks)
            if node["backend"] == "epoll":
                self.assertIn("ulimit -l", daemon.log())

    def test_backend_is_told(self):
        with Daemon() as daemon:
            expected = "io_uring" if BACKEND == "uring" else "epoll"
            self.assertEqual(json.loads(daemon.request("GET", "/v1/node")[2])["backend"], expected)
            self.assertIn(f'backend="{expected}"', daemon.request("GET", "/metrics")[2].decode())


if __name__ == "__main__":
    main()
