# SPDX-License-Identifier: Apache-2.0
"""The real daemon as a container of k8s/ runs it: the profile of k8s/seccomp, no capability, no root. HISTOD names the program."""
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROFILE = HERE.parents[1] / "k8s/seccomp/histod.json"
sys.path.insert(0, str(HERE.parent / "e2e"))
import harness  # noqa: E402
import images  # noqa: E402, F401
from seccomp_filter import NOBODY  # noqa: E402


def give(path):
    """To the user whom the daemon runs as."""
    if os.getuid() == 0:
        for each in (path, *pathlib.Path(path).rglob("*")):
            os.chown(each, NOBODY, NOBODY)


class ConfinedDaemon(harness.Daemon):
    def __init__(self, *options, **more):
        super().__init__(*options, prefix=[sys.executable, "-B", str(HERE / "seccomp_filter.py"), str(PROFILE)], **more)
        # Where it was built, its user may have no right to be.
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        for name in ("histod", "histod-epoll"):
            shutil.copy(pathlib.Path(harness.PROGRAM).parent / name, self.programs)

    def command(self):
        give(self.folder)
        return [str(self.programs / "histod") if word == harness.PROGRAM else word for word in super().command()]

    def status(self):
        """What the kernel says of it."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return dict(line.split(":\t", 1) for line in text.splitlines())
