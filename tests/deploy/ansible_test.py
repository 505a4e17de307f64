#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The playbooks of deploy/ansible: syntax, linters, inventories, and what the templates make of variables. No machine is changed."""
import json
import pathlib
import re
import shutil
import sys
import tempfile
import tomllib
import unittest

sys.dont_write_bytecode = True
from systemd_support import ENVIRONMENT, ROOT, need, read_unit, run  # noqa: E402

import yaml  # noqa: E402

ANSIBLE = ROOT / "deploy/ansible"
PLAYBOOKS = ("site.yml", "systemd.yml", "etcd-restore.yml")
FACTS = {"architecture": "x86_64", "distribution": "Ubuntu", "distribution_release": "noble", "virtualization_tech_guest": []}
QUIET = {**ENVIRONMENT, "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg")}


def mebibytes(quantity):
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)", quantity).groups()
    return int(number) * {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024}[unit]


def settings(text):
    return dict(line.split("=", 1) for line in text.splitlines() if line and line[0] != "#")


class AnsibleCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("ansible-playbook", "ansible-inventory")

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def command(self, *words, **options):
        return run(*words, cwd=ANSIBLE, **{"env": {**QUIET, "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp")}, **options})

    def rendered(self, role, template, host="histo-01", **variables):
        """A role's template as one of the example's hosts would have it, with these variables."""
        return self.render([(role, template, variables)], host)[0]

    def render(self, wanted, host="histo-01"):
        plays, targets = [], []
        for role, template, variables in wanted:
            files = [path for path in (ANSIBLE / "roles" / role / part / "main.yml" for part in ("defaults", "vars")) if path.exists()]
            targets.append(self.folder / f"rendered-{len(targets)}")
            task = {"ansible.builtin.template": {"src": str(ANSIBLE / "roles" / role / "templates" / template), "dest": str(targets[-1]), "mode": "0600"},
                    "vars": variables}
            plays.append({"hosts": host, "gather_facts": False, "connection": "local", "vars_files": [str(path) for path in files], "tasks": [task]})
        (self.folder / "render.yml").write_text(yaml.safe_dump(plays))
        variables = {"ansible_become": False, "ansible_python_interpreter": sys.executable, "ansible_facts": FACTS}
        (self.folder / "variables.json").write_text(json.dumps(variables))
        done = self.command("ansible-playbook", "--inventory", ANSIBLE / "inventory/example", "--extra-vars", f"@{self.folder}/variables.json",
                            self.folder / "render.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [target.read_text() for target in targets]


class SyntaxTest(AnsibleCase):
    def test_syntax(self):
        for playbook in PLAYBOOKS:
            done = self.command("ansible-playbook", "--syntax-check", playbook)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("WARNING", done.stderr)

    def test_yamllint(self):
        need("yamllint")
        done = self.command("yamllint", "--strict", ".")
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_ansible_lint(self):
        need("ansible-lint")
        with tempfile.TemporaryDirectory() as home:
            shutil.copytree(ANSIBLE, pathlib.Path(home) / "ansible")
            done = run("ansible-lint", "--offline", "--nocolor", "--profile", "production", "--strict", cwd=pathlib.Path(home) / "ansible",
                       env={**QUIET, "HOME": home, "ANSIBLE_CONFIG": str(pathlib.Path(home) / "ansible/ansible.cfg")})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_no_shell_and_nothing_ignored(self):
        for path in sorted(ANSIBLE.glob("roles/*/*/*.yml")) + [ANSIBLE / name for name in PLAYBOOKS]:
            text = path.read_text()
            self.assertNotRegex(text, r"(?m)\bansible\.builtin\.(shell|raw|script):|\bignore_errors:|\bignore_unreachable:", path.name)
            self.assertNotRegex(text, r"(?m)^\s*- (?!name:)[a-z_]+(\.[a-z_]+){2}:", f"{path}: a task without a name")

    def test_secrets_are_not_shown(self):
        """Whatever reads a file of secrets or a token is under no_log, and shows no difference."""
        secret = re.compile(r"histod_systemd_(tokens|peer_token|zookeeper_credential|tls_key)\b|token create|upload-certs|kubeadm_token_made|admin\.conf\b.*slurp|"
                            r"kubeadm_admin")
        found = 0
        for path in sorted(ANSIBLE.glob("roles/*/tasks/*.yml")):
            for task in self.tasks(yaml.safe_load(path.read_text()) or []):
                words = json.dumps({key: value for key, value in task.items() if key not in ("when", "name")})
                if secret.search(words) and "import_tasks" not in words:
                    found += 1
                    self.assertIs(task.get("no_log"), True, f"{path}: {task['name']}")
                    if any(module in words for module in ("builtin.copy", "builtin.template")):
                        self.assertIs(task.get("diff"), False, f"{path}: {task['name']}")
        self.assertGreaterEqual(found, 7)

    def tasks(self, found):
        for task in found:
            inner = [each for part in ("block", "rescue", "always") for each in task.get(part, [])]
            yield from self.tasks(inner) if inner else [task]


class InventoryTest(AnsibleCase):
    def read(self, inventory):
        done = self.command("ansible-inventory", "--inventory", inventory, "--list")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_the_example_is_what_terraform_renders(self):
        example = self.read(ANSIBLE / "inventory/example/hosts.yml")
        template = (ROOT / "deploy/terraform/modules/fleet/inventory.yml.tftpl").read_text()
        groups = {"histod", *re.search(r"for group, names in \{(.*?)\}", template).group(1).replace(",", " = ").split(" = ")[::2]}
        groups = {name.strip() for name in groups}
        self.assertEqual(set(example["all"]["children"]) - {"ungrouped"}, groups)
        rendered = set(re.findall(r"(?m)^ {6,10}(\w+):(?: |$)", re.sub(r"\$\{|%\{", "", template))) - {"hosts"}
        for name, variables in example["_meta"]["hostvars"].items():
            own = set(yaml.safe_load((ANSIBLE / "inventory/example/group_vars/all.yml").read_text()))
            connection = {"ansible_become", "ansible_local", "ansible_user"}
            self.assertEqual(set(variables) - own - connection, rendered - connection, name)

    def test_callback_is_found_and_tells(self):
        events = self.folder / "events.jsonl"
        play = self.folder / "play.yml"
        play.write_text("- name: Nothing\n  hosts: localhost\n  gather_facts: false\n  tasks: []\n")
        done = self.command("ansible-playbook", play, env={**QUIET, "HISTOD_EVENTS_FILE": str(events)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([json.loads(line)["event"] for line in events.read_text().splitlines()][-1], "playbook_finished")


class TemplateTest(AnsibleCase):
    def kubelets(self, *variables):
        wanted = [("kubeadm", "kubelet.yaml.j2", {"kubeadm_reserved_cpus": "0,8", "kubeadm_numa_nodes": [0], **each}) for each in variables]
        return [yaml.safe_load(text) for text in self.render(wanted)]

    def test_reservation_is_exact(self):
        machines = (([0], 1024, 1024, 100), ([0, 1], 1000, 777, 100), ([0, 1, 2, 3, 4, 5, 6, 7], 1, 1, 100), ([0, 2, 3], 512, 511, 101))
        names = ("kubeadm_numa_nodes", "kubeadm_kube_reserved_mb", "kubeadm_system_reserved_mb", "kubeadm_eviction_hard_mb")
        for machine, found in zip(machines, self.kubelets(*(dict(zip(names, each)) for each in machines))):
            nodes, kube, system, eviction = machine
            kept = [(each["numaNode"], mebibytes(each["limits"]["memory"])) for each in found["reservedMemory"]]
            self.assertEqual([node for node, _ in kept], nodes)
            wanted = mebibytes(found["kubeReserved"]["memory"]) + mebibytes(found["systemReserved"]["memory"]) + mebibytes(found["evictionHard"]["memory.available"])
            self.assertEqual(sum(size for _, size in kept), wanted)
            self.assertEqual(wanted, kube + system + eviction)
            self.assertLessEqual(max(size for _, size in kept) - min(size for _, size in kept), len(nodes))

    def test_kubelet(self):
        (found,) = self.kubelets({})
        self.assertEqual((found["apiVersion"], found["kind"]), ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"))
        self.assertEqual((found["cpuManagerPolicy"], found["memoryManagerPolicy"], found["topologyManagerPolicy"], found["topologyManagerScope"]),
                         ("static", "Static", "single-numa-node", "pod"))
        self.assertEqual((found["reservedSystemCPUs"], found["cgroupDriver"], found["seccompDefault"], found["failSwapOn"]), ("0,8", "systemd", True, True))
        # Given one, the others' defaults are gone.
        self.assertEqual(set(found["evictionHard"]), {"memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"})
        for value in found["cpuManagerPolicyOptions"].values():
            self.assertIsInstance(value, str)

    def test_the_first_core_is_kept_back(self):
        machine = {"files": [{"path": f"/sys/devices/system/node/node{number}"} for number in (10, 0, 2)]}
        (found,) = self.kubelets({"kubeadm_reserved_cpus": "", "kubeadm_first_core": {"content": "MCw4Cg=="}, "kubeadm_numa_nodes": [],
                                  "kubeadm_numa_found": machine})
        self.assertEqual(found["reservedSystemCPUs"], "0,8")
        self.assertEqual([each["numaNode"] for each in found["reservedMemory"]], [0, 2, 10])

    def test_cluster(self):
        text = self.rendered("kubeadm", "cluster.yaml.j2", kubeadm_reserved_cpus="0", kubeadm_numa_nodes=[0, 1])
        found = {document["kind"]: document for document in yaml.safe_load_all(text)}
        self.assertEqual(list(found), ["ClusterConfiguration", "InitConfiguration", "KubeletConfiguration"])
        cluster, init = found["ClusterConfiguration"], found["InitConfiguration"]
        self.assertEqual({cluster["apiVersion"], init["apiVersion"]}, {"kubeadm.k8s.io/v1beta4"})
        self.assertEqual((cluster["kubernetesVersion"], cluster["controlPlaneEndpoint"]), ("v1.36.4", "10.66.0.11:6443"))
        self.assertIn("10.66.0.11", cluster["apiServer"]["certSANs"])
        self.assertEqual(init["localAPIEndpoint"], {"advertiseAddress": "10.66.0.11", "bindPort": 6443})
        self.check_node(init)
        # Since v1beta4 arguments are a list.
        for part in ("apiServer", "controllerManager", "scheduler"):
            self.assertEqual({frozenset(argument) for argument in cluster[part]["extraArgs"]}, {frozenset({"name", "value"})})

    def check_node(self, document, name="histo-01", address="10.66.0.11"):
        node = document["nodeRegistration"]
        self.assertEqual((node["name"], node["criSocket"]), (name, "unix:///run/containerd/containerd.sock"))
        self.assertEqual(node["kubeletExtraArgs"], [{"name": "node-ip", "value": address}])
        self.assertEqual(document["patches"], {"directory": "/etc/kubernetes/patches"})

    def test_join(self):
        said = "kubeadm join 10.66.0.11:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:" + "0f" * 32 + " \n"
        found = yaml.safe_load(self.rendered("kubeadm", "join.yaml.j2", host="histo-02", kubeadm_join_command=said, kubeadm_certificate_key=""))
        self.assertEqual((found["apiVersion"], found["kind"]), ("kubeadm.k8s.io/v1beta4", "JoinConfiguration"))
        self.assertEqual(found["discovery"]["bootstrapToken"], {"apiServerEndpoint": "10.66.0.11:6443", "token": "abcdef.0123456789abcdef",
                                                                "caCertHashes": ["sha256:" + "0f" * 32]})
        self.assertNotIn("controlPlane", found)
        self.check_node(found, "histo-02", "10.66.0.12")
        found = yaml.safe_load(self.rendered("kubeadm", "join.yaml.j2", kubeadm_join_command=said, kubeadm_certificate_key="ab" * 32))
        self.assertEqual(found["controlPlane"]["certificateKey"], "ab" * 32)

    def test_containerd_of_each_version(self):
        versions = {"2.2.1": 3, "2.3.0": 4, "2.3.4": 4, "2.10.0": 4}
        texts = self.render([("containerd", "config.toml.j2", {"containerd_version": version}) for version in versions] +
                            [("containerd", "limits.conf.j2", {})])
        for text, expected in zip(texts, versions.values()):
            found = tomllib.loads(text)
            self.assertEqual(found["version"], expected)
            self.assertIs(found["plugins"]["io.containerd.cri.v1.runtime"]["device_ownership_from_security_context"], True)
            runtime = found["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]
            self.assertIs(runtime["runtimes"][runtime["default_runtime_name"]]["options"]["SystemdCgroup"], True)
            self.assertNotIn("disabled_plugins", found)
            self.assertEqual("io.containerd.server.v1.grpc" in found["plugins"], expected == 4)
        (self.folder / "limits.conf").write_text(texts[-1])
        self.assertEqual(read_unit(self.folder / "limits.conf"), {("Service", "LimitMEMLOCK"): ["infinity"]})

    def test_zookeeper_is_what_the_stateful_set_is(self):
        ours = settings(self.rendered("zookeeper_systemd", "zoo.cfg.j2", host="histo-02"))
        pods = settings((ROOT / "k8s/base/zookeeper/zoo.cfg").read_text())
        differ = {"dataDir", "clientPortAddress", "quorumListenOnAllIPs", "admin.enableServer", "admin.serverAddress", "admin.serverPort",
                  "metricsProvider.className", "metricsProvider.httpPort", "server.1", "server.2", "server.3"}
        self.assertEqual({name: value for name, value in ours.items() if name not in differ}, {name: value for name, value in pods.items() if name not in differ})
        self.assertEqual([ours[f"server.{number}"] for number in (1, 2, 3)], [f"10.66.0.1{number}:2888:3888" for number in (1, 2, 3)])
        self.assertEqual((ours["clientPortAddress"], ours["admin.serverAddress"]), ("10.66.0.12", "127.0.0.1"))

    def test_options_are_toml(self):
        found = tomllib.loads(self.rendered("histod_systemd", "histod.toml.j2", histod_systemd_tls=True,
                                            histod_systemd_options={"max-pages": 7, "file-root": ["scans=/srv/ä"], "pin": False, "spool-budget": "1GiB"}))
        self.assertEqual(found, {
            "node-name": "histo-01", "spool": "/var/lib/histod/spool", "advertise-url": "https://10.66.0.11:8080", "io": "auto",
            "zookeeper": "10.66.0.11:2181,10.66.0.12:2181,10.66.0.13:2181", "min-nodes": 2, "tls-cert": "/etc/histod/tls/tls.crt",
            "tls-key": "/etc/histod/tls/tls.key", "peer-ca-file": "/etc/histod/tls/ca.crt", "file-root": ["scans=/srv/ä"], "pin": False,
            "spool-budget": "1GiB", "max-pages": 7})

    def test_a_node_alone_has_no_options_of_a_fleet(self):
        found = tomllib.loads(self.rendered("histod_systemd", "histod.toml.j2", histod_systemd_tls=True, histod_systemd_zookeeper_hosts=[]))
        self.assertEqual(set(found), {"node-name", "spool", "advertise-url", "io", "tls-cert", "tls-key"})

    def test_kernel_parameters(self):
        text = self.rendered("histod_host", "grub.cfg.j2", histod_host_cpus="2-7", histod_host_other_cpus="0-1")
        done = run("sh", "-c", text + 'echo "$GRUB_CMDLINE_LINUX_DEFAULT"', env={"GRUB_CMDLINE_LINUX_DEFAULT": "quiet"})
        self.assertEqual(done.stdout, "quiet isolcpus=managed_irq,2-7 nohz_full=2-7 rcu_nocbs=2-7 irqaffinity=0-1\n", text)

    def test_swap_of_fstab(self):
        (task,) = [each for each in yaml.safe_load((ANSIBLE / "roles/base/tasks/swap.yml").read_text()) if "ansible.builtin.replace" in each]
        fstab = "# a swap b\n\n/dev/sda1 / ext4 defaults 0 1\nUUID=1 none\tswap sw 0 0\n /swapfile swap swap sw 0 0\n#/dev/sdb none swap sw 0 0\n/swap /mnt ext4 ro 0 0\n"
        words = task["ansible.builtin.replace"]
        once = re.sub(words["regexp"], words["replace"], fstab, flags=re.MULTILINE)
        self.assertEqual(once, fstab.replace("UUID=1", "# UUID=1").replace(" /swapfile", "#  /swapfile"))
        self.assertEqual(re.sub(words["regexp"], words["replace"], once, flags=re.MULTILINE), once)

    def test_etcd_backup(self):
        need("shellcheck")
        done = run("shellcheck", "-", input=self.rendered("etcd_backup", "etcd-backup.j2"))
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_etcd_backup_keeps_the_latest_and_refuses_a_broken_one(self):
        """With stand-ins for etcdctl and etcdutl."""
        backups = self.folder / "backups"
        backups.mkdir()
        programs = {"etcd-backup": self.rendered("etcd_backup", "etcd-backup.j2", etcd_backup_keep=3),
                    "etcdctl": '#!/bin/sh\n[ "$1 $2" = "snapshot save" ] && echo "$SNAPSHOT" >"$3"\n',
                    "etcdutl": '#!/bin/sh\n[ "$1 $2" = "snapshot status" ] && grep -qx whole "$3"\n'}
        for name, text in programs.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        old = [f"etcd-2026010{day}T023000Z.db" for day in range(1, 6)]
        for name in (*old, "restore.db"):
            (backups / name).write_text("whole\n")
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "ETCD_BACKUP_FOLDER": str(backups), "SNAPSHOT": "broken"}
        self.assertNotEqual(run(self.folder / "etcd-backup", env=environment).returncode, 0)
        self.assertEqual({path.name for path in backups.iterdir()}, {*old, "restore.db"})
        done = run(self.folder / "etcd-backup", env={**environment, "SNAPSHOT": "whole"})
        self.assertEqual(done.returncode, 0, done.stderr)
        left = sorted(path.name for path in backups.iterdir())
        self.assertEqual((left[:2], left[3:]), (old[3:], ["restore.db"]))
        self.assertEqual((backups / left[2]).stat().st_mode & 0o777, 0o600)

    def test_etcd_is_restored_with_all_its_members(self):
        tasks = yaml.safe_load((ANSIBLE / "roles/etcd_backup/tasks/restore.yml").read_text())
        (task,) = [each for each in tasks if each["name"] == "Write what the snapshot has"]
        play = {"hosts": "histo-02", "gather_facts": False, "connection": "local",
                "vars_files": [str(ANSIBLE / "roles/etcd_backup/defaults/main.yml")],
                "tasks": [{"ansible.builtin.copy": {"content": "{{ argv | to_json }}", "dest": str(self.folder / "argv"), "mode": "0600"},
                           "vars": {**task["vars"], "argv": task["ansible.builtin.command"]["argv"]}}]}
        (self.folder / "play.yml").write_text(yaml.safe_dump([play]))
        (self.folder / "more.yml").write_text("etcd: {hosts: {histo-02: {}, histo-03: {}}}\n")
        done = self.command("ansible-playbook", "--inventory", ANSIBLE / "inventory/example", "--inventory", self.folder / "more.yml", "--extra-vars",
                            "ansible_become=false", self.folder / "play.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        argv = json.loads((self.folder / "argv").read_text())
        self.assertEqual(argv[:4], ["etcdutl", "snapshot", "restore", "/var/lib/etcd-backup/restore.db"])
        self.assertEqual(dict(word.removeprefix("--").split("=", 1) for word in argv[4:] if "=" in word), {
            "name": "histo-02", "initial-advertise-peer-urls": "https://10.66.0.12:2380", "data-dir": "/var/lib/etcd", "bump-revision": "1000000000",
            "initial-cluster": "histo-01=https://10.66.0.11:2380,histo-02=https://10.66.0.12:2380,histo-03=https://10.66.0.13:2380"})

    def test_units(self):
        need("systemd-analyze")
        units = {"etcd-backup.service": "etcd_backup", "etcd-backup.timer": "etcd_backup", "zookeeper.service": "zookeeper_systemd",
                 "containerd.service": "containerd"}
        (self.folder / "units").mkdir()
        for name, text in zip(units, self.render([(role, f"{name}.j2", {}) for name, role in units.items()])):
            # Neither is installed here.
            (self.folder / "units" / name).write_text(re.sub(r"(?m)^(ExecStart=)\S+", r"\1/bin/true", text))
        for path in sorted((self.folder / "units").iterdir()):
            done = run("systemd-analyze", "verify", "--man=no", path, env={**ENVIRONMENT, "SYSTEMD_UNIT_PATH": f"{self.folder}/units:"})
            own = [line for line in done.stderr.splitlines() if path.name in line]
            self.assertEqual((done.returncode, own), (0, []), done.stderr)
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", self.folder / "units/zookeeper.service")
        self.assertEqual(done.returncode, 0, done.stdout[-300:])


if __name__ == "__main__":
    if not (ANSIBLE / "site.yml").exists():
        sys.exit("deploy/ansible is not there")
    unittest.main(verbosity=2)
