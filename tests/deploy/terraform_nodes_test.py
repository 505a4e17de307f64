#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a node of deploy/terraform finds when it starts, and what Ansible is told: read by the programs that will read it."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "terraform"))
import rig  # noqa: E402

import yaml  # noqa: E402

SCRIPT = "/usr/local/sbin/histod-private-network"
# $1 is the script, $2 an empty folder, $3 what to change. Two interfaces seem to be hardware, one does not; the first has the way out.
NETWORK = """set -e
for name in lan1 lan2 zveth; do ip link add $name type veth peer name p$name; ip link set $name up; done
ip address add 192.0.2.5/24 dev lan1 && ip route add default via 192.0.2.1
mkdir -p "$2/lan1/device" "$2/lan2/device" "$2/zveth" "$2/lo"
mount -t tmpfs none /sys/class/net && cp -r "$2/." /sys/class/net
eval "$3"
"$1" && "$1"
ip -j -d address show dev histod0
"""
# Where the kernel has no VLANs a bridge stands for one, and its alias says what was asked for.
WITHOUT_VLAN = """#!/bin/sh
case "$*" in
  "link add link "*" name histod0 type vlan id "*)
    /sbin/ip link add name histod0 type bridge
    /sbin/ip link set histod0 alias "$4 ${10}"
    ;;
  *) exec /sbin/ip "$@" ;;
esac
"""


def run(*words, **how):
    return subprocess.run(words, capture_output=True, text=True, timeout=rig.RUN_LIMIT_S, check=False, **how)


def namespaces():
    """Whether this machine lets us have a network of our own."""
    return run("unshare", "--net", "--mount", "ip", "link", "add", "lan1", "type", "veth", "peer", "name", "lan2").returncode == 0


def vlans():
    """Whether the kernel has VLANs."""
    make = "ip link add lan1 type veth peer name lan2 && ip link add link lan1 name histod0 type vlan id 2042"
    return run("unshare", "--net", "sh", "-c", make).returncode == 0


class NodesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        place = rig.Workspace()
        cls.addClassCleanup(place.close)
        place.init()
        place.run("apply", "-auto-approve", "-input=false", "-var", "operating_system=ubuntu_22_04_x64_lts")
        resources = json.loads(place.run("show", "-json").stdout)["values"]["root_module"]["resources"]
        cls.cloud_init = {each["index"]: base64.b64decode(each["values"]["content"]).decode() for each in resources
                          if each["type"] == "latitudesh_user_data"}
        cls.inventory = place.run("output", "-raw", "inventory").stdout

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="histod-nodes-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, text, mode=0o644):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def written(self, path, node="histo-02"):
        [content] = [each["content"] for each in yaml.safe_load(self.cloud_init[node])["write_files"] if each["path"] == path]
        return content

    def schema(self, text):
        return run("cloud-init", "schema", "--config-file", self.file("user-data", text))

    def test_cloud_init_understands_it(self):
        if not shutil.which("cloud-init"):
            return rig.skipped("cloud-init is not installed: its schema was not asked")
        for name, text in self.cloud_init.items():
            done = self.schema(text)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}{done.stderr}")
        self.assertEqual(self.schema(self.cloud_init["histo-01"].replace("lock_passwd: true", "lock_passwd: [1]")).returncode, 1)

    def test_what_it_says(self):
        self.assertEqual(sorted(self.cloud_init), ["histo-01", "histo-02", "histo-03"])
        for name, text in self.cloud_init.items():
            self.assertTrue(text.startswith("#cloud-config\n"))
            said = yaml.safe_load(text)
            self.assertEqual((said["hostname"], said["ssh_pwauth"]), (name, False))
            [user] = said["users"]
            self.assertEqual((user["ssh_authorized_keys"], user["lock_passwd"]), ([rig.KEY], True))
            self.assertIn("linux-generic-hwe-22.04", said["packages"])
            self.assertNotIn(rig.TOKEN, text)

    def test_the_script_is_a_good_one(self):
        if not shutil.which("shellcheck"):
            return rig.skipped("shellcheck is not installed")
        # With an empty name in its place the check for it is a constant.
        done = run("shellcheck", "--exclude", "SC2157", self.file("script", self.written(SCRIPT)))
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_the_unit_is_a_good_one(self):
        if not shutil.which("systemd-analyze"):
            return rig.skipped("systemd-analyze is not installed")
        unit = self.written("/etc/systemd/system/histod-private-network.service")
        self.assertIn(f"ExecStart={SCRIPT}\n", unit)
        self.file("script", self.written(SCRIPT), 0o755)
        done = run("systemd-analyze", "verify", self.file("histod-private-network.service", unit.replace(SCRIPT, f"{self.folder}/script")))
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def private_network(self, change="", script=None):
        """The script, run twice in a network of its own: what carries the VLAN, its id, and the addresses on it."""
        environment = dict(os.environ)
        if not vlans():
            (self.folder / "bin").mkdir(exist_ok=True)
            self.file("bin/ip", WITHOUT_VLAN, 0o755)
            environment["PATH"] = f"{self.folder}/bin:{environment['PATH']}"
        with tempfile.TemporaryDirectory() as interfaces:
            done = run("unshare", "--net", "--mount", "sh", "-c", NETWORK, "sh", self.file("script", script or self.written(SCRIPT), 0o755),
                       interfaces, change, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        [shown] = json.loads(done.stdout)
        link, number = shown["ifalias"].split() if "ifalias" in shown else (shown["link"], shown["linkinfo"]["info_data"]["id"])
        return link, int(number), [f"{each['local']}/{each['prefixlen']}" for each in shown["addr_info"] if each["family"] == "inet"]

    def test_the_private_network(self):
        if not namespaces():
            return rig.skipped("no network namespace can be made here: the VLAN was not set up")
        if not vlans():
            rig.skipped("the kernel has no VLANs: a bridge stands for the VLAN interface")
        self.assertEqual(self.private_network(), ("lan2", 2042, ["10.66.0.12/24"]), "the hardware without the way out carries it")
        alone = 'rm -r /sys/class/net/lan2'
        self.assertEqual(self.private_network(alone)[0], "lan1", "the one interface carries it, too")
        bond = 'touch /sys/class/net/lan2/master'
        self.assertEqual(self.private_network(bond)[0], "lan1", "not what is part of a bond")
        named = self.written(SCRIPT).replace("interface=''", "interface='zveth'")
        self.assertEqual(self.private_network(script=named)[0], "zveth", "the one that was named")

    def test_no_interface_is_an_error(self):
        if not namespaces():
            return rig.skipped("no network namespace can be made here")
        done = run("unshare", "--net", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/class/net && exec sh "$1"', "sh",
                   self.file("script", self.written(SCRIPT)))
        self.assertEqual((done.returncode, done.stderr), (1, "histod-private-network: no network interface was found for the VLAN\n"))

    def test_ansible_reads_the_inventory(self):
        if not shutil.which("ansible-inventory"):
            return rig.skipped("ansible-core is not installed: the inventory was not read by Ansible")
        done = run("ansible-inventory", "-i", self.file("inventory.yml", self.inventory), "--list",
                   env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(self.folder), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1", "ANSIBLE_CONFIG": str(self.file("ansible.cfg", ""))})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        read = json.loads(done.stdout)
        self.assertEqual(read["kube_control_plane"]["hosts"], ["histo-01"])
        for group in ("histod", "kube_node", "zookeeper"):
            self.assertEqual(sorted(read[group]["hosts"]), ["histo-01", "histo-02", "histo-03"], group)
        self.assertEqual(read["_meta"]["hostvars"]["histo-03"], {
            "ansible_become": True, "ansible_host": "203.0.113.3", "ansible_user": "histod-admin", "ip": "10.66.0.13", "access_ip": "10.66.0.13",
            "zookeeper_id": 3})


if __name__ == "__main__":
    rig.need(sys.executable)
    unittest.main(verbosity=2)
