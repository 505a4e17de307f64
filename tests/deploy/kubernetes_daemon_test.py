#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real daemon, and a real ZooKeeper server, run as the documents of k8s/ say: arguments, variables, configuration, secrets as the README
makes them and as Kubernetes mounts them, probes, the page. HISTOD names the program."""
import http.client
import os
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import unittest

from confined_daemon import NOBODY, ConfinedDaemon, give, harness
from kubernetes_documents import (SOURCE, device_variables, documents, histod, histod_toml, pod_of, rendered, variables_of, zoo_cfg)

sys.path.insert(0, str(SOURCE / "tools/lib"))
import zookeeper_server  # noqa: E402

HOST_IP, NODE = "127.0.0.2", "histo-01"
FILLED_IN = {"status.hostIP": HOST_IP, "spec.nodeName": NODE}
DEVICE = "0000:3b:02.0"  # what a device plugin would hand out
FOLDERS = ("/etc/histod", "/var/lib/histod", "/srv/files")
ZOOKEEPER_WANTS_DIGEST, NO_AUTH = -124, -102
KUBECTL = '#!/bin/sh\nprintf "%s\\n" "$*" >> "$KUBECTL_LOG"\n'


def readme_blocks():
    return re.findall(r"```sh\n(.*?)```", (SOURCE / "k8s/README.md").read_text(encoding="utf-8"), re.S)


def make_secrets(folder, nodes=HOST_IP):
    """What the README's commands make: {secret: {key: path}}. kubectl only notes what it is told."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "kubectl").write_text(KUBECTL)
    (programs / "kubectl").chmod(0o755)
    log = folder / "kubectl.log"
    script = "\n".join([*readme_blocks(), 'pwd > "$KUBECTL_LOG.folder"'])
    subprocess.run(["sh", "-eu", "-c", script], cwd=SOURCE, check=True, capture_output=True,
                   env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(folder), "KUBECTL_LOG": str(log), "NODES": nodes})
    made = pathlib.Path(pathlib.Path(f"{log}.folder").read_text().strip())
    secrets = {}
    for line in log.read_text().splitlines():
        if match := re.match(r"-n histod create secret generic (\S+) (.*)$", line):
            secrets[match[1]] = {key: made / key for key in re.findall(r"--from-file=(\S+)", match[2])}
    return secrets


class Pod:
    """A pod's file system in a folder, as the kubelet would make it, and the daemon in it."""

    def __init__(self, name, folder, zookeeper=None):
        self.docs, self.folder = documents(name), folder
        self.pod = pod_of(histod(self.docs))
        self.container = self.pod["containers"][0]
        self.secrets = make_secrets(folder)
        for mount in self.container["volumeMounts"]:
            self.mount(mount, next(each for each in self.pod["volumes"] if each["name"] == mount["name"]), zookeeper)

    def inside(self, text):
        """Paths of the container as they are here."""
        return re.sub("|".join(map(re.escape, FOLDERS)), lambda match: str(self.folder) + match[0], text)

    def mount(self, mount, volume, zookeeper):
        target = pathlib.Path(self.inside(mount["mountPath"]))
        target.mkdir(parents=True)
        if "configMap" in volume:
            toml = self.inside(histod_toml(self.docs))
            (target / "histod.toml").write_text(re.sub(r'(?m)^zookeeper = .*$', f'zookeeper = "{zookeeper}"', toml) if zookeeper else toml)
        if "secret" in volume:
            for key, path in self.secrets[volume["secret"]["secretName"]].items():
                # As with defaultMode 0400 and an fsGroup: the group may read, and there is a link in between.
                (target / "..data").mkdir(exist_ok=True)
                shutil.copy(path, target / "..data" / key)
                (target / "..data" / key).chmod(volume["secret"]["defaultMode"] | 0o440)
                (target / key).symlink_to(pathlib.Path("..data") / key)

    def mounted_secrets(self):
        return [path for path in pathlib.Path(self.inside("/etc/histod")).glob("*/..data/*") if path.is_file()]

    def environment(self):
        own = {name: FILLED_IN.get(value, self.inside(value)) for name, value in variables_of(self.docs).items()}
        return own | dict.fromkeys(device_variables(self.container), DEVICE)

    def arguments(self):
        variables = self.environment()
        words = [re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], word) for word in self.container["args"]]
        return [self.inside(word) for word in words]

    @property
    def scheme(self):
        return "https" if "HISTOD_TLS_CERT" in self.environment() else "http"


class PodDaemon(ConfinedDaemon):
    """Ports are free ones, and the log is one that the harness reads; all else is as in the pod."""

    def __init__(self, pod, owner=0):
        super().__init__(environment=pod.environment(), folder=pod.folder)
        self.pod, self.owner = pod, owner

    def command(self):
        give(self.folder)
        for path in self.pod.mounted_secrets():
            if os.getuid() == 0:
                os.chown(path, self.owner, NOBODY)
            elif self.owner == 0:
                print(f"\nskipped: {path.name} as Kubernetes mounts it: making files of root's needs root", flush=True)
                path.chmod(0o400)
        words = [re.sub(r"^(--listen=.*):8080$", r"\1:0", word) for word in self.pod.arguments()]
        return [*self.prefix, str(self.programs / "histod"), *words, "--log-format=logfmt", "--log-level=info", "--memory-budget=512MiB"]

    def port_at(self, address):
        return int(self.wait_log(rf"msg=listening address={re.escape(address)}:0 port=(\d+)").group(1))

    def ask(self, address, path, token=None):
        port = self.port_at(address)
        if self.pod.scheme == "https":
            trusted = ssl.create_default_context(cafile=self.pod.environment()["HISTOD_PEER_CA_FILE"])
            connection = http.client.HTTPSConnection(address, port, timeout=30, context=trusted)
        else:
            connection = http.client.HTTPConnection(address, port, timeout=30)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Case(unittest.TestCase):
    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="histod-k8s-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def start(self, pod):
        daemon = PodDaemon(pod)
        self.addCleanup(daemon.close)
        return daemon.start()


class OptionsTest(Case):
    """--print-config reads all of it, and says what it does not know."""

    def configured(self, pod):
        return subprocess.run([harness.PROGRAM, *pod.arguments(), "--print-config"], capture_output=True, text=True, check=False, timeout=60,
                              env={**harness.ENVIRONMENT, **pod.environment()})

    def test_the_daemon_knows_all_of_them(self):
        known = set(re.findall(r"--(?:\[no-\])?([a-z-]+)", subprocess.run([harness.PROGRAM, "--help"], capture_output=True, text=True,
                                                                          check=True).stdout))
        for name in rendered():
            with self.subTest(documents=name):
                pod = Pod(name, self.folder())
                for word in pod.arguments():
                    self.assertIn(re.match(r"--([a-z-]+)=", word)[1], known)
                for variable in pod.environment():
                    if variable.startswith("HISTOD_"):
                        self.assertIn(variable.removeprefix("HISTOD_").lower().replace("_", "-"), known)
                done = self.configured(pod)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(f'node-name = "{NODE}"', done.stdout)

    def test_what_it_does_not_know_is_found(self):
        pod = Pod("dev", self.folder())
        pod.container["env"].append({"name": "HISTOD_SPOOL_BUDGETS", "value": "1GiB"})
        self.assertIn("HISTOD_SPOOL_BUDGETS", self.configured(pod).stderr)
        pod.container["args"].append("--hostnetwork=true")
        self.assertNotEqual(self.configured(pod).returncode, 0)
        pod = Pod("dev", self.folder())
        file = pathlib.Path(pod.inside("/etc/histod/config/histod.toml"))
        file.write_text(file.read_text() + 'netmap = "yes"\n')
        self.assertNotEqual(self.configured(pod).returncode, 0)

    def test_the_images_tag_is_the_programs_version(self):
        said = subprocess.run([harness.PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        image = Pod("dev", self.folder()).container["image"]
        self.assertEqual(image, f"localhost/histod:{said}")


class ServingTest(Case):
    def check(self, name):
        pod = Pod(name, self.folder())
        daemon = self.start(pod)
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = pod.container[kind]["httpGet"]
            self.assertEqual(probe.get("scheme", "HTTP").lower(), pod.scheme)
            # No server of ZooKeeper's is there: it is alive and ready all the same.
            self.assertEqual(daemon.ask(HOST_IP, probe["path"])[0], 200, kind)
        # As kubectl port-forward svc/master-service comes.
        status, page = daemon.ask("127.0.0.1", "/")
        self.assertEqual(status, 200)
        self.assertIn(b"<!doctype html>", page.lower())
        self.assertEqual(daemon.ask(HOST_IP, "/metrics")[0], 200)
        self.assertIn(f"url={pod.scheme}://{HOST_IP}:", daemon.wait_log(r'msg="joining the fleet".*')[0])
        token = pod.secrets["histod-tokens"]["tokens"].read_text().split()[1]
        self.assertEqual([daemon.ask(HOST_IP, "/v1/cluster", each)[0] for each in (None, token)], [401, 200])
        self.assertEqual(daemon.stop(), 0)

    def test_a_node_of_dev(self):
        self.check("dev")

    def test_a_node_of_prod_by_https(self):
        self.check("prod")

    def test_with_all_components(self):
        self.check("dev+all")


class SecretsTest(Case):
    def test_the_readme_makes_all_that_are_named(self):
        folder = self.folder()
        made = make_secrets(folder)
        for name in rendered():
            for volume in pod_of(histod(documents(name)))["volumes"]:
                if "secret" in volume:
                    self.assertIn(volume["secret"]["secretName"], made)
        for keys in made.values():
            for path in keys.values():
                self.assertEqual(path.stat().st_mode & 0o077, 0, path)
        told = (folder / "kubectl.log").read_text()
        for path in (made["histod-fleet"]["peer-token"], made["histod-tokens"]["tokens"]):
            for secret in re.findall(r"[0-9a-f]{32,}", path.read_text()):
                self.assertNotIn(secret, told)

    def test_a_secret_that_somebody_elses_group_may_read_is_refused(self):
        """Mounted by root, it serves: ServingTest."""
        pod = Pod("dev", self.folder())
        daemon = PodDaemon(pod, owner=NOBODY).start(wait=False)
        self.addCleanup(daemon.close)
        self.assertEqual(daemon.process.wait(timeout=60), 1)
        self.assertIn("--peer-token-file", daemon.log())


class ZooKeeperTest(Case):
    """One server (3.8 where there is no newer one) with zoo.cfg of the overlay dev; the three of base differ by their names alone."""

    def setUp(self):
        if reason := zookeeper_server.missing():
            print(f"skipped: {reason}", flush=True)
            self.skipTest(reason)
        self.home = self.folder()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        cfg = zoo_cfg(documents("dev"))
        (self.home / "data").mkdir()
        cfg |= {"dataDir": str(self.home / "data"), "clientPort": str(self.port), "clientPortAddress": "127.0.0.1"}
        print("\nskipped: the provider of metrics: Debian's package has none", flush=True)
        cfg = {key: value for key, value in cfg.items() if not key.startswith("metricsProvider.")}
        (self.home / "zoo.cfg").write_text("".join(f"{key}={value}\n" for key, value in cfg.items()))
        with open(self.home / "log", "wb") as log:
            server = subprocess.Popen(zookeeper_server.command(self.home), stdout=log, stderr=log, cwd=self.home)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.server = server

    def say(self, word):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(word)
                return connection.makefile().read()
        except OSError:
            return ""

    def wait_for_server(self, daemon):
        while not self.say(b"srvr").count("Mode:"):
            self.assertIsNone(self.server.poll(), (self.home / "log").read_text()[-2000:])
            daemon.pause.wait(0.1)  # another process: there is nothing else to wait for

    def test_the_fleets_credential_is_asked_for(self):
        pod = Pod("dev", self.folder(), zookeeper=f"127.0.0.1:{self.port}")
        daemon = self.start(pod)
        self.wait_for_server(daemon)
        token = pod.secrets["histod-tokens"]["tokens"].read_text().split()[1]
        while b'"state":"CONNECTED"' not in (body := daemon.ask(HOST_IP, "/v1/cluster", token)[1]) or b'"self":true' not in body:
            self.assertIsNone(daemon.process.poll(), daemon.log())
            daemon.pause.wait(0.1)
        # As the probes of the manifest ask.
        self.assertEqual(self.say(b"ruok"), "imok")
        self.assertIn("not executed", self.say(b"mntr"))
        refused, root, fleet = ZOOKEEPER_WANTS_DIGEST, "/", "/histod"
        self.assertEqual(self.list(root), refused)
        self.assertEqual((self.list(root, "stranger:0123456789abcdef"), self.list(fleet, "stranger:0123456789abcdef")), (0, NO_AUTH))
        credential = pod.secrets["histod-fleet"]["zookeeper-credential"].read_text().strip()
        self.assertEqual(self.list(fleet, credential), 0)

    def list(self, path, digest=None):
        """The server's error for the children of a znode, in its own protocol."""
        def text(value):
            return struct.pack(">i", len(value)) + value.encode()

        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            stream = connection.makefile("rwb")

            def send(packet):
                stream.write(struct.pack(">i", len(packet)) + packet)
                stream.flush()

            def receive():
                return stream.read(struct.unpack(">i", stream.read(4))[0])

            send(struct.pack(">iqiqi16s?", 0, 0, 10_000, 0, 16, bytes(16), False))
            receive()
            if digest:
                send(struct.pack(">iii", -4, 100, 0) + text("digest") + text(digest))
                receive()
            send(struct.pack(">ii", 1, 8) + text(path) + b"\0")
            return struct.unpack(">iqi", receive()[:16])[2]


if __name__ == "__main__":
    unittest.main(verbosity=2)
