#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The component dpdk: what it changes, and not more; the README's way to another resource; and that the real daemon, run as it says under the
profile, without a capability and not as root, starts DPDK and receives by it. HISTOD names the program."""
import json
import pathlib
import re
import subprocess
import unittest

import yaml

import kubernetes_policies as policies
from confined_daemon import ConfinedDaemon, harness
from kubernetes_documents import SOURCE, device_variables, documents, histod, pod_of, variables_of, with_components

VARIABLE, DEVICE = "PCIDEVICE_HISTOD_IO_DPDK", "0000:3b:02.0"
HUGE = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
STREAM = {"backend": "dpdk", "listen": "192.0.2.1:5004", "sampling": "YCbCr-4:2:2", "depth": 10, "width": 64, "height": 48}


def readme():
    return (SOURCE / "k8s/README.md").read_text(encoding="utf-8")


def container_of(docs):
    return pod_of(histod(docs))["containers"][0]


class DocumentsTest(unittest.TestCase):
    def test_it_changes_this_and_nothing_else(self):
        wanted, made = documents("base"), documents("base+dpdk")
        container = container_of(wanted)
        container["args"].append(f"--dpdk-pci=$({VARIABLE})")
        container["env"] += [{"name": "HISTOD_DPDK", "value": "true"}, {"name": "HISTOD_DPDK_MEMORY", "value": "256MiB"},
                             {"name": "HISTOD_STREAM_CPUS", "value": "1"}]
        for kind in ("requests", "limits"):
            container["resources"][kind] |= {"hugepages-2Mi": "384Mi", "histod.io/dpdk": "1"}
        for docs in (wanted, made):
            container_of(docs)["env"].sort(key=lambda variable: variable["name"])
        self.assertEqual(made, wanted)

    def test_the_variable_is_named_after_the_resource(self):
        self.assertEqual(device_variables(container_of(documents("base+dpdk"))), {VARIABLE: "histod.io/dpdk"})

    def test_another_resource_as_the_readme_says(self):
        (block,) = re.findall(r"```yaml\n(patches:.*?)```", readme(), re.S)
        docs = list(yaml.safe_load_all(with_components("overlays/prod", ["dpdk"], yaml.safe_load(block))))
        container = container_of(docs)
        self.assertNotIn("histod.io/dpdk", container["resources"]["limits"])
        ((variable, resource),) = device_variables(container).items()
        self.assertEqual(container["resources"]["requests"][resource], container["resources"]["limits"][resource])
        self.assertIn(f"--dpdk-pci=$({variable})", container["args"])
        for policy in policies.POLICIES:
            with self.subTest(policy=policy.__name__):
                self.assertEqual(list(policy(docs)), [])

    def test_the_plugins_resource_in_the_readme_is_the_components(self):
        (block,) = re.findall(r"```json\n(.*?)```", readme(), re.S)
        (resource,) = json.loads(block)["resourceList"]
        self.assertIn(f"{resource['resourcePrefix']}/{resource['resourceName']}", container_of(documents("base+dpdk"))["resources"]["limits"])
        self.assertEqual(resource["selectors"][0]["drivers"], ["vfio-pci"])

    def test_the_readme_knows_how_many_huge_pages(self):
        asked = policies.quantity(container_of(documents("base+dpdk"))["resources"]["limits"]["hugepages-2Mi"])
        self.assertIn(f"vm.nr_hugepages={asked >> 21} ", readme())


class DaemonTest(unittest.TestCase):
    """By the component's variables and arguments; the device is a virtual one, since no card is at hand."""

    def options(self, device=DEVICE):
        docs = documents("base+dpdk")
        before = set(container_of(documents("base"))["args"])
        added = [word for word in container_of(docs)["args"] if word not in before]
        return variables_of(docs), [word.replace(f"$({VARIABLE})", device) for word in added]

    def start(self, huge_pages):
        variables, words = self.options()
        environment = {name: value for name, value in variables.items() if name.startswith("HISTOD_")}
        daemon = ConfinedDaemon(*words, *([] if huge_pages else ["--no-dpdk-huge-pages"]), environment=environment)
        self.addCleanup(daemon.close)
        return daemon.start()

    def put(self, daemon, port):
        status, _, body = daemon.request("PUT", "/v1/streams/card", json.dumps({**STREAM, "dpdk_port": port}))
        if b"this build has no DPDK" in body:
            print("\nskipped: DPDK itself: the daemon was built without it (libdpdk-dev)", flush=True)
            self.skipTest("built without DPDK")
        return status, json.loads(body)

    def free_huge_pages(self):
        return sum(int((HUGE / name).read_text()) for name in ("free_hugepages", "nr_overcommit_hugepages")) if HUGE.exists() else 0

    def test_dpdk_starts_under_the_profile(self):
        wanted = policies.quantity(self.options()[0]["HISTOD_DPDK_MEMORY"].removesuffix("B")) >> 21
        huge_pages = self.free_huge_pages() >= wanted + 64
        if not huge_pages:
            print(f"\nskipped: packets on huge pages: this machine has no {wanted + 64} of them", flush=True)
        daemon = self.start(huge_pages)
        status, said = self.put(daemon, "net_ring0")
        self.assertEqual(status, 201, said)
        process = daemon.status()
        self.assertEqual((process["Seccomp"], process["NoNewPrivs"], int(process["CapEff"], 16)), ("2", "1", 0))
        self.assertEqual(json.loads(daemon.request("GET", "/v1/streams/card")[2])["state"], "waiting")
        self.assertEqual(daemon.request("DELETE", "/v1/streams/card")[0], 204)
        # The same environment for the next one.
        self.assertEqual(self.put(daemon, "net_ring1")[0], 201)
        self.assertEqual(daemon.stop(), 0)

    def test_a_device_that_is_not_there_is_the_streams_failure(self):
        """The node goes on: what else it does needs no card."""
        daemon = self.start(huge_pages=False)
        status, said = self.put(daemon, "pci0")
        self.assertEqual(status, 409, said)
        self.assertEqual(said["type"], "urn:histod:problem:stream-unavailable")
        self.assertEqual(self.put(daemon, "pci1")[0], 409)
        self.assertIn("pci1 is none of the 1 devices", self.put(daemon, "pci1")[1]["detail"])
        self.assertEqual(daemon.request("GET", "/readyz", role=None)[0], 200)

    def test_a_variable_that_no_plugin_sets_is_refused(self):
        """Kubernetes leaves it as it is."""
        words = self.options(f"$({VARIABLE})")[1]
        done = subprocess.run([harness.PROGRAM, *words, "--print-config"], capture_output=True, text=True, check=False, timeout=60,
                              env=harness.ENVIRONMENT)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f'--dpdk-pci names no PCI address such as 0000:3b:02.0 by "$({VARIABLE})"', done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
