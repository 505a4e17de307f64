#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/terraform with the real Terraform, and providers that are stubs but speak the real protocol. Nothing is downloaded or rented."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "terraform"))
import rig  # noqa: E402

import yaml  # noqa: E402

HISTOCTL = os.environ.setdefault("HISTOCTL", str(rig.SOURCE / "build/release/bin/histoctl"))
FAILURE = "422 the plan is out of stock at this site"


def workspace(case, **how):
    made = rig.Workspace(**how)
    case.addClassCleanup(made.close) if isinstance(case, type) else case.addCleanup(made.close)
    return made


class FilesTest(unittest.TestCase):
    """What can be said without a provider."""

    def fmt(self, folder):
        return subprocess.run(["terraform", "fmt", "-check", "-recursive", "-no-color"], cwd=folder, capture_output=True, text=True, check=False,
                              env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull})

    def test_formatted(self):
        done = self.fmt(rig.SOURCE / "deploy/terraform")
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_what_is_not_formatted_is_found(self):
        place = workspace(self)
        place.edit("maas/main.tf", "  for_each = var.nodes", " for_each=var.nodes")
        done = self.fmt(place.terraform)
        self.assertEqual((done.returncode, done.stdout.split()), (3, ["maas/main.tf"]))

    def test_nothing_that_belongs_to_a_run_is_in_the_repository(self):
        if not (rig.SOURCE / ".git").exists():
            return rig.skipped("no git repository")
        tracked = subprocess.run(["git", "-C", rig.SOURCE, "ls-files", "deploy/terraform"], capture_output=True, text=True, check=True).stdout
        wrong = [path for path in tracked.split() if path.endswith((".lock.hcl", ".tfstate", ".tfvars", "inventory.yml")) or ".terraform/" in path]
        self.assertEqual(wrong, [])

    def test_shellcheck(self):
        if not shutil.which("shellcheck"):
            return rig.skipped("shellcheck is not installed")
        done = subprocess.run(["shellcheck", rig.SOURCE / "deploy/terraform/bin/apply"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


    def test_without_terraform_there_is_one_clear_line(self):
        for test in sorted((rig.SOURCE / "tests/deploy").glob("terraform_*test.py")):
            done = subprocess.run([rig.PYTHON, test], env={**os.environ, "PATH": "/nowhere"}, capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr, f"{test.stem}: terraform is missing: https://developer.hashicorp.com/terraform/install\n")


class ProviderTest(unittest.TestCase):
    """Terraform installs the stub by the version constraint, starts it, and checks our arguments against its schema."""

    def test_valid(self):
        place = workspace(self)
        for root in rig.ROOTS:
            place.init(root)
            said = json.loads(place.run("validate", "-json", root=root).stdout)
            self.assertEqual((said["valid"], said["diagnostics"]), (True, []), root)

    def test_an_argument_that_the_provider_does_not_have(self):
        place = workspace(self)
        place.edit("main.tf", "timeouts = {", "timeouts {")
        place.edit("maas/main.tf", "distro_series = var.distro_series", "distro = var.distro_series")
        for root, summary in ((".", "Unsupported block type"), ("maas", "Unsupported argument")):
            place.init(root)
            said = json.loads(place.run("validate", "-json", root=root, expect=1).stdout)
            self.assertIn(summary, [diagnostic["summary"] for diagnostic in said["diagnostics"]], root)

    def test_another_major_version_is_not_taken(self):
        place = workspace(self, versions={"latitudesh/latitudesh": "5.0.0", "canonical/maas": "3.0.0"})
        for root in rig.ROOTS:
            said = place.run("init", "-backend=false", "-input=false", "-no-color", root=root, expect=1)
            self.assertIn("no available releases match", " ".join(said.stderr.split()), root)

    def test_a_plugin_is_no_program(self):
        done = subprocess.run([rig.PYTHON, rig.HERE / "stub_provider.py", "registry.terraform.io/canonical/maas", "/nowhere"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Terraform starts it", done.stderr)


class OwnTestsTest(unittest.TestCase):
    """terraform test: Terraform's own tests, which are beside the configuration. A run that fails takes two seconds, so all go at once."""

    FOLDERS = ("modules/fleet", ".", "maas")

    def start(self, place, root, *words):
        place.init(root)
        return subprocess.Popen(place.command("test", "-no-color", *words, root=root), env=place.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)

    def test_they_pass_and_can_fail(self):
        place, broken = workspace(self), workspace(self)
        broken.edit("modules/fleet/variables.tf", "if node.zookeeper_id != null]) % 2 == 1", "if node.zookeeper_id != null]) >= 1")
        broken.edit("maas/main.tf", "distro_series = var.distro_series", "distro_series = \"jammy\"")
        started = [(root, self.start(place, root), "0 failed") for root in self.FOLDERS]
        started += [(root, self.start(broken, root), ", 1 failed") for root in ("modules/fleet", "maas")]
        for root, process, wanted in started:
            said = process.communicate(timeout=rig.RUN_LIMIT_S)[0]
            self.assertIn(wanted, said.strip().splitlines()[-1], f"{root}\n{said}")
            self.assertNotIn("Success! 0 passed", said)


class ApplyTest(unittest.TestCase):
    """terraform apply -json, and the events that histoctl makes of it."""

    @classmethod
    def setUpClass(cls):
        cls.place = workspace(cls)
        for root in rig.ROOTS:
            cls.place.init(root)

    def setUp(self):
        self.place.settings()
        self.addCleanup(self.place.forget)

    def apply(self, root=".", expect=0):
        """The events of one apply."""
        said = self.place.run("apply", "-json", "-auto-approve", "-input=false", root=root, expect=expect).stdout
        stream, out = self.place.folder / "stream.jsonl", self.place.folder / "events.jsonl"
        stream.write_text(said, encoding="utf-8")
        subprocess.run([HISTOCTL, "events", "send", "--source", "terraform", "--rollout", "golden", "--quiet", "--file", stream, "--out", out],
                       check=True, timeout=rig.RUN_LIMIT_S)
        self.assertNotIn(rig.TOKEN, said)
        return rig.events_of(out)

    def output(self, name, root="."):
        return json.loads(self.place.run("output", "-json", name, root=root).stdout)

    def test_three_nodes_are_made(self):
        events = self.apply()
        self.assertEqual(rig.normal(events), rig.golden("terraform_apply.jsonl", rig.normal(events)))
        order = {(event["type"].rsplit(".", 1)[1], event.get("subject")): number for number, event in enumerate(events)}
        for (kind, subject), number in order.items():
            if kind == "apply_complete":
                self.assertLess(order["apply_start", subject], number)
        server, data = 'latitudesh_server.node["histo-02"]', 'latitudesh_user_data.node["histo-02"]'
        self.assertLess(order["apply_complete", data], order["apply_start", server], "a server is made with its user data")
        self.assertEqual(self.output("nodes")["histo-03"], {"id": "server_histo-03", "private_ip": "10.66.0.13", "public_ip": "203.0.113.3"})
        self.place.run("plan", "-detailed-exitcode", "-input=false", expect=0)

    def test_a_node_that_cannot_be_made(self):
        self.place.settings(fail={"histo-02": FAILURE})
        events = self.apply(expect=1)
        self.assertEqual(rig.normal(events), rig.golden("terraform_apply_failed.jsonl", rig.normal(events)))
        failed = [event for event in events if event["data"].get("error")]
        self.assertEqual([event["subject"] for event in failed], ['latitudesh_server.node["histo-02"]'])
        self.assertIn(FAILURE, failed[0]["data"]["error"])
        self.assertIn('latitudesh_server.node["histo-03"]', self.place.state(), "the others are made, and are known")
        self.place.settings()
        self.apply()
        self.assertIn('latitudesh_server.node["histo-02"]', self.place.state(), "the next apply makes what is missing")

    def test_the_owned_rack(self):
        events = self.apply("maas")
        done = [event["subject"] for event in events if event["type"].endswith(".apply_complete")]
        self.assertEqual(sorted(done), [f'maas_instance.node["histo-0{number}"]' for number in (1, 2, 3)])
        hosts = yaml.safe_load(self.output("inventory", "maas"))["all"]["children"]["histod"]["hosts"]
        self.assertEqual(hosts["histo-02"], {"ansible_host": "10.66.0.2", "ip": "10.66.0.2", "access_ip": "10.66.0.2", "zookeeper_id": 2})


if __name__ == "__main__":
    rig.need(HISTOCTL)
    unittest.main(verbosity=2)
