# SPDX-License-Identifier: Apache-2.0
"""What the tests of systemd and of the package have in common: unit files as systemd reads them, an oracle, processes."""
import os
import pathlib
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ROOT / "systemd"
HISTOD = os.path.abspath(os.environ["HISTOD"]) if "HISTOD" in os.environ else ""
# Whoever runs the tests may have variables of ours; the daemon under test has only what its test gives it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("HISTO")}


def read_unit(path):
    """{(section, key): [values]}; an empty value takes back those before it."""
    found, section = {}, ""
    for line in pathlib.Path(path).read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] not in "#;":
            key, value = line.split("=", 1)
            values = found.setdefault((section, key.strip()), [])
            values[:] = [*values, value.strip()] if value.strip() else []
    return found


def syscall_set(name):
    """The system calls of a set such as @aio; a name that is no set is itself."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    words = [line.split("#")[0].strip() for line in text.splitlines()[1:]]
    return set().union(*(syscall_set(word) for word in words if word))


def allowed_calls(lines):
    """What the lines of SystemCallFilter= allow together, the first of which is an allow-list."""
    allowed = set()
    for line in lines:
        names = set().union(*(syscall_set(name) for name in line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def need(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed", flush=True)
        raise unittest.SkipTest(f"{', '.join(missing)} not installed")


def skip(reason):
    print(f"skipped: {reason}", flush=True)
    raise unittest.SkipTest(reason)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=300,
                          **{"env": ENVIRONMENT, **options})


def equalized(pixels):
    """cv::equalizeHist by its definition; the sums are small enough for a float to be exact."""
    counts = [pixels.count(value) for value in range(256)]
    first = next(value for value in range(256) if counts[value])
    scale, total, table = 255 / (len(pixels) - counts[first]), 0, [0] * 256
    for value in range(first + 1, 256):
        total += counts[value]
        table[value] = round(total * scale)
    return bytes(table[value] for value in pixels)
