#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What kubectl makes of k8s/, strictly by the types of Kubernetes 1.36 and the operators' schemas, and as it was the last time it was looked
at (golden/). `kubernetes_test.py --renew` writes golden/ anew."""
import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from kubernetes_documents import (COMPONENTS, DEPLOYED, HERE, OVERLAYS, SOURCE, TOGETHER, deployed, documents, find, histod, is_built_in, of_kind,
                                  pod_of, rendered, schema_complaints, title)

GOLDEN = HERE / "golden"
# npm installs outside of the source tree; a folder that stays is not installed anew.
STAGE = os.environ.get("DEPLOY_NODE_STAGE")


def comparable(name):
    """The daemon's image is a release's matter, which would otherwise change the golden files with each; the dashboard is long."""
    text = re.sub(r"image: \S*\bhistod[:@]\S+", "image: histod:as-released", rendered()[name])
    return re.sub(r"(?m)^  histod-dashboard\.json: [|>].*\n(?:    .*\n|\n)+", "  histod-dashboard.json: as-shipped\n", text)


def install(stage):
    lock, installed = HERE / "package-lock.json", stage / "installed-lock.json"
    stage.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "kubernetes_types.mjs", stage)
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / name, stage)
    subprocess.run(["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=stage, check=True)
    shutil.copy(lock, installed)


class TypesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
            raise AssertionError(f"{' and '.join(missing)} missing: install nodejs and npm")
        cls.stage = pathlib.Path(STAGE) if STAGE else pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        install(cls.stage)
        cls.right = {}
        for name in rendered():
            for each in filter(is_built_in, documents(name)):
                cls.right.setdefault(json.dumps(each), f"right, {name}: {title(each)}")
        for folder in DEPLOYED:
            for each in filter(is_built_in, deployed(folder)):
                cls.right.setdefault(json.dumps(each), f"right, {folder}: {title(each)}")
        cls.wrong = wrong_documents()
        # Once for all of them: TypeScript takes its time to read the types.
        entries = [{"name": name, "document": json.loads(text)} for text, name in cls.right.items()]
        entries += [{"name": f"wrong, {name}", "document": document} for name, document in cls.wrong.items()]
        done = subprocess.run(["node", "kubernetes_types.mjs"], cwd=cls.stage, input=json.dumps(entries), capture_output=True, text=True,
                              check=False, timeout=280)
        assert (done.returncode, done.stderr) == (1, ""), done.stdout + done.stderr
        cls.complaints = done.stdout.splitlines()

    def test_every_document_is_of_its_type(self):
        self.assertGreater(len(self.right), 25)
        self.assertEqual([line for line in self.complaints if not line.startswith("wrong, ")], [])

    def test_what_is_wrong_is_found(self):
        found = {re.match("wrong, ([^:]*):", line)[1] for line in self.complaints if line.startswith("wrong, ")}
        self.assertEqual(found, set(self.wrong))

    def test_a_renamed_member_is_among_them(self):
        """The generator of the types calls it _from."""
        self.assertTrue(any('"from": [{"ipBlock"' in text for text in self.right))


def wrong_documents():
    """What the types must not let pass, by what is wrong with it."""
    def changed(kind, name, change):
        document = find(documents("prod"), kind, name)
        change(document)
        return document

    return {
        "unknown": changed("DaemonSet", "histod", lambda d: pod_of(d).update(hostNetworks=True)),
        "misplaced": changed("DaemonSet", "histod", lambda d: pod_of(d)["containers"][0].update(fsGroup=1)),
        "number": changed("DaemonSet", "histod", lambda d: pod_of(d).update(terminationGracePeriodSeconds="60")),
        "text": changed("DaemonSet", "histod", lambda d: pod_of(d)["containers"][0]["resources"]["limits"].update(cpu=4)),
        "missing": changed("Service", "histod", lambda d: d["spec"]["ports"][0].pop("port")),
        "inside a renamed member": changed("NetworkPolicy", "zookeeper", lambda d: d["spec"]["ingress"][0]["from"][0]["ipBlock"].pop("cidr")),
        "no such member": changed("NetworkPolicy", "zookeeper", lambda d: d["spec"]["ingress"][0].update(to=[])),
        "no such kind": {"apiVersion": "apps/v1", "kind": "DemonSet", "metadata": {"name": "x"}},
        "no such version": {"apiVersion": "policy/v1beta9", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}},
    }


class SchemasTest(unittest.TestCase):
    def test_custom_resources_are_by_their_schemas(self):
        seen = set()
        for name in rendered():
            for each in documents(name):
                if not is_built_in(each):
                    seen.add(each["kind"].lower() + "_" + each["apiVersion"].split("/")[1] + ".json")
                    with self.subTest(documents=name, document=title(each)):
                        self.assertEqual(schema_complaints(self, each), [])
        self.assertLessEqual(seen, {path.name for path in (HERE / "schemas").glob("*.json")})
        self.assertEqual(len(seen), 3)

    def test_what_is_wrong_is_found(self):
        docs = documents("prod")
        monitor, rule = find(docs, "PodMonitor", "histod"), find(docs, "PrometheusRule", "histod")
        policy = find(docs, "CiliumClusterwideNetworkPolicy", "histod-nodes")
        monitor["spec"]["podMetricsEndpoints"][0]["paths"] = "/metrics"
        rule["spec"]["groups"][0]["rules"][0]["for"] = "a while"
        policy["spec"]["ingress"][2]["toPorts"][0]["ports"][0]["protocol"] = "HTTP"
        for document in (monitor, rule, policy):
            self.assertNotEqual(schema_complaints(self, document), [], title(document))


class DashboardTest(unittest.TestCase):
    def test_it_is_the_one_of_observability(self):
        shown = find(documents("prod"), "ConfigMap", "histod-dashboard")
        self.assertEqual(shown["data"], {"histod-dashboard.json": (SOURCE / "deploy/observability/histod-dashboard.json").read_text(encoding="utf-8")})
        # What Grafana's sidecar looks for; and a name that stays.
        self.assertEqual((shown["metadata"]["name"], shown["metadata"]["labels"]["grafana_dashboard"]), ("histod-dashboard", "1"))
        self.assertEqual([each for each in of_kind(documents("dev"), "ConfigMap") if "dashboard" in each["metadata"]["name"]], [])


class OverlaysTest(unittest.TestCase):
    def test_they_are_those_that_are_promised(self):
        self.assertEqual(OVERLAYS, ["dev", "nodeport", "prod"])
        self.assertEqual(set(COMPONENTS), set(TOGETHER))

    def test_they_are_as_they_were(self):
        self.assertEqual({path.stem for path in GOLDEN.glob("*.yaml")}, set(OVERLAYS))
        for name in OVERLAYS:
            golden = (GOLDEN / f"{name}.yaml").read_text(encoding="utf-8").split("\n", 1)[1]
            changes = "".join(difflib.unified_diff(golden.splitlines(True), comparable(name).splitlines(True), "golden", "now", n=1))
            self.assertEqual(changes, "", f"{name}: if that is right, run {pathlib.Path(__file__).name} --renew")

    def test_the_image_is_set_by_the_overlay(self):
        for name in OVERLAYS:
            self.assertRegex(pod_of(histod(documents(name)))["containers"][0]["image"], r"^localhost/histod:\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$")

    def test_the_sites_addresses_are_in_the_policies(self):
        docs = documents("prod")
        site = "10.66.0.0/24"
        self.assertEqual(find(docs, "NetworkPolicy", "zookeeper")["spec"]["ingress"][0]["from"], [{"ipBlock": {"cidr": site}}])
        ingress = find(docs, "CiliumClusterwideNetworkPolicy", "histod-nodes")["spec"]["ingress"]
        self.assertEqual([rule.get("fromCIDR") for rule in ingress], [None, [site], ["10.0.0.0/8"], ["10.9.0.0/24"]])
        self.assertEqual([each for each in docs if each["metadata"]["name"] == "site"], [])


def renew():
    GOLDEN.mkdir(exist_ok=True)
    for name in OVERLAYS:
        (GOLDEN / f"{name}.yaml").write_text("# SPDX-License-Identifier: Apache-2.0\n" + comparable(name), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--renew"]:
        renew()
    else:
        unittest.main(verbosity=2)
