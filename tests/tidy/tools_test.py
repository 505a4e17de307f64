# SPDX-License-Identifier: Apache-2.0
"""The shell tools: steps, packages, and what they say when something goes wrong."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from specimen import ROOT


class Shell(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        shutil.copytree(ROOT / "tools" / "lib", self.root / "tools" / "lib")
        for name in ("packages", "run", "test", "check"):
            shutil.copy(ROOT / "tools" / name, self.root / "tools" / name)

    def bash(self, script, **environment):
        (self.root / "tools" / "probe").write_text('source "$(dirname "$0")/lib/shell.sh"\n' + script)
        return subprocess.run(["bash", str(self.root / "tools" / "probe")], capture_output=True, text=True, check=False,
                              env={**os.environ, **environment})

    def path_with(self, **programs):
        """A PATH with these scripts first."""
        folder = self.root / "bin"
        folder.mkdir(exist_ok=True)
        for name, body in programs.items():
            (folder / name).write_text("#!/bin/sh\n" + body)
            (folder / name).chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def test_a_step_prints_its_title_and_time_and_keeps_its_output_in_a_log(self):
        done = self.bash('step probe "a title" echo inside\n')
        self.assertRegex(done.stdout, r"^a title +ok +\d+ s\n$")
        self.assertEqual((self.root / "build/logs/probe.log").read_text(), "inside\n")

    def test_a_failed_step_is_one_line_with_the_first_error_and_the_log(self):
        done = self.bash('f() { echo a.cpp:1: error: no semicolon; echo more; false; echo unreached; }\nstep probe "a title" f\necho unreached\n')
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^tools/probe: a title: failed: a\.cpp:1: error: no semicolon \(log: .*/build/logs/probe\.log\)\n$")
        self.assertNotIn("unreached", done.stdout + (self.root / "build/logs/probe.log").read_text())

    def test_the_end_of_the_log_on_demand(self):
        done = self.bash('f() { echo one; echo two; false; }\nstep probe title f\n', HISTOD_LOG_TAIL="1")
        self.assertIn("    two\n", done.stdout)
        self.assertNotIn("one", done.stdout)

    def test_packages_by_section(self):
        done = self.bash("packages build\necho --\npackages check\n")
        build, check = done.stdout.split("--\n")
        self.assertIn("liburing-dev", build.split())
        self.assertIn("clang-tidy-19", check.split())
        self.assertNotIn("clang-tidy-19", build.split())

    def test_every_package_is_named_once_and_has_a_reason(self):
        lines = [line for line in (ROOT / "tools/packages").read_text().splitlines() if line and line[0] not in "#["]
        self.assertEqual([line for line in lines if not re.match(r"[a-z0-9.+-]+ +# .+", line)], [])
        names = [line.split()[0] for line in lines]
        self.assertEqual(len(names), len(set(names)))

    def test_only_what_is_missing_is_missing(self):
        path = self.path_with(**{"dpkg-query": "echo installed cmake; echo config-files ccache; echo installed curl\n", "node": "echo v18.2.0\n", "npm": "exit 0\n"})
        missing = self.bash("missing_packages build webui\n", PATH=path).stdout.split()
        self.assertNotIn("cmake", missing)
        self.assertNotIn("nodejs", missing)
        self.assertIn("ccache", missing)
        self.assertIn("g++", missing)

    def test_an_old_node_is_as_good_as_none(self):
        path = self.path_with(**{"dpkg-query": "exit 1\n", "node": "echo v16.1.0\n", "npm": "exit 0\n"})
        self.assertIn("nodejs", self.bash("missing_packages webui\n", PATH=path).stdout.split())

    def test_nothing_is_installed_when_nothing_is_missing(self):
        path = self.path_with(**{"dpkg-query": "shift 2; for p in \"$@\"; do echo installed $p; done\n", "node": "echo v20.0.0\n", "npm": "exit 0\n",
                                 "apt-get": "echo apt >&2; exit 1\n"})
        done = self.bash("install_packages build webui test check\necho done\n", PATH=path)
        self.assertEqual((done.stdout, done.stderr), ("done\n", ""))

    def test_without_root_and_sudo_the_line_names_the_command(self):
        path = self.path_with(**{"dpkg-query": "exit 1\n", "id": "echo 1000\n", "sudo": "exit 1\n", "node": "exit 1\n"})
        done = self.bash("install_packages webui </dev/null\n", PATH=path)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^tools/probe: not root and no sudo; as root: apt-get install .*")

    def test_a_failing_apt_is_one_line(self):
        path = self.path_with(**{"dpkg-query": "exit 1\n", "id": "echo 1000\n", "apt-get": "echo 'E: Unable to locate package'; exit 100\n",
                                 "sudo": '[ "$1" = -n ] && exit 0; exec "$@"\n', "node": "exit 1\n"})
        done = self.bash("apt_install() { apt-get update; }\ninstall_packages webui\n", PATH=path)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^tools/probe: install 2 packages: failed: E: Unable to locate package \(log: .*apt\.log\)\n$")

    def test_every_tool_has_help_and_refuses_what_it_does_not_know(self):
        for name in ("run", "test", "check"):
            with self.subTest(name=name):
                tool = str(self.root / "tools" / name)
                self.assertIn(f"tools/{name}", subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout)
                done = subprocess.run([tool, "--nonsense"], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr, f"tools/{name}: unknown option --nonsense (tools/{name} --help)\n")

    def test_a_failed_test_run_is_told_at_the_end_with_its_summary(self):
        path = self.path_with(ctest="echo '50% tests passed, 1 tests failed out of 2'; echo; echo 'The following tests FAILED:'; exit 8\n")
        done = self.bash('ctest_preset probe "tests, here" release\nprintf "%s\\n" "${summaries[@]}"\necho "failed $failed"\n', PATH=path)
        self.assertIn("50% tests passed, 1 tests failed out of 2", done.stdout)
        self.assertTrue(done.stdout.endswith("failed 1\n"))


if __name__ == "__main__":
    unittest.main()
