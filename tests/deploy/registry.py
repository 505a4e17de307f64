# SPDX-License-Identifier: Apache-2.0
"""A registry of images on this machine for a test (docker-registry), and a builder that puts an image of one file where buildah would (skopeo)."""
import os
import pathlib
import re
import shutil
import subprocess
import threading

REGISTRY = "docker-registry"
CONFIG = """\
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "127.0.0.1:0"}
"""
# What the image has in it is the file `content` of the tree.
BUILDER = r"""#!/usr/bin/python3
import hashlib, io, json, os, pathlib, subprocess, sys, tarfile, tempfile
assert sys.argv[1] == "--tag" and len(sys.argv) == 3, sys.argv
if os.environ.get("BUILD_FAILS"):
    sys.exit("it does not compile")
folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["TMPDIR"]))
(folder / "blobs/sha256").mkdir(parents=True)
def blob(data):
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": "sha256:" + digest, "size": len(data)}
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    data = pathlib.Path("content").read_bytes()
    entry = tarfile.TarInfo("content")
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
kind = "application/vnd.oci.image."
made = {**blob(layer.getvalue()), "mediaType": kind + "layer.v1.tar"}
config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [made["digest"]]}}
manifest = {"schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "layers": [made],
            "config": {**blob(json.dumps(config).encode()), "mediaType": kind + "config.v1+json"}}
index = {"schemaVersion": 2, "manifests": [{**blob(json.dumps(manifest).encode()), "mediaType": kind + "manifest.v1+json",
                                            "annotations": {"org.opencontainers.image.ref.name": "made"}}]}
(folder / "index.json").write_text(json.dumps(index))
(folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
subprocess.run(["skopeo", "copy", "--quiet", f"oci:{folder}:made", f"containers-storage:{sys.argv[2]}"], check=True)
print(sys.argv[2])
"""


def missing():
    return [name for name in (REGISTRY, "skopeo", "git") if not shutil.which(name)]


class Registry:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "config.yml").write_text(CONFIG % (self.folder / "images"))
        self.log = []
        self.process = subprocess.Popen([REGISTRY, "serve", self.folder / "config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, env={**os.environ, "OTEL_TRACES_EXPORTER": "none"})
        for line in self.process.stderr:
            self.log.append(line)
            if match := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                self.address = f"127.0.0.1:{match[1]}"
                break
        else:
            raise AssertionError("".join(self.log))
        # A pipe that nobody reads would stop it.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()

    def environment(self):
        """Of whoever builds for it and pushes to it: storage of its own, and this registry by plain HTTP."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        files = {"storage.conf": f'[storage]\ndriver = "vfs"\ngraphroot = "{self.folder}/graph"\nrunroot = "{self.folder}/run"\n',
                 "home/.config/containers/registries.conf": f'[[registry]]\nlocation = "{self.address}"\ninsecure = true\n',
                 "build": BUILDER}
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        (self.folder / "build").chmod(0o755)
        return {**os.environ, "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"), "TMPDIR": str(work), "HOME": str(self.folder / "home"),
                "HISTOD_IMAGE_BUILD": str(self.folder / "build")}
