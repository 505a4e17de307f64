#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian package, made by cpack of a build folder in which histod, histod-epoll and histoctl are: HISTOD_BUILD names it."""
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from systemd_support import ENVIRONMENT, ROOT, UNITS, need, run, skip  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HISTOD_BUILD", ROOT / "build/release")).resolve()
PROGRAMS = ("histod", "histod-epoll", "histoctl")
FILES = """
/etc/histod/histod.toml
/lib/systemd/system/histod.service
/lib/systemd/system/histod.socket
/usr/bin/histoctl
/usr/lib/sysctl.d/50-histod.conf
/usr/lib/sysusers.d/histod.conf
/usr/lib/tmpfiles.d/histod.conf
/usr/sbin/histod
/usr/sbin/histod-epoll
/usr/share/bash-completion/completions/histoctl
/usr/share/doc/histod/README.md
/usr/share/doc/histod/changelog.Debian.gz
/usr/share/doc/histod/compiled-in
/usr/share/doc/histod/copyright
/usr/share/fish/vendor_completions.d/histoctl.fish
/usr/share/lintian/overrides/histod
/usr/share/man/man1/histoctl.1.gz
/usr/share/man/man8/histod-epoll.8.gz
/usr/share/man/man8/histod.8.gz
/usr/share/zsh/vendor-completions/_histoctl
""".split()


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("cpack", "dpkg-deb", "dpkg-shlibdeps")
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        done = run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", cls.folder)
        if done.returncode != 0:
            raise AssertionError(f"cpack failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        (cls.package,) = cls.folder.glob("*.deb")
        cls.root, cls.control = cls.folder / "root", cls.folder / "control"
        for option, target in (("-x", cls.root), ("-e", cls.control)):
            subprocess.run(["dpkg-deb", option, cls.package, target], check=True)

    def field(self, name):
        return run("dpkg-deb", "-f", self.package, name).stdout.strip()

    def test_contents(self):
        lines = [line.split() for line in run("dpkg-deb", "-c", self.package).stdout.splitlines()]
        modes = {line[5].removeprefix("."): line[0] for line in lines if not line[0].startswith("d")}
        examples = {f"/usr/share/doc/histod/examples/{path.name}" for path in (UNITS / "drop-ins").iterdir()}
        self.assertEqual(set(modes), set(FILES) | examples)
        self.assertEqual({line[1] for line in lines}, {"root/root"})
        executable = {path for path, mode in modes.items() if mode == "-rwxr-xr-x"}
        self.assertEqual(executable, {"/usr/sbin/histod", "/usr/sbin/histod-epoll", "/usr/bin/histoctl"})
        for line in lines:
            self.assertNotRegex(line[0], r"^[^l](....w|.......w|..[sS]|.....[sS])", line)

    def test_control_fields(self):
        version = re.search(r"\d+\.\d+\.\d+", run(self.root / "usr/sbin/histod", "--version").stdout).group()
        self.assertEqual((self.field("Package"), self.field("Version")), ("histod", f"{version}-1"))
        self.assertEqual(self.field("Architecture"), run("dpkg", "--print-architecture").stdout.strip())
        self.assertRegex(self.field("Maintainer"), r"^.+ <\S+@\S+>$")
        depends = self.field("Depends")
        # The first is opened by name, which dpkg-shlibdeps cannot see.
        for name in ("libtbbbind-2-5", "libtbb12", "liburing2", "libc6", "libhwloc15", "libopencv-imgproc406", "systemd"):
            self.assertIn(name, depends)
        # DPDK is linked statically: of it, only libraries that every Debian has.
        for name in ("libopencv-imgcodecs", "libgtest", "-dev", "librte", "dpdk"):
            self.assertNotIn(name, depends)
        self.assertEqual((self.control / "conffiles").read_text(), "/etc/histod/histod.toml\n")

    def test_maintainer_scripts(self):
        self.assertEqual({path.name for path in self.control.iterdir()}, {"conffiles", "control", "md5sums", "postinst", "postrm", "prerm"})
        for name in ("postinst", "postrm", "prerm"):
            self.assertEqual((self.control / name).stat().st_mode & 0o777, 0o755)
            self.assertEqual(run("sh", "-n", self.control / name).returncode, 0)
            text = (self.control / name).read_text()
            self.assertIn("set -e\n", text)
            commands = "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("#"))
            self.assertNotRegex(commands, r"openssl|urandom|enable|\bstart\b(?!ed)")

    def test_programs_are_stripped_and_run(self):
        for name, folder in (("histod", "sbin"), ("histod-epoll", "sbin"), ("histoctl", "bin")):
            path = self.root / "usr" / folder / name
            self.assertLess(path.stat().st_size, (BUILD / "bin" / name).stat().st_size / 2)
            self.assertEqual(run(path, "--version").stdout, run(BUILD / "bin" / name, "--version").stdout)

    def test_manual_pages(self):
        need("groff")
        for name, program in (("man8/histod.8.gz", "histod"), ("man1/histoctl.1.gz", "histoctl")):
            source = gzip.decompress((self.root / "usr/share/man" / name).read_bytes()).decode()
            done = run("groff", "-man", "-ww", "-Tascii", "-P-cbou", input=source)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            helped = run(BUILD / "bin" / program, "--help").stdout
            options = set(re.findall(r"(?m)^ {2,6}(?:-\w, )?(--\S+)", helped))
            self.assertGreater(len(options), 5)
            for option in options:
                self.assertIn(option, done.stdout)
        self.assertIn("photo.jpg", done.stdout)

    def test_completions_are_the_program_s(self):
        for shell, path in (("bash", "bash-completion/completions/histoctl"), ("zsh", "zsh/vendor-completions/_histoctl"),
                            ("fish", "fish/vendor_completions.d/histoctl.fish")):
            made = (self.root / "usr/share" / path).read_text()
            self.assertEqual(made, run(BUILD / "bin/histoctl", "completion", shell).stdout)
            self.assertIn("equalize", made)
        self.assertEqual(run("bash", "-n", self.root / "usr/share/bash-completion/completions/histoctl").returncode, 0)

    def owners(self, paths):
        return {line.split(":")[0] for line in run("dpkg-query", "-S", *paths).stdout.splitlines()}

    def test_what_is_compiled_in_is_named(self):
        """Of the compiler's own list of headers and the linker's of archives: packages whose code no library has that the programs load."""
        headers, ours = set(), False
        for line in run("ninja", "-C", BUILD, "-t", "deps").stdout.splitlines():
            if ": #deps " in line:
                ours = not re.match(r"tests/|tools/histobench/", line)
            elif ours and line.startswith("    /usr/include/"):
                headers.add(line.strip())
        edges = re.findall(r"(?m)^build bin/(?:histod|histod-epoll|histoctl): .*\n(?:  .*\n)+", (BUILD / "build.ninja").read_text())
        archives = {path for edge in edges for path in re.findall(r"/usr/[^ ,]+\.a\b", edge)}
        loaded = {name for program in PROGRAMS for name in re.findall(r"lib\S+\.so", run("ldd", BUILD / "bin" / program).stdout)}
        packages = self.owners(headers) | self.owners(archives)
        self.assertLessEqual({"libtbb-dev", "libc6-dev", "libcurl4-openssl-dev", "linux-libc-dev"}, packages)
        inside = {name for name in packages if not loaded & {pathlib.PurePosixPath(path).name for path in run("dpkg-query", "-L", name).stdout.split()}}
        versions = run("dpkg-query", "-W", "-f", "deb ${Package} ${Version} ${Architecture}\n", *sorted(inside - {"linux-libc-dev"})).stdout
        lock = json.loads((ROOT / "webui/package-lock.json").read_text())["packages"]
        page = [f"npm {path.rpartition('node_modules/')[2]} {each['version']}" for path, each in lock.items() if path and not each.get("dev")]
        self.assertEqual(len(page), 2)
        self.assertEqual(sorted((self.root / "usr/share/doc/histod/compiled-in").read_text().splitlines()), sorted(versions.splitlines() + page))

    def test_lintian(self):
        need("lintian")
        options = ["--fail-on", "error,warning", "--no-tag-display-limit"] + (["--allow-root"] if os.geteuid() == 0 else [])
        done = run("lintian", *options, self.package, env={**ENVIRONMENT, "LC_ALL": "C.UTF-8"})
        found = [line for line in done.stdout.splitlines() if line[:2] in ("E:", "W:")]
        self.assertEqual((done.returncode, found), (0, []), done.stdout + done.stderr)


if __name__ == "__main__":
    if not (BUILD / "CPackConfig.cmake").exists() or not all((BUILD / "bin" / name).exists() for name in PROGRAMS):
        sys.exit(f"HISTOD_BUILD must name a build folder with {', '.join(PROGRAMS)} in bin/ ({BUILD} is none)")
    unittest.main(verbosity=2)
