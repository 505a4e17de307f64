# SPDX-License-Identifier: Apache-2.0
"""deploy/image/build as a test uses it: in a folder of its own, with a base that mmdebstrap makes; and the daemon in a container of podman's."""
import json
import os
import pathlib
import re
import signal
import subprocess

from confined_daemon import harness
from systemd_support import ENVIRONMENT, ROOT

BASE = "localhost/histod-base:bookworm"
SOURCE = "https://example.org/histod"
EPOCH = 1_760_000_000
# The machine may have cgroups of both versions; new run-times want one hierarchy.
SCRIPT = """set -e
mount --make-rprivate /
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
exec "$@" < /dev/null
"""


class Store:
    """Images and containers of one test."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n')
        (folder / "containers.conf").write_text(f'[engine]\ntmp_dir = "{folder}/tmp"\nevents_logger = "file"\ncgroup_manager = "cgroupfs"\n'
                                                'runtime = "crun"\n')
        self.environment = {**ENVIRONMENT, "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "BUILDAH_ISOLATION": "chroot",
                            "CONTAINERS_CONF": str(folder / "containers.conf"), "TMPDIR": str(folder), "SOURCE_DATE_EPOCH": str(EPOCH)}

    def run(self, *command):
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, env=self.environment)

    def ask(self, *command):
        done = self.run(*command)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout.strip()

    def build(self, *options):
        """[name, id] of the image"""
        return self.ask(ROOT / "deploy/image/build", "--source", SOURCE, *options).splitlines()[-1].split()

    def inspect(self, image):
        return json.loads(self.ask("podman", "image", "inspect", image))[0]

    def root_of(self, image):
        """The image's root as a folder: with vfs, that is all that mounting means."""
        return pathlib.Path(self.ask("buildah", "mount", self.ask("buildah", "from", "--pull-never", image)))


def container(store, image, folder, profile, memlock, *more):
    """As the pod's container: no capability, no way to gain one, a read-only root, the host's network."""
    return ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", "podman", "run", "--rm", "--network=host", "--cgroups=disabled",
            "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", f"--ulimit=memlock={memlock}:{memlock}", "--cap-drop=ALL",
            "--security-opt=no-new-privileges", f"--security-opt=seccomp={profile}", "--read-only", "--read-only-tmpfs=false",
            f"--volume={folder}:/srv", f"--pidfile={folder}/pid", *more, image]


class ImageDaemon(harness.Daemon):
    def __init__(self, store, image, profile, memlock, *options, podman=()):
        super().__init__(*options, environment=store.environment)
        self.start_of_command = container(store, image, self.folder, profile, memlock, *podman)
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, 65532, 65532)

    def command(self):
        return [*self.start_of_command, *(word.replace(str(self.folder), "/srv") for word in super().command()[1:])]

    def pid(self):
        return int((self.folder / "pid").read_text())

    def status(self):
        text = pathlib.Path(f"/proc/{self.pid()}/status").read_text(encoding="ascii")
        return dict(line.split(":\t", 1) for line in text.splitlines())

    def close(self):
        """A container does not end with the podman that began it."""
        if self.process and self.process.poll() is None:
            os.kill(self.pid(), signal.SIGKILL)
            self.process.wait()
        super().close()


def spdx_complaints(document):
    """What SPDX 2.3 asks for, and a document of this kind has not."""
    for key, wanted in (("spdxVersion", "SPDX-2.3"), ("dataLicense", "CC0-1.0"), ("SPDXID", "SPDXRef-DOCUMENT")):
        if document.get(key) != wanted:
            yield f"{key} is {document.get(key)}"
    if not re.match(r"[a-z]+:[^#]+$", document.get("documentNamespace", "")) or not document.get("name"):
        yield "name or namespace"
    made = document.get("creationInfo", {})
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made.get("created", "")):
        yield "created"
    if not made.get("creators") or not all(re.match(r"(?:Person|Organization|Tool): \S", each) for each in made["creators"]):
        yield "creators"
    ids = [each.get("SPDXID", "") for each in document["packages"]]
    if len(ids) != len(set(ids)) or not all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", each) for each in ids):
        yield "SPDXID"
    for each in document["packages"]:
        if not each.get("name") or not each.get("downloadLocation") or each.get("filesAnalyzed") is not False:
            yield f"package {each.get('SPDXID')}"
        for reference in each.get("externalRefs", []):
            if reference.keys() != {"referenceCategory", "referenceType", "referenceLocator"} or reference["referenceCategory"] != "PACKAGE-MANAGER":
                yield f"reference of {each['SPDXID']}"
    relations = [(each["spdxElementId"], each["relationshipType"], each["relatedSpdxElement"]) for each in document["relationships"]]
    described = [other for one, kind, other in relations if (one, kind) == ("SPDXRef-DOCUMENT", "DESCRIBES")]
    contained = [other for one, kind, other in relations if kind == "CONTAINS" and one in ids]
    if len(described) != 1 or sorted(contained + described) != sorted(ids):
        yield "relationships"
