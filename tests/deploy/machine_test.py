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
from systemd_support import ROOT, need, skip  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HISTOD_BUILD", ROOT / "build/release")).resolve()
SCRIPT = pathlib.Path(__file__).with_name("machine_rehearsal.sh")


class MachineTest(unittest.TestCase):
    def setUp(self):
        need("cpack", "dpkg-deb", "openssl")
        if os.geteuid() != 0:
            skip("machines are booted as root only")
        self.exchange = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def make_inputs(self):
        machine.make_image(self.exchange)
        for name in ("tokens", "tokens.new"):
            (self.exchange / name).touch(mode=0o600)
            (self.exchange / name).write_text(f"admin {secrets.token_hex(16)}\n")
        for name in ("first", "second"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                            "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.exchange / f"{name}.key",
                            "-out", self.exchange / f"{name}.crt"], check=True, capture_output=True)

    def test_a_life(self):
        root = machine.make_root(BUILD / "machine", machine.make_packages(BUILD, self.exchange))
        self.make_inputs()
        script = machine.steps(SCRIPT)
        told = machine.run_in_machine(root, self.exchange, script, timeout=500)
        machine.check_steps(self, script, told, also=["equalized"])
        print(re.search(r"(?m)^.*exposure level.*$", told).group(), flush=True)
        if "no explicit huge pages" in told:
            print("skipped: explicit huge pages: this machine's kernel grants none (vm.nr_overcommit_hugepages)", flush=True)
        if "buffers not registered" in told:
            print("skipped: registered buffers: whoever runs the tests may not raise the limit of locked memory", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
