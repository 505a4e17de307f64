#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kubectl, kubeadm, cilium, containerd and etcdctl as far as the playbooks call them, by the name it is called by. What a cluster would
remember is in /tmp/cluster; each call is a line of /exchange/calls. What is not known is refused, as the programs would."""
import json
import os
import pathlib
import signal
import socket
import sys

STATE = pathlib.Path("/tmp/cluster")
ADMIN = ["--kubeconfig", "/etc/kubernetes/admin.conf"]


def remembered(name):
    return (STATE / name.replace("/", "_")).exists()


def remember(name):
    STATE.mkdir(exist_ok=True)
    (STATE / name.replace("/", "_")).touch()


def kubectl(words):
    if words[:2] != ADMIN or not pathlib.Path(ADMIN[1]).exists():
        return 1
    words = words[2:]
    if words[0] == "--namespace":
        words = words[2:]
    match words:
        case ["get", "daemonsets", "--output", "json"]:
            image = {"spec": {"template": {"spec": {"containers": [{"image": "quay.io/cilium/cilium:v1.20.1@sha256:00"}]}}}}
            print(json.dumps({"items": [{"metadata": {"name": "cilium"}, **image}] if remembered("cilium") else []}))
        case ["get", "node", name, "--output", "json"]:
            print(json.dumps({"metadata": {"name": name, "labels": {"histod.io/engine": "true"} if remembered("label") else {}}}))
        case ["label", "node", _, "histod.io/engine=true", "--overwrite"]:
            remember("label")
        case ["get", "namespace", name, "--ignore-not-found", "--output", "name"]:
            print(f"namespace/{name}" if remembered("namespace") else "")
        case ["create", "namespace", _]:
            remember("namespace")
        case ["diff" | "apply" as verb, "--server-side", "--force-conflicts", "--filename" | "--kustomize", path] if pathlib.Path(path).exists():
            if verb == "diff":
                return 0 if remembered(path) else 1
            remember(path)
        case ["wait", "--for=condition=Ready" | "--for=condition=Available", *_]:
            pass
        case _:
            return 2
    return 0


def kubeadm(words):
    match words:
        case ["config", "validate", "--config", path]:
            return 0 if "kubeadm.k8s.io/v1beta4" in pathlib.Path(path).read_text() else 1
        case ["init", "--config", "/etc/kubernetes/cluster.yaml", "--skip-token-print"]:
            for name in ("admin.conf", "kubelet.conf"):
                (pathlib.Path("/etc/kubernetes") / name).touch(mode=0o600)
            return 0
    return 2


def cilium(words):
    match words:
        case [*admin, "install", "--version", "1.20.1", "--values", path] if admin == ADMIN and pathlib.Path(path).exists():
            remember("cilium")
        case [*admin, "status", "--wait", "--wait-duration", _] if admin == ADMIN:
            return 0 if remembered("cilium") else 1
        case _:
            return 2
    return 0


def containerd(words):
    match words:
        case ["--config", _, "config", "dump"]:
            return 0
        case ["--version"]:
            print("containerd github.com/containerd/containerd/v2 v2.3.4 0")
        case []:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
            signal.pause()
        case _:
            return 2
    return 0


def etcdctl(words):
    match words:
        case ["snapshot", "save", path] if pathlib.Path(os.environ["ETCDCTL_CACERT"]).is_absolute():
            pathlib.Path(path).write_text("snapshot\n")
            return 0
        case ["snapshot", "status", _]:
            return 0
    return 2


if __name__ == "__main__":
    called = pathlib.Path(sys.argv[0]).name
    if pathlib.Path("/exchange").is_dir() and os.access("/exchange/calls", os.W_OK):
        with open("/exchange/calls", "a", encoding="utf-8") as calls:
            calls.write(" ".join([called, *sys.argv[1:]]) + "\n")
    programs = {"kubectl": kubectl, "kubeadm": kubeadm, "cilium": cilium, "containerd": containerd, "etcdctl": etcdctl, "etcdutl": etcdctl}
    sys.exit(programs[called](sys.argv[1:]))
