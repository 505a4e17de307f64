#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package in a booted machine: installed, run under systemd, upgraded, purged. HISTOD_BUILD names the build folder."""
import os
import pathlib
import re
import secrets
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import machine  # noqa: E402
from systemd_support import ROOT, equalized, need, run, skip  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HISTOD_BUILD", ROOT / "build/release")).resolve()
STEPS = pathlib.Path(__file__).with_name("machine_steps.sh")
SCRIPT = pathlib.Path(__file__).with_name("machine_rehearsal.sh")
WIDTH, HEIGHT = 96, 64


class MachineTest(unittest.TestCase):
    def setUp(self):
        need("cpack", "dpkg-deb", "openssl")
        if os.geteuid() != 0:
            skip("machines are booted as root only")
        self.exchange = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def make_packages(self):
        first = machine.make_package(BUILD, self.exchange)
        machine.make_next_package(BUILD, first, self.exchange)
        return machine.packages_of(run("dpkg-deb", "-f", first, "Depends").stdout)

    def make_inputs(self):
        pixels = bytes((x * y // 17 + 30) % 180 for y in range(HEIGHT) for x in range(WIDTH))
        head = b"P5\n%d %d\n255\n" % (WIDTH, HEIGHT)
        (self.exchange / "image.pgm").write_bytes(head + pixels)
        (self.exchange / "expected.pgm").write_bytes(head + equalized(pixels))
        (self.exchange / "cpu").write_text(f"{max(os.sched_getaffinity(0))}\n")
        for name in ("tokens", "tokens.new"):
            (self.exchange / name).touch(mode=0o600)
            (self.exchange / name).write_text(f"admin {secrets.token_hex(16)}\n")
        for name in ("first", "second"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                            "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.exchange / f"{name}.key",
                            "-out", self.exchange / f"{name}.crt"], check=True, capture_output=True)

    def test_a_life(self):
        root = machine.make_root(machine.folder_in(BUILD), self.make_packages())
        self.make_inputs()
        script = STEPS.read_text() + SCRIPT.read_text()
        told = machine.run_in_machine(root, self.exchange, script, timeout=500)
        results = re.findall(r"(?m)^(ok|FAILED) (\S+)$", told)
        for result, name in results:
            print(f"  {name}: {result}", flush=True)
        print(re.search(r"(?m)^.*exposure level.*$", told).group(), flush=True)
        if "no explicit huge pages" in told:
            print("skipped: explicit huge pages: this machine's kernel grants none (vm.nr_overcommit_hugepages)", flush=True)
        if "buffers not registered" in told:
            print("skipped: registered buffers: whoever runs the tests may not raise the limit of locked memory", flush=True)
        failed = re.findall(r"(?ms)^(?:ok|FAILED) \S+\n((?:(?!^(?:ok|FAILED) ).)*?^FAILED \S+)$", "ok begin\n" + told)
        self.assertEqual([name for result, name in results if result == "FAILED"], [], "\n".join(failed) + told[-5000:])
        steps = re.findall(r"(?m)^for name in ([a-z_ ]+); do", script)
        self.assertEqual({name for _, name in results}, {"equalized", *" ".join(steps).split()})


if __name__ == "__main__":
    unittest.main(verbosity=2)
