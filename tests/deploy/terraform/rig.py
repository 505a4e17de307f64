# SPDX-License-Identifier: Apache-2.0
"""A copy of deploy/terraform in a folder of its own, with the stub providers in a mirror that Terraform installs them from."""
import importlib.util
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = pathlib.Path(os.environ.get("HISTOD_SOURCE", HERE.parents[2])).resolve()
PROVIDERS = {"latitudesh/latitudesh": "4.0.0", "canonical/maas": "2.4.0"}
ROOTS = (".", "maas")
PYTHON = "/usr/bin/python3"
RUN_LIMIT_S = 300
TOKEN = "planted-provider-token"  # stands for a secret that must be found nowhere
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ ops@example.org"
VARIABLES = {".": {"project": "histod-tests", "admin_cidrs": ["198.51.100.0/24"], "ssh_public_keys": {"ops": KEY}},
             "maas": {"private_cidr": "10.66.0.0/24", "ssh_public_keys": {"ops": KEY}}}


def architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


class Workspace:
    def __init__(self, versions=None):
        self.temporary = tempfile.TemporaryDirectory(prefix="histod-terraform-")
        self.folder = pathlib.Path(self.temporary.name)
        self.terraform = self.folder / "deploy" / "terraform"
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars", "inventory.yml")
        shutil.copytree(SOURCE / "deploy/terraform", self.terraform, ignore=ignored)
        for root in ROOTS:
            (self.terraform / root / "terraform.tfvars.json").write_text(json.dumps(VARIABLES[root]), encoding="utf-8")
        self.stub = self.folder / "stub"
        self.stub.mkdir()
        self.settings()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", self.stub / "key.pem", "-out", self.stub / "cert.pem", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        self.mirror({**PROVIDERS, **(versions or {})})
        # What whoever runs the tests has set up for Terraform is not there; neither is any registry.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "HISTOCTL", "MAAS_"))}
        self.environment.update({"TF_CLI_CONFIG_FILE": str(self.folder / "terraformrc"), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1",
                                 "HOME": str(self.folder), "LATITUDESH_AUTH_TOKEN": TOKEN, "MAAS_API_KEY": TOKEN})

    def mirror(self, versions):
        for address, version in versions.items():
            place = self.folder / "mirror/registry.terraform.io" / address / version / f"linux_{architecture()}"
            place.mkdir(parents=True)
            program = place / f"terraform-provider-{address.split('/')[1]}_v{version}"
            program.write_text(f"#!/bin/sh\nexec {PYTHON} -B {HERE}/stub_provider.py registry.terraform.io/{address} {self.stub}\n")
            program.chmod(0o755)
        (self.folder / "terraformrc").write_text(
            f'disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{ path = "{self.folder}/mirror" }}\n}}\n')

    def settings(self, **settings):
        """What the providers do: see stub_provider.py."""
        (self.stub / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def command(self, *words, root="."):
        return ["terraform", f"-chdir={self.terraform / root}", *words]

    def run(self, *words, root=".", expect=0):
        """Runs Terraform; `expect` is the exit code that it must have, or None for any."""
        done = subprocess.run(self.command(*words, root=root), env=self.environment, capture_output=True, text=True, timeout=RUN_LIMIT_S,
                              stdin=subprocess.DEVNULL, check=False)
        if expect not in (None, done.returncode):
            raise AssertionError(f"terraform {words} in {root}: {done.returncode}, not {expect}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def init(self, root="."):
        self.run("init", "-backend=false", "-input=false", "-no-color", root=root)

    def edit(self, path, old, new):
        file = self.terraform / path
        text = file.read_text(encoding="utf-8")
        if old not in text:
            raise AssertionError(f"{path} has no {old!r}")
        file.write_text(text.replace(old, new), encoding="utf-8")

    def state(self, root="."):
        return sorted(self.run("state", "list", root=root).stdout.split())

    def forget(self):
        """The stub keeps nothing of what it made, so the state is all there is."""
        for path in self.terraform.glob("**/terraform.tfstate*"):
            path.unlink()

    def close(self):
        self.temporary.cleanup()


def skipped(reason):
    print(f"skipped: {reason}", flush=True)


def events_of(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


def normal(events):
    """What does not depend on the clock, the version of Terraform or the order of things that are done at once."""
    lines = []
    for event in events:
        if event["type"].endswith(".apply_progress"):
            continue
        data = event["data"]
        message = re.sub(r"after \d+s", "after TIME", re.sub(r"^Terraform \d\S*", "Terraform VERSION", data["message"]))
        line = {"type": event["type"], "severity": event["severity"], "subject": event.get("subject"), "status": data.get("status"),
                "message": message, "error": data.get("error")}
        lines.append(json.dumps({name: value for name, value in line.items() if value is not None}))
    return sorted(lines)


def golden(name, lines):
    """The lines of a golden file; HISTOD_GOLDEN=write writes it anew."""
    path = HERE.parent / "golden" / name
    if os.environ.get("HISTOD_GOLDEN") == "write":
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path.read_text(encoding="utf-8").splitlines()


def need(histoctl):
    """Ends the test with one line where it cannot be: not at hand is not passed."""
    name = pathlib.Path(sys.argv[0]).stem
    if not shutil.which("terraform"):
        sys.exit(f"{name}: terraform is missing: https://developer.hashicorp.com/terraform/install")
    modules = {"grpc": "python3-grpcio", "google": "python3-protobuf", "msgpack": "python3-msgpack"}
    lacking = [package for module, package in modules.items() if not importlib.util.find_spec(module)]
    if lacking:
        sys.exit(f"{name}: apt-get install --no-install-recommends {' '.join(lacking)}")
    if not shutil.which(histoctl):
        sys.exit(f"{name}: {histoctl} is missing: build it, or name it with HISTOCTL")
