# SPDX-License-Identifier: Apache-2.0
"""What kubectl makes of k8s/ and of the kustomizations in deploy/: documents as Python values; and how to look into them."""
import copy
import functools
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

try:
    import jsonschema
except ImportError:
    jsonschema = None

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
K8S = SOURCE / "k8s"
OVERLAYS = sorted(folder.name for folder in (K8S / "overlays").iterdir())
# Not of k8s/: what brings it to machines and clusters.
DEPLOYED = ("deploy/tinkerbell", "deploy/tinkerbell/workflows", "deploy/gitops/argocd", "deploy/gitops/flux")
COMPONENTS = sorted(folder.name for folder in (K8S / "components").iterdir())
BUILT_IN = re.compile(r"(?:v1|[a-z]+/v\w+|[a-z.]+\.k8s\.io/v\w+)")
# In this order, since tls changes what monitoring adds.
TOGETHER = ["monitoring", "tls", "hostfirewall", "shared-files", "dpdk"]


def kustomize(folder):
    if shutil.which("kubectl") is None:
        raise AssertionError("kubectl is missing: it is no package of Debian 12; its version 1.32 or newer is needed")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode or done.stderr:
        raise AssertionError(f"kubectl kustomize {folder}: {done.stderr}")
    return done.stdout


def with_components(base, components, more=None):
    """The base or an overlay with components, and more of a kustomization, as a user's own overlay would have them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "k8s"
        shutil.copytree(K8S, copy)
        # Which the component monitoring takes its dashboard from.
        shutil.copytree(SOURCE / "deploy/observability", pathlib.Path(folder) / "deploy/observability")
        overlay = copy / "overlays" / "under-test"
        overlay.mkdir()
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [f"../../{base}"],
            "components": [f"../../components/{name}" for name in components], **(more or {})}))
        return kustomize(overlay)


@functools.cache
def rendered():
    """{name: text} of the base, of each overlay, and of each component in an overlay."""
    texts = {"base": kustomize(K8S / "base")}
    texts |= {name: kustomize(K8S / "overlays" / name) for name in OVERLAYS}
    texts |= {f"base+{name}": with_components("base", [name]) for name in COMPONENTS}
    texts["dev+all"] = with_components("overlays/dev", TOGETHER)
    return texts


@functools.cache
def _parsed(name):
    return list(yaml.load_all(rendered()[name], Loader=yaml.CSafeLoader))


def documents(name):
    """Fresh ones, which may be changed."""
    return copy.deepcopy(_parsed(name))


@functools.cache
def _parsed_of(folder):
    return list(yaml.load_all(kustomize(SOURCE / folder), Loader=yaml.CSafeLoader))


def deployed(folder):
    """Those of a kustomization in deploy/."""
    return copy.deepcopy(_parsed_of(folder))


def is_built_in(document):
    return BUILT_IN.fullmatch(document["apiVersion"]) is not None


def schema_complaints(case, document):
    """What is wrong with a custom resource by its operator's schema."""
    if jsonschema is None:
        reason = "jsonschema is missing: install python3-jsonschema"
        print(f"skipped: {reason}", flush=True)
        case.skipTest(reason)
    version = document["apiVersion"].split("/")[1]
    schema = json.loads((HERE / "schemas" / f"{document['kind'].lower()}_{version}.json").read_text(encoding="utf-8"))
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(document)]


def title(document):
    return f"{document['kind']} {document['metadata']['name']}"


def of_kind(docs, *kinds):
    return [document for document in docs if document["kind"] in kinds]


def find(docs, kind, name):
    """The one that is named so, or so and a hash of its content."""
    found = [each for each in of_kind(docs, kind) if each["metadata"]["name"] == name or
             each["metadata"]["name"].startswith(name + "-") and kind == "ConfigMap"]
    if len(found) != 1:
        raise KeyError(f"{len(found)} {kind} {name}")
    return found[0]


def workloads(docs):
    return [document for document in docs if "template" in document.get("spec", {})]


def pod_of(workload):
    return workload["spec"]["template"]["spec"]


def labels_of(workload):
    return workload["spec"]["template"]["metadata"]["labels"]


def containers_of(workload):
    """Those that run, and those before them."""
    return pod_of(workload)["containers"] + pod_of(workload).get("initContainers", [])


def ports_of(workload):
    """{name: port}"""
    return {port["name"]: port["containerPort"] for container in pod_of(workload)["containers"] for port in container["ports"]}


def histod(docs):
    return find(docs, "DaemonSet", "histod")


def variables_of(docs):
    """The daemon's environment: values that are told, and for what Kubernetes fills in the path it comes from."""
    return {each["name"]: each.get("value", each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"))
            for each in pod_of(histod(docs))["containers"][0].get("env", [])}


def device_variables(container):
    """{variable: resource} of what device plugins hand out, as the one for SR-IOV names the variable with the devices' PCI addresses."""
    asked = container.get("resources", {}).get("limits", {})
    return {"PCIDEVICE_" + re.sub("[./]", "_", name).upper(): name for name in asked if "/" in name}


def selects(selector, workload):
    return bool(selector) and selector.items() <= labels_of(workload).items()


def zoo_cfg(docs):
    """The configuration of ZooKeeper's servers as a dict."""
    text = find(docs, "ConfigMap", "zookeeper-config")["data"]["zoo.cfg"]
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def histod_toml(docs):
    return find(docs, "ConfigMap", "histod-config")["data"]["histod.toml"]
