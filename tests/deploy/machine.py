# SPDX-License-Identifier: Apache-2.0
"""Debian 12 machines for tests: booted by systemd-nspawn, and gone afterwards. One that runs a script, or several on a bridge."""
import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

from systemd_support import equalized, need, run, skip

HERE = pathlib.Path(__file__).parent
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
    (root / "etc/hostname").unlink(missing_ok=True)  # of the machine that made it
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "rehearsal.service").symlink_to("../rehearsal.service")
    listed.write_text(wanted)
    return root


def boot_command(root, exchange, name):
    return ["systemd-nspawn", "-q", f"--directory={root}", "--boot", "--volatile=overlay", "--register=no", "--keep-unit", "--private-network",
            f"--machine={name}-{os.getpid()}", f"--hostname={name}", "--capability=CAP_IPC_LOCK,CAP_SYS_NICE", f"--bind={exchange}:/exchange"]


def children(process):
    return [int(word) for word in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def end(process):
    """Of systemd-nspawn, and of the machine, which would outlive it: all processes there go with the first."""
    for pid in children(process) if process.poll() is None else []:
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def run_in_machine(root, exchange, script, timeout):
    """Boots, runs the script as root, and powers off; what it printed. `exchange` is /exchange in the machine, nothing else stays."""
    (exchange / "script").write_text(script)
    output = exchange / "output"
    output.touch()
    with tempfile.TemporaryFile() as console:
        process = subprocess.Popen(boot_command(root, exchange, "histod"), stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            end(process)
            raise AssertionError(f"the machine did not end within {timeout} s:\n{output.read_text()}") from None
        console.seek(0)
        told = output.read_text()
        if not told:
            raise AssertionError(f"the machine did not boot:\n{console.read().decode(errors='replace')[-3000:]}")
    return told


# Locked memory, rings of io_uring too, is counted by user id, whichever machine that is in: each has one of its own.
OWN_USER = """groupadd --system --gid {id} histod
useradd --system --uid {id} --gid {id} --home-dir / --shell /usr/sbin/nologin histod
"""


class Machine:
    """One that is up until close(), whose network is whatever is plugged into it: a process to tools/lib/fleet_network.Bridge. Several may have
    one `root`, which stays as it is, and one `exchange`, which is /exchange there."""
    BOOT_S = 300

    def __init__(self, name, root, exchange):
        self.name, self.pid = name, None
        (exchange / "script").write_text("echo up >/exchange/up\nexec sleep infinity\n")
        os.mkfifo(exchange / "up")
        self.console = tempfile.TemporaryFile()
        # Where systemd-nspawn makes no unit, it makes no group either, and machines in one group would end each other's services.
        self.cgroups = [group / f"{name}-{os.getpid()}" for group in own_cgroups()]
        for group in self.cgroups:
            group.mkdir()
        enter = ["sh", "-c", 'for group in $0; do echo $$ >"$group/cgroup.procs"; done; exec "$@"', " ".join(map(str, self.cgroups))]
        self.process = subprocess.Popen([*enter, *boot_command(root, exchange, name)], stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console)
        try:
            self.wait_until_up(exchange / "up")
        except BaseException:
            self.close()
            raise

    def wait_until_up(self, fifo):
        deadline, reader = time.monotonic() + self.BOOT_S, os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while not select.select([reader], [], [], 0.1)[0] or not os.read(reader, 16):
                if self.poll() is not None or time.monotonic() > deadline:
                    self.console.seek(0)
                    raise AssertionError(f"{self.name} did not boot:\n{self.console.read().decode(errors='replace')[-3000:]}")
        finally:
            os.close(reader)
            fifo.unlink()
        (self.pid,) = children(self.process)

    def poll(self):
        return self.process.poll()

    def run(self, script, timeout=300):
        """What the script, run by root's bash, printed."""
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--"]
        done = subprocess.run([*inside, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", "bash", "-euc", script],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{self.name}: exit status {done.returncode} of:\n{script}\n{done.stdout[-5000:]}")
        return done.stdout

    def close(self):
        end(self.process)
        self.console.close()
        # Its processes are gone a moment later.
        deadline = time.monotonic() + self.BOOT_S
        while any(group.exists() for group in self.cgroups):
            for group in self.cgroups:
                for folder, _, _ in os.walk(group, topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(folder)
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not end: {self.cgroups}")
            select.select([], [], [], 0.05)


def own_cgroups():
    """The folders of this process's group in the hierarchies that systemd manages: the only one, or an older and a newer one."""
    groups = [line.split(":", 2) for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()]
    paths = {controllers: path for _, controllers, path in groups}
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        place, (kind, _, options) = line.split()[4], line.partition(" - ")[2].split()[:3]
        if kind == "cgroup2" and "" in paths:
            found.append(pathlib.Path(place + paths[""]))
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found.append(pathlib.Path(place + paths["name=systemd"]))
    return found


def make_package(build, folder):
    """The package of what is in this build folder."""
    done = run("cpack", "--config", build / "CPackConfig.cmake", "-G", "DEB", "-B", folder / "cpack")
    if done.returncode != 0:
        raise AssertionError(f"cpack failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    (package,) = (folder / "cpack").glob("*.deb")
    return package.rename(folder / "first.deb")


def make_next_package(build, first, folder):
    """(the package of the release after it, its version, whether its daemon writes what only a later one does): histod-next, or else the same
    programs, which say that they are of that version."""
    tree, following = folder / "next", build / "bin/histod-next"
    subprocess.run(["dpkg-deb", "-R", first, tree], check=True)
    if following.exists():
        subprocess.run(["objcopy", "--strip-all", following, tree / "usr/sbin/histod"], check=True)
    control = (tree / "DEBIAN/control").read_text()
    version = re.search(r"(?m)^Version: (.*)-1$", control).group(1)
    major, minor, patch = version.split(".")
    later = f"{major}.{int(minor) + 1}.{patch}"
    (tree / "DEBIAN/control").write_text(control.replace(f"Version: {version}-1", f"Version: {later}-1"))
    (tree / "DEBIAN/md5sums").unlink()  # dpkg makes its own
    for program in ("sbin/histod", "sbin/histod-epoll", "bin/histoctl"):
        path = tree / "usr" / program
        # Compilers put a short text into an instruction, the first four letters of it at once.
        old, new = (f"{major}.{number}.".encode() for number in (minor, int(minor) + 1))
        path.write_bytes(re.sub(rb"(?<![0-9.])" + re.escape(old) + rb"(?![1-9.])", new, path.read_bytes()))
        said = run(path, "--version").stdout
        if later not in said:
            raise AssertionError(f"{program} says {said!r}, and should say {later}")
    package = folder / "second.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "-b", tree, package], check=True, capture_output=True)
    return package, later, following.exists()


def make_packages(build, folder):
    """first.deb and second.deb, the release after it; the packages that they need."""
    first = make_package(build, folder)
    make_next_package(build, first, folder)
    return packages_of(run("dpkg-deb", "-f", first, "Depends").stdout)


def make_image(folder):
    """image.pgm, and expected.pgm, which it is when it is equalized; and the number of the last CPU."""
    width, height = 96, 64
    pixels = bytes((x * y // 17 + 30) % 180 for y in range(height) for x in range(width))
    head = b"P5\n%d %d\n255\n" % (width, height)
    (folder / "image.pgm").write_bytes(head + pixels)
    (folder / "expected.pgm").write_bytes(head + equalized(pixels))
    (folder / "cpu").write_text(f"{max(os.sched_getaffinity(0))}\n")


def steps(script):
    """What begins a script of steps, with it."""
    return (HERE / "machine_steps.sh").read_text() + script.read_text()


def check_steps(test, script, told, also=()):
    """That each step was there and none failed; what a failed one printed is shown."""
    results = re.findall(r"(?m)^(ok|FAILED) (\S+)$", told)
    for result, name in results:
        print(f"  {name}: {result}", flush=True)
    failed = re.findall(r"(?ms)^(?:ok|FAILED) \S+\n((?:(?!^(?:ok|FAILED) ).)*?^FAILED \S+)$", "ok begin\n" + told)
    test.assertEqual([name for result, name in results if result == "FAILED"], [], "\n".join(failed) + told[-8000:])
    lists = re.findall(r"(?m)^for name in ([a-z_ ]+); do", script)
    test.assertEqual({name for _, name in results}, {*also, *" ".join(lists).split()})


def packages_of(depends):
    """The names of a Depends field, the first of alternatives."""
    return [word.split("|")[0].split("(")[0].strip() for word in depends.split(",")]
