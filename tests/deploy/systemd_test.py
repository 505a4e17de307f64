#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The units say what they must, and the real daemon runs as they start it. HISTOD names the program."""
import contextlib
import http.client
import os
import pathlib
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from systemd_support import ENVIRONMENT, HISTOD, ROOT, UNITS, allowed_calls, equalized, need, read_unit, run, skip  # noqa: E402

SERVICE, SOCKET = UNITS / "histod.service", UNITS / "histod.socket"
EXPOSURE_MAX = 1.5
# As systemd does it: descriptors from 3 on, and the number of the process for which they are.
PASS_SOCKET = ("import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); "
               "os.execv(sys.argv[2], sys.argv[2:])")


class UnitsTest(unittest.TestCase):
    def setUp(self):
        need("systemd-analyze")
        self.service, self.socket = read_unit(SERVICE), read_unit(SOCKET)
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def verify(self):
        """All that systemd says against the units in the folder: it exits with 0 for keys that it does not know."""
        return run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", self.folder / SERVICE.name, self.folder / SOCKET.name,
                   env={**ENVIRONMENT, "SYSTEMD_UNIT_PATH": f"{self.folder}:"})

    def copy_units(self):
        text = SERVICE.read_text()
        self.assertIn("ExecStart=/usr/sbin/histod ", text)
        (self.folder / SERVICE.name).write_text(text.replace("/usr/sbin/histod ", f"{HISTOD} "))
        shutil.copy(SOCKET, self.folder)

    def test_systemd_understands_all_of_it(self):
        self.copy_units()
        done = self.verify()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for example in sorted((UNITS / "drop-ins").iterdir()):
            with self.subTest(example=example.name):
                unit = SOCKET if ("Socket", "ListenStream") in read_unit(example) else SERVICE
                target = self.folder / f"{unit.name}.d" / example.name
                target.parent.mkdir(exist_ok=True)
                shutil.copy(example, target)
                done = self.verify()
                self.assertEqual((done.returncode, done.stderr), (0, ""))
        (self.folder / SERVICE.name).write_text(SERVICE.read_text().replace("[Service]", "[Service]\nNoSuchKey=1"))
        self.assertIn("NoSuchKey", self.verify().stderr)

    def test_exposure(self):
        limit = f"--threshold={round(EXPOSURE_MAX * 10)}"
        done = run("systemd-analyze", "security", "--offline=true", "--no-pager", limit, SERVICE)
        score = float(re.search(r"exposure level for histod\.service: ([0-9.]+)", done.stdout).group(1))
        print(f"systemd-analyze security: {score} (at most {EXPOSURE_MAX})", flush=True)
        self.assertLessEqual(score, EXPOSURE_MAX)
        self.assertEqual(done.returncode, 0, done.stderr)
        weak = self.folder / "histod.service"
        weak.write_text(SERVICE.read_text().replace("CapabilityBoundingSet=\n", ""))
        self.assertNotEqual(run("systemd-analyze", "security", "--offline=true", "--no-pager", limit, weak).returncode, 0)

    def test_what_the_service_must_say(self):
        expected = {"Type": ["notify"], "NotifyAccess": ["main"], "User": ["histod"], "CapabilityBoundingSet": [], "AmbientCapabilities": [],
                    "NoNewPrivileges": ["yes"], "LimitMEMLOCK": ["infinity"], "StateDirectory": ["histod"], "Restart": ["on-failure"],
                    "LoadCredential": ["tokens:/etc/histod/tokens"], "SystemCallArchitectures": ["native"]}
        self.assertEqual({key: self.service.get(("Service", key)) for key in expected}, expected)
        self.assertEqual(self.service[("Unit", "Requires")], [SOCKET.name])
        self.assertNotIn(("Service", "NUMAPolicy"), self.service)  # the daemon uses all nodes
        for path in [SERVICE, SOCKET, *(UNITS / "drop-ins").iterdir()]:
            self.assertNotRegex(path.read_text(), r"(?i)(admin|submit|password) [0-9a-z]{16}")

    def test_there_is_time_to_drain(self):
        drain = re.search(r"--drain-timeout.*?Default:\s+(\d+)s", run(HISTOD, "--help").stdout, re.DOTALL).group(1)
        self.assertGreater(int(self.service[("Service", "TimeoutStopSec")][0]), int(drain))

    def test_system_calls(self):
        allowed = allowed_calls(self.service[("Service", "SystemCallFilter")])
        needed = {"io_uring_setup", "io_uring_enter", "io_uring_register", "mbind", "set_mempolicy", "get_mempolicy", "sched_setaffinity",
                  "mlock", "mmap", "openat2", "renameat2", "fsync", "execve",
                  "eventfd2", "ioctl", "memfd_create", "pread64", "pwrite64", "timerfd_create"}  # the last six by DPDK
        self.assertLessEqual(needed, allowed)
        refused = {"mount", "bpf", "ptrace", "kexec_load", "init_module", "setuid", "chown", "reboot", "swapon", "clock_settime", "setpriority",
                   "migrate_pages", "pivot_root"}
        self.assertFalse(refused & allowed)

    def test_socket(self):
        self.assertEqual(self.socket[("Socket", "ListenStream")], ["127.0.0.1:8080"])
        self.assertNotIn(("Socket", "Accept"), self.socket)

    def test_options_exist(self):
        helped = run(HISTOD, "--help").stdout
        command = shlex.split(self.service[("Service", "ExecStart")][0])
        for option in (word.split("=")[0] for word in command[1:] if word.startswith("--")):
            self.assertRegex(helped, rf"(?m)^  {option}\b")
        variables = [value for path in [SERVICE, *(UNITS / "drop-ins").iterdir()] for value in read_unit(path).get(("Service", "Environment"), [])]
        self.assertGreaterEqual(len(variables), 3)
        for variable in variables:
            option = "--" + variable.split("=")[0].removeprefix("HISTOD_").lower().replace("_", "-")
            self.assertRegex(helped, rf"(?m)^  {option}\b")


class ConfigurationTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.text = (UNITS / "histod.toml").read_text()

    def test_it_is_what_the_program_says(self):
        made = run(ROOT / "tools/manual", "configuration", HISTOD)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(made.stdout, self.text, "run: tools/manual configuration build/release/bin/histod >systemd/histod.toml")

    def test_comments_show_the_defaults(self):
        values = lambda text: dict(line.split("  #")[0].split(" = ", 1) for line in text.splitlines() if re.match(r"[a-z-]+ = ", line))
        defaults = values(run(HISTOD, "--print-config").stdout)
        path = self.folder / "histod.toml"
        path.write_text(re.sub(r"(?m)^#(?=[a-z-]+ = )", "", self.text))
        done = run(HISTOD, "--config", path, "--print-config")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        shown = values(done.stdout)
        self.assertEqual(shown.pop("spool"), '"/var/lib/histod/spool"')
        del defaults["spool"]
        self.assertEqual(shown, defaults)
        for name in defaults:
            self.assertRegex(self.text, rf"(?m)^#?{name} =")

    def test_the_daemon_takes_it(self):
        path, tokens = self.folder / "histod.toml", self.folder / "tokens"
        path.write_text(self.text.replace("/var/lib/histod", str(self.folder)))
        tokens.touch(mode=0o600)
        tokens.write_text(f"admin {secrets.token_hex(16)}\n")
        done = run(HISTOD, "--config", path, "--token-file", tokens, "--check")
        wrong = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
        if wrong and all("io_uring" in line for line in wrong):
            skip(f"this machine has no io_uring for the default configuration: {wrong[0]}")
        self.assertEqual((done.returncode, done.stderr, wrong), (0, "", []), done.stdout)


class FilesTest(unittest.TestCase):
    def setUp(self):
        need("systemd-sysusers", "systemd-tmpfiles")
        if os.geteuid() != 0:
            skip("users and owners are made as root only")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_user_folders_and_modes(self):
        (self.folder / "etc").mkdir()
        done = run("systemd-sysusers", f"--root={self.folder}", UNITS / "sysusers.conf")
        self.assertEqual(done.returncode, 0, done.stderr)
        entry = next(line.split(":") for line in (self.folder / "etc/passwd").read_text().splitlines() if line.startswith("histod:"))
        self.assertEqual(entry[5:], ["/var/lib/histod", "/usr/sbin/nologin"])
        self.assertLess(int(entry[2]), 1000)
        careless = self.folder / "etc/histod/tokens"
        careless.parent.mkdir()
        careless.touch(mode=0o644)
        done = run("systemd-tmpfiles", "--create", f"--root={self.folder}", UNITS / "tmpfiles.conf")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(careless.stat().st_mode & 0o777, 0o600)
        tls = (self.folder / "etc/histod/tls").stat()
        self.assertEqual((tls.st_mode & 0o777, tls.st_uid, tls.st_gid), (0o750, 0, int(entry[3])))

    def test_kernel_settings_exist(self):
        lines = [line for line in (UNITS / "sysctl.conf").read_text().splitlines() if line and line[0] != "#"]
        self.assertGreaterEqual(len(lines), 2)
        for line in lines:
            name, value = line.split(" = ")
            path = pathlib.Path("/proc/sys", name.lstrip("-").replace(".", "/"))
            self.assertTrue(value.isdigit())
            self.assertTrue(path.exists() or name.startswith("-"), line)


class Manager:
    """What systemd is for the service: its socket, its credential, its notifications."""

    def __init__(self, folder):
        self.folder = folder
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notifications.bind(str(folder / "notify"))
        self.notifications.settimeout(60)
        self.token = secrets.token_hex(16)
        (folder / "credentials").mkdir(mode=0o700)
        (folder / "state").mkdir(mode=0o700)
        tokens = folder / "credentials/tokens"
        tokens.touch(mode=0o600)
        tokens.write_text(f"admin {self.token}\n")
        tokens.chmod(0o400)
        (folder / "histod.toml").write_text((UNITS / "histod.toml").read_text().replace("/var/lib/histod", str(folder / "state")))
        self.process = None

    def start(self):
        unit = read_unit(SERVICE)
        command = shlex.split(unit[("Service", "ExecStart")][0])
        command = [HISTOD, *(word.replace("/etc/histod", str(self.folder)) for word in command[1:])]
        specifiers = {"%d": str(self.folder / "credentials"), "%S/histod": str(self.folder / "state")}
        environment = {**ENVIRONMENT, "NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": unit[("Service", "WatchdogSec")][0] + "000000",
                       "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http", "CREDENTIALS_DIRECTORY": str(self.folder / "credentials")}
        for name, value in (line.split("=", 1) for line in unit[("Service", "Environment")]):
            for specifier, meaning in specifiers.items():
                value = value.replace(specifier, meaning)
            environment[name] = value
        log = open(self.folder / "log", "ab")
        descriptor = self.listener.fileno()
        self.process = subprocess.Popen([sys.executable, "-c", PASS_SOCKET, str(descriptor), *command], env=environment, pass_fds=[descriptor],
                                        cwd=self.folder / "state", stdout=log, stderr=log)
        log.close()

    def wait_told(self, what):
        """Until the daemon says it; fails after a minute without a word."""
        while True:
            try:
                told = self.notifications.recv(4096).decode()
            except TimeoutError:
                raise AssertionError(f"{what} was not told:\n{(self.folder / 'log').read_text()}") from None
            if what in told.splitlines():
                return told

    def request(self, connection, pixels, width, height):
        body = b"P5\n%d %d\n255\n" % (width, height) + pixels
        connection.request("POST", "/v1/equalize", body, {"Authorization": f"Bearer {self.token}"})

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.listener.close()
        self.notifications.close()


class RunningTest(unittest.TestCase):
    def test_ready_watchdog_image_restart_and_stop(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        manager = Manager(folder)
        self.addCleanup(manager.close)
        width, height = 64, 48
        pixels = bytes((x * y // 31 + 40) % 200 for y in range(height) for x in range(width))
        connection = http.client.HTTPConnection("127.0.0.1", manager.port, timeout=60)
        # It connects before there is a daemon: the socket is open, as during a restart.
        manager.request(connection, pixels, width, height)
        for _ in range(2):
            manager.start()
            manager.wait_told("READY=1")
            with contextlib.closing(connection):
                answer = connection.getresponse()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.read()[-len(pixels):], equalized(pixels))
            manager.wait_told("WATCHDOG=1")
            manager.process.send_signal(signal.SIGHUP)
            manager.wait_told("RELOADING=1")
            manager.wait_told("READY=1")
            manager.process.send_signal(signal.SIGTERM)
            manager.wait_told("STOPPING=1")
            self.assertEqual(manager.process.wait(timeout=60), 0)
            connection = http.client.HTTPConnection("127.0.0.1", manager.port, timeout=60)
            manager.request(connection, pixels, width, height)
        connection.close()
        log = (folder / "log").read_text()
        self.assertIn("socket activation", log)
        self.assertNotIn(manager.token, log)
        self.assertTrue((folder / "state/spool").is_dir())


if __name__ == "__main__":
    if not os.access(HISTOD, os.X_OK):
        sys.exit("HISTOD must name the program: HISTOD=build/release/bin/histod")
    unittest.main(verbosity=2)
