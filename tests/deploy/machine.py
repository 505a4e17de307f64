# SPDX-License-Identifier: Apache-2.0
"""Debian 12 machines for tests: booted by systemd-nspawn, without a network, and gone afterwards."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from systemd_support import need, skip

SOURCES = "/etc/apt/sources.list.d/debian.sources"
SERVICE = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
Environment=LC_ALL=C.UTF-8
ExecStart=/bin/bash /exchange/script
StandardOutput=append:/exchange/output
StandardError=append:/exchange/output
ExecStopPost=/bin/systemctl poweroff --no-block
[Install]
WantedBy=multi-user.target
"""


def make_root(folder, packages):
    """A folder with Debian and these packages; it is made once, and again when the list is another one."""
    need("mmdebstrap", "systemd-nspawn")
    if os.geteuid() != 0:
        skip("machines are booted as root only")
    root, listed = folder / "root", folder / "packages"
    wanted = "\n".join(sorted(packages))
    if listed.exists() and listed.read_text() == wanted:
        return root
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = [SOURCES] if os.path.exists(SOURCES) else []
    done = subprocess.run(["mmdebstrap", "--variant=minbase", f"--include=systemd,systemd-sysv,{','.join(packages)}", "bookworm", root, *source],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"mmdebstrap failed:\n{done.stderr[-3000:]}")
    (root / "etc/systemd/system/rehearsal.service").write_text(SERVICE)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "rehearsal.service").symlink_to("../rehearsal.service")
    listed.write_text(wanted)
    return root


def run_in_machine(root, exchange, script, timeout):
    """Boots, runs the script as root, and powers off; what it printed. `exchange` is /exchange in the machine, nothing else stays."""
    (exchange / "script").write_text(script)
    output = exchange / "output"
    output.touch()
    with tempfile.TemporaryFile() as console:
        command = ["systemd-nspawn", "-q", f"--directory={root}", "--boot", "--volatile=overlay", "--register=no", "--keep-unit", "--private-network",
                   f"--machine=histod-{os.getpid()}", "--capability=CAP_IPC_LOCK,CAP_SYS_NICE", f"--bind={exchange}:/exchange"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the machine did not end within {timeout} s:\n{output.read_text()}") from None
        console.seek(0)
        told = output.read_text()
        if not told:
            raise AssertionError(f"the machine did not boot:\n{console.read().decode(errors='replace')[-3000:]}")
    return told


def packages_of(depends):
    """The names of a Depends field, the first of alternatives."""
    return [word.split("|")[0].split("(")[0].strip() for word in depends.split(",")]


def folder_in(build):
    return pathlib.Path(build) / "machine"
