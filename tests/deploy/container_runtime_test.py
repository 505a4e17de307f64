#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The container of k8s/base/daemonset.yaml under the run-times that kubelets use, runc and crun, as far as there are any: its user, no
capability, no new privileges, a read-only root, the seccomp profile, the host's network. The root is this machine's, not the image's."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from confined_daemon import PROFILE, ConfinedDaemon, harness, images
from kubernetes_documents import documents, histod, pod_of

# A machine of our own to mount in: the root that pivot_root wants, and the one hierarchy of cgroups that new run-times want.
SCRIPT = """set -e
mount --make-rprivate /
mount --bind / "$1/root"
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; fi
cd "$1"
shift
exec "$@" < /dev/null
"""


def bundle(folder, arguments):
    """The configuration of OCI that a kubelet's run-time makes of the container's securityContext."""
    pod = pod_of(histod(documents("prod")))
    own = {**pod["securityContext"], **pod["containers"][0]["securityContext"]}
    assert own["capabilities"] == {"drop": ["ALL"]}
    capabilities = {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")}
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
              {"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "ro"]},
              {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
              {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
              {"destination": "/srv", "type": "bind", "source": str(folder), "options": ["bind", "rw"]}]
    return {"ociVersion": "1.0.2", "root": {"path": "root", "readonly": own["readOnlyRootFilesystem"]}, "mounts": mounts,
            "process": {"user": {"uid": own["runAsUser"], "gid": own["runAsGroup"]}, "args": arguments, "cwd": "/", "env": ["PATH=/usr/bin:/bin"],
                        "noNewPrivileges": not own["allowPrivilegeEscalation"], "capabilities": capabilities},
            "linux": {"namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts")],
                      "seccomp": json.loads(PROFILE.read_text(encoding="utf-8"))}}


def run_command(folder, run_time, configuration):
    (folder / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
    without_cgroups = ["--cgroup-manager=disabled"] if run_time == "crun" else []
    return ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", str(folder), run_time, f"--root={folder / 'state'}", *without_cgroups, "run",
            f"histod-test-{os.getpid()}-{run_time}"]


class ContainedDaemon(ConfinedDaemon):
    def __init__(self, run_time, *options):
        super().__init__(*options)
        self.run_time = run_time
        (self.folder / "root").mkdir()

    def command(self):
        inside = [word.replace(str(self.folder), "/srv") for word in super().command()[len(self.prefix):]]
        return run_command(self.folder, self.run_time, bundle(self.folder, inside))

    def inner(self):
        """The daemon's own process: what the run-time's became the parent of."""
        pid = self.process.pid
        while children := [child for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]:
            pid = int(children[0])
        return pid

    def close(self):
        """A container does not end with a run-time that is killed."""
        if self.process and self.process.poll() is None:
            os.kill(self.inner(), signal.SIGKILL)
            self.process.wait()
        super().close()


class ContainerTest(unittest.TestCase):
    def need(self, run_time):
        reason = ""
        if os.getuid() != 0:
            reason = "making containers needs root"
        elif shutil.which(run_time) is None:
            reason = f"{run_time} is missing"
        elif subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
            reason = "this machine lets nobody make namespaces"
        if reason:
            print(f"\nskipped: {reason}", flush=True)
            self.skipTest(reason)

    def run_under(self, run_time):
        self.need(run_time)
        daemon = ContainedDaemon(run_time, "--io", "auto")
        self.addCleanup(daemon.close)
        daemon.start()
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{daemon.inner()}/status").read_text().splitlines())
        self.assertRegex(status["Name"], "^histod")
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapBnd"], 16)), ("2", "1", 0, 0))
        self.assertEqual(set(status["Uid"].split()), {"65532"})
        if "without it" in (said := self.outside()):
            print(f"\nskipped: the ring: {said}", flush=True)
        else:
            self.assertEqual(daemon.metric("histod_iouring_enabled"), 1)
        picture = images.encode(images.noisy(200, 150, 1, 1, 200), "png")
        self.assertEqual(daemon.request("POST", "/v1/equalize", picture)[0], 200)
        job = json.loads(daemon.request("POST", "/v1/jobs", picture)[2])["id"]
        while json.loads(daemon.request("GET", f"/v1/jobs/{job}")[2])["state"] != "done":
            daemon.pause.wait(0.02)  # the daemon's own word: there is nothing else to wait for
        self.assertEqual(daemon.stop(), 0)
        self.assertIn("msg=stopped", daemon.log())

    def test_a_capability_that_is_added_does_nothing(self):
        """Why the component dpdk asks for none: who is not root loses it when the program starts, and Kubernetes has no ambient ones."""
        self.need("runc")
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "root").mkdir()
        configuration = bundle(folder, ["/bin/cat", "/proc/self/status"])
        for kind in ("bounding", "effective", "permitted"):
            configuration["process"]["capabilities"][kind] = ["CAP_IPC_LOCK"]
        said = subprocess.run(run_command(folder, "runc", configuration), check=True, capture_output=True, text=True).stdout
        status = dict(line.split(":\t", 1) for line in said.splitlines())
        self.assertNotEqual(int(status["CapBnd"], 16), 0)
        self.assertEqual((int(status["CapPrm"], 16), int(status["CapEff"], 16)), (0, 0))

    def outside(self):
        """What the daemon's own check says of rings without a container."""
        said = subprocess.run([harness.PROGRAM, "--check", "--io=auto"], capture_output=True, text=True, check=False,
                              env=harness.ENVIRONMENT).stdout
        return next((f"without it: {line}" for line in said.splitlines() if "io_uring" in line and not line.startswith("ok")), "")

    def test_under_runc(self):
        self.run_under("runc")

    def test_under_crun(self):
        self.run_under("crun")


if __name__ == "__main__":
    unittest.main(verbosity=2)
