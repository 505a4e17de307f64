#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser (headless Chromium, driven by playwright-core) against a real daemon."""
import os
import pathlib
import shutil
import subprocess
import unittest

from harness import Daemon, main, need

HERE = pathlib.Path(__file__).resolve().parent
STAGE = pathlib.Path(os.environ["E2E_PAGE_STAGE"])


def stage():
    """A copy with its packages installed, so that the source tree stays clean; npm runs when the lock file changed."""
    lock, installed = HERE / "package-lock.json", STAGE / "installed-lock.json"
    STAGE.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(STAGE / "page", ignore_errors=True)
    shutil.copytree(HERE / "page", STAGE / "page")
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, STAGE / name)
    subprocess.run(["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=STAGE, check=True)
    shutil.copy(lock, installed)


class PageTest(unittest.TestCase):
    def test_page(self):
        need("node", "npm", "chromium")
        stage()
        with Daemon() as daemon:
            token_file = daemon.folder / "page-token"
            token_file.touch(mode=0o600)
            token_file.write_text(f"admin {daemon.tokens['admin']}\n")
            done = subprocess.run(["node", "--test", "page/page.test.mjs"], cwd=STAGE, check=False, timeout=500,
                                  env={**os.environ, "HISTOD_URL": f"http://127.0.0.1:{daemon.port}", "HISTOD_TOKEN_FILE": str(token_file)})
            self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    main()
