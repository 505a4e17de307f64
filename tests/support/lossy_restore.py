#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lossy_restore.py SHADOW TARGET: the tree that a power loss would leave, from what lossy_disk.c stored.

TARGET is made and must not exist. A directory that was never synced is empty, and so is a file that was never synced.
"""
import pathlib
import shutil
import sys


def restore(shadow: pathlib.Path, key: str, target: pathlib.Path) -> None:
    target.mkdir(mode=0o700)
    listing = shadow / f"{key}.dir"
    if not listing.exists():
        return
    for line in listing.read_text(encoding="utf-8").splitlines():
        kind, entry_key, name = line.split(" ", 2)
        if kind == "dir":
            restore(shadow, entry_key, target / name)
            continue
        content = shadow / f"{entry_key}.file"
        if content.exists():
            shutil.copyfile(content, target / name)
        else:
            (target / name).touch()
        (target / name).chmod(0o600)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    restore(pathlib.Path(sys.argv[1]), "root", pathlib.Path(sys.argv[2]))
