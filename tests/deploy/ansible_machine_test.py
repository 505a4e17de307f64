#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Playbooks of deploy/ansible run for real in a booted machine, which becomes a node with ZooKeeper and histod. HISTOD_BUILD names the build."""
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import machine  # noqa: E402
from systemd_support import ROOT, need, skip  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HISTOD_BUILD", ROOT / "build/release")).resolve()
HERE = pathlib.Path(__file__).parent
# What an installed Debian has, and what the playbook would install: the machine has no network.
INSTALLED = ["ansible-core", "ca-certificates", "curl", "default-jre-headless", "iproute2", "kmod", "libzookeeper-java", "python3-apt",
             "systemd-timesyncd"]
INVENTORY = """all:
  vars:
    update_package_lists: false
    histod_systemd_package: /exchange/first.deb
    histod_systemd_secrets: /exchange/secrets
    histod_systemd_tls: true
  children:
    histod: {hosts: {histo-01: {ip: 10.66.0.11, access_ip: 10.66.0.11, zookeeper_id: 1}}}
    kube_control_plane: {hosts: {histo-01: {}}}
    kube_node: {hosts: {histo-01: {}}}
    etcd: {hosts: {histo-01: {}}}
    zookeeper: {hosts: {histo-01: {}}}
"""


class AnsibleMachineTest(unittest.TestCase):
    def setUp(self):
        need("cpack", "dpkg-deb", "openssl", "mmdebstrap", "systemd-nspawn")
        if os.geteuid() != 0:
            skip("machines are booted as root only")
        self.exchange = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def make_secrets(self):
        folder = self.exchange / "secrets"
        folder.mkdir(mode=0o700)
        peer = secrets.token_hex(32)
        for name, text in (("tokens", f"admin {secrets.token_hex(32)} operator\npeer {peer} node\n"), ("peer-token", peer + "\n"),
                           ("zookeeper-credential", f"histod:{secrets.token_hex(24)}\n")):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        (self.exchange / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:10.66.0.11")
        for command in (["req", "-x509", *key, "-days", "2", "-subj", "/CN=histod-ca", "-keyout", "ca.key", "-out", "ca.crt"],
                        ["req", *key, "-subj", "/CN=histod", "-keyout", "tls.key", "-out", "tls.csr"],
                        ["x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                         "-extfile", self.exchange / "names", "-out", "tls.crt"]):
            subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)

    def make_inputs(self):
        machine.make_image(self.exchange)
        (self.exchange / "inventory").write_text(INVENTORY)
        shutil.copy(HERE / "ansible_stand_ins.py", self.exchange / "stand-ins")
        for folder in ("deploy/ansible", "systemd/drop-ins", "k8s/seccomp"):
            shutil.copytree(ROOT / folder, self.exchange / "tree" / folder)

    def rehearse(self, name):
        """The script in a machine; what its steps printed."""
        root = machine.make_root(BUILD / "machine-ansible", machine.make_packages(BUILD, self.exchange) + INSTALLED)
        self.make_secrets()
        self.make_inputs()
        script = machine.steps(HERE / name)
        told = machine.run_in_machine(root, self.exchange, script, timeout=1400)
        machine.check_steps(self, script, told)
        return told

    def test_systemd(self):
        told = self.rehearse("ansible_rehearsal.sh")
        print(re.search(r"(?m)^.*exposure level.*$", told).group(), flush=True)
        print("skipped: kernel modules, settings that are the host's, swap, huge pages, the clock, GRUB, a restart: a container has none of its own",
              flush=True)

    def test_kubernetes_with_stand_ins(self):
        self.rehearse("ansible_cluster_rehearsal.sh")
        print("skipped: Kubernetes itself: kubeadm, kubectl, cilium, containerd and etcdctl are stand-ins here", flush=True)


if __name__ == "__main__":
    if not (BUILD / "CPackConfig.cmake").exists() or not (BUILD / "bin/histod").exists():
        sys.exit(f"HISTOD_BUILD must name a build folder with the programs in bin/ ({BUILD} is none)")
    unittest.main(verbosity=2)
