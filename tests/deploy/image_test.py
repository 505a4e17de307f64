#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The container image: built by buildah of a debootstrapped base and of the Debian package of the build folder that HISTOD_BUILD names; what is
in it; and run by podman as the pod's container is, under the shipped seccomp profile and under others, with little memory to lock and with more."""
import copy
import datetime
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from image_support import BASE, EPOCH, SOURCE, ImageDaemon, Store, container, spdx_complaints  # noqa: E402
from confined_daemon import PROFILE  # noqa: E402
from systemd_support import ROOT, equalized, need, run, skip  # noqa: E402

BUILD = pathlib.Path(os.environ.get("HISTOD_BUILD", ROOT / "build/release")).resolve()
PODMANS_PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")
PROGRAMS = {"/usr/sbin/histod", "/usr/sbin/histod-epoll", "/usr/bin/histoctl"}
MEMLOCK = 8 << 20
EPERM, CAP_IPC_LOCK = 1, 14
NOT_REGISTERED, NOT_A_RING = "buffers not registered with the ring", "epoll instead of io_uring"


class Built:
    """The image, once for all tests."""
    store = name = id = sbom = root = None


def setUpModule():
    need("buildah", "podman", "crun", "mmdebstrap", "cpack", "dpkg-shlibdeps", "unshare")
    if os.geteuid() != 0:
        skip("containers are made as root only")
    if run("unshare", "--mount", "true").returncode != 0:
        skip("this machine lets nobody make namespaces")
    folder = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="histod-image-", dir="/var/tmp")))
    Built.store, Built.sbom = Store(folder), folder / "beside.json"
    Built.store.ask("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", folder / "package")
    (Built.package,) = (folder / "package").glob("*.deb")
    Built.name, Built.id = Built.store.build("--debootstrap", "--package", Built.package, "--sbom", Built.sbom)
    Built.root = Built.store.root_of(Built.name)


class BuildTest(unittest.TestCase):
    def test_the_same_again(self):
        again = Built.store.build("--base", BASE, "--package", Built.package, "--sbom", Built.store.folder / "again.json", "--tool", "podman",
                                  "--tag", "localhost/again:1")
        self.assertEqual(again, ["localhost/again:1", Built.id])
        self.assertEqual((Built.store.folder / "again.json").read_bytes(), Built.sbom.read_bytes())

    def test_labels_and_user(self):
        version = re.search(r"\d+\.\d+\.\d+", run(BUILD / "bin/histod", "--version").stdout)[0]
        self.assertEqual(Built.name, f"localhost/histod:{version}")
        image = Built.store.inspect(Built.name)
        labels = {key.removeprefix("org.opencontainers.image."): value for key, value in image["Labels"].items() if "opencontainers" in key}
        created = datetime.datetime.fromtimestamp(EPOCH, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertEqual((labels["title"], labels["version"], labels["source"], labels["licenses"], labels["created"]),
                         ("histod", version, SOURCE, "Apache-2.0", created))
        self.assertEqual(image["Created"], created)
        head = run("git", "-C", ROOT, "rev-parse", "HEAD").stdout.strip() or "unknown"
        self.assertIn(labels["revision"], (head, f"{head}-dirty"))
        config = image["Config"]
        self.assertEqual((config["User"], config["Entrypoint"], config.get("Cmd"), config["WorkingDir"]),
                         ("65532:65532", ["/usr/sbin/histod"], None, "/"))
        self.assertEqual(len(image["RootFS"]["Layers"]), 1)
        print(f"\nthe image has {image['Size'] / 1e6:.0f} MB, uncompressed", flush=True)

    def test_what_is_wrong_is_said(self):
        other = Built.store.folder / "other"
        (other / "DEBIAN").mkdir(parents=True)
        (other / "DEBIAN/control").write_text("Package: other\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n")
        subprocess.run(["dpkg-deb", "-b", other], check=True, capture_output=True)
        for options, sentence in ((["--package", f"{other}.deb"], "is not the package of histod"), (["--tag"], "--tag needs a value"),
                                  (["--taag", "x"], "unknown option --taag"), (["--base", "localhost/none:1", "--package", Built.package], "none")):
            done = Built.store.run(ROOT / "deploy/image/build", *options)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(sentence, done.stderr)
            self.assertEqual(done.stdout, "")


class ContentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = {"/" + str(path.relative_to(Built.root)): path for path in Built.root.rglob("*") if path.is_file() and not path.is_symlink()}
        cls.database = Built.root / "var/lib/dpkg/status.d"
        cls.installed = {}
        for path in cls.database.iterdir():
            if path.suffix != ".md5sums":
                fields = dict(re.findall(r"(?m)^([A-Za-z-]+): (.*)$", path.read_text()))
                cls.installed[fields["Package"]] = fields

    def test_nothing_else_runs(self):
        """No shell, no package manager: what may be executed are our programs, and libraries."""
        executable = {path for path, file in self.files.items() if file.stat().st_mode & 0o111 and not re.search(r"\.so[.\d]*$", path)}
        self.assertEqual(executable, PROGRAMS)
        self.assertEqual([path for path, file in self.files.items() if file.read_bytes()[:2] == b"#!"], [])
        for path in Built.root.rglob("*"):
            if not path.is_symlink():
                self.assertEqual((path.stat().st_uid, path.stat().st_mode & 0o6022), (0, 0), path)
            elif not path.exists():
                # Links that are absolute lead out of the folder, but not out of the image.
                self.assertTrue((Built.root / str(path.readlink()).lstrip("/")).exists(), path)
        done = Built.store.run(*container(Built.store, Built.name, Built.store.folder, PROFILE, MEMLOCK, "--entrypoint=/bin/sh"), "-c", "true")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/bin/sh", done.stderr)

    def test_each_file_of_debian_is_as_its_package_has_it(self):
        sums = {}
        for path in self.database.glob("*.md5sums"):
            for line in path.read_text().splitlines():
                md5, name = line.split("  ", 1)
                sums[str((Built.root / name).resolve().relative_to(Built.root))] = md5
        listed = {f"/{name}" for name in sums}
        ours = {path for path in self.files if re.match(r"/(?:etc/(?:passwd|group|nsswitch\.conf|ssl/.*)|var/lib/dpkg/status\.d/.*|.*\.spdx\.json)$", path)}
        self.assertEqual(set(self.files) - listed, ours)
        for name, md5 in sums.items():
            self.assertEqual(hashlib.md5((Built.root / name).read_bytes()).hexdigest(), md5, name)
        self.assertGreater((Built.root / "etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN CERTIFICATE"), 100)
        self.assertTrue((Built.root / "usr/lib/ssl/cert.pem").is_symlink())
        for name in self.installed:
            self.assertTrue((Built.root / f"usr/share/doc/{name}/copyright").resolve().exists(), name)

    def test_versions_are_those_of_the_base(self):
        base = Built.store.root_of(BASE)
        listed = run("dpkg-query", f"--admindir={base}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n").stdout
        versions = dict(line.split() for line in listed.splitlines())
        both = versions.keys() & self.installed.keys()
        self.assertLessEqual({"libc6", "libgcc-s1", "base-files"}, both)
        for name in both:
            self.assertEqual(self.installed[name]["Version"], versions[name])

    def test_the_bill_of_materials(self):
        text = Built.sbom.read_text()
        self.assertEqual(text, (Built.root / "usr/share/doc/histod/histod.spdx.json").read_text())
        document = json.loads(text)
        self.assertEqual(list(spdx_complaints(document)), [])
        named = {(each["name"], each["versionInfo"]) for each in document["packages"] if each["SPDXID"].startswith("SPDXRef-Package-")}
        self.assertEqual(named, {(name, fields["Version"]) for name, fields in self.installed.items()})
        compiled_in = [(each["name"], each["versionInfo"]) for each in document["packages"] if each["SPDXID"].startswith("SPDXRef-CompiledIn-")]
        lines = (Built.root / "usr/share/doc/histod/compiled-in").read_text().splitlines()
        self.assertEqual(compiled_in, [tuple(line.split()[1:3]) for line in lines])
        self.assertEqual({name for name, _ in compiled_in}, {"libboost1.81-dev", "libdpdk-dev", "preact", "uplot"})
        # Who has these libraries is known to this machine's dpkg, too.
        libraries = {pathlib.PurePosixPath(path).name for path in self.files if re.search(r"/lib[^/]*\.so[.\d]*$", path)}
        self.assertGreater(len(libraries), 20)
        for library in libraries:
            owners = {line.split(":")[0] for line in run("dpkg-query", "-S", f"*/{library}").stdout.splitlines()}
            self.assertTrue(not owners or owners & self.installed.keys(), f"{library} of {owners}")
        purls = {ref["referenceLocator"] for each in document["packages"] for ref in each.get("externalRefs", [])}
        version, architecture = self.installed["libstdc++6"]["Version"].replace("+", "%2B"), self.installed["libstdc++6"]["Architecture"]
        self.assertIn(f"pkg:deb/debian/libstdc%2B%2B6@{version}?arch={architecture}&distro=debian-12", purls)
        self.assertLessEqual({f"pkg:npm/{name}@{version}" for name, version in compiled_in if "-dev" not in name}, purls)

    def test_wrong_bills_are_found(self):
        document = json.loads(Built.sbom.read_text())
        for change in (lambda d: d.pop("dataLicense"), lambda d: d.update(documentNamespace="x"), lambda d: d["creationInfo"].update(created="now"),
                       lambda d: d["creationInfo"].update(creators=["me"]), lambda d: d["packages"][1].pop("downloadLocation"),
                       lambda d: d["packages"][1].pop("filesAnalyzed"), lambda d: d["packages"].append(d["packages"][1]),
                       lambda d: d["packages"][1].update(SPDXID="SPDXRef-libstdc++6"), lambda d: d["relationships"].pop()):
            wrong = copy.deepcopy(document)
            change(wrong)
            self.assertNotEqual(list(spdx_complaints(wrong)), [])


class RunTest(unittest.TestCase):
    def start(self, profile=PROFILE, memlock=MEMLOCK, *options, podman=()):
        daemon = ImageDaemon(Built.store, Built.name, profile, memlock, "--io=auto", *options, podman=podman)
        self.addCleanup(daemon.close)
        return daemon.start()

    def check_it_is_confined(self, daemon, capabilities=0):
        status = daemon.status()
        self.assertRegex(status["Name"], "^histod")
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapBnd"], 16)),
                         ("2", "1", capabilities, capabilities))
        self.assertEqual(set(status["Uid"].split()) | set(status["Gid"].split()), {"65532"})
        mounts = [line.split() for line in pathlib.Path(f"/proc/{daemon.pid()}/mountinfo").read_text().splitlines()]
        self.assertEqual([line[5].split(",")[0] for line in mounts if line[4] == "/"], ["ro"])

    def check_it_works(self, daemon):
        pixels = bytes(min(255, max(0, int(random.Random(row).gauss(90 + column / 4, 20)))) for row in range(120) for column in range(160))
        header = b"P5\n160 120\n255\n"
        for target in ("/v1/equalize", "/v1/jobs"):
            status, _, body = daemon.request("POST", target, header + pixels)
            if target == "/v1/jobs":
                self.assertEqual(status, 202, body)
                job = "/v1/jobs/" + json.loads(body)["id"]
                while json.loads(daemon.request("GET", job)[2])["state"] != "done":
                    daemon.pause.wait(0.02)  # the daemon's own word: there is nothing else to wait for
                status, _, body = daemon.request("GET", f"{job}/result")
            self.assertEqual((status, body), (200, header + equalized(pixels)))
        self.assertEqual(daemon.stop(), 0)
        self.assertIn("msg=stopped", daemon.log())

    def fallbacks(self, daemon):
        text = daemon.request("GET", "/metrics")[2].decode()
        told = set(re.findall(r'(?m)^histod_fallback\{what="([^"]*)"\} 1', text))
        for what in told:
            self.assertEqual(len(re.findall(rf'msg=fallback what="{re.escape(what)}"', daemon.log())), 1, daemon.log())
        # The machine's own affair: it may have no huge pages, one NUMA node, or fewer CPUs than the daemon would like.
        print(f"\nfallbacks: {', '.join(sorted(told)) or 'none'}", flush=True)
        return told & {NOT_REGISTERED, NOT_A_RING}

    def check_rings(self):
        said = run(BUILD / "bin/histod", "--check", "--io=auto").stdout
        if "io_uring works" not in said:
            skip("this machine refuses io_uring to everybody")

    def test_with_8_mib_to_lock(self):
        self.check_rings()
        daemon = self.start()
        self.check_it_is_confined(daemon)
        self.assertEqual(daemon.metric("histod_iouring_enabled"), 1)
        self.assertEqual(daemon.metric("histod_iouring_buffers_registered"), 0)
        self.assertEqual(self.fallbacks(daemon), {NOT_REGISTERED})
        self.check_it_works(daemon)

    def check_registered(self, daemon, capabilities=0):
        self.check_it_is_confined(daemon, capabilities)
        self.assertEqual(daemon.metric("histod_iouring_enabled"), 1)
        self.assertGreaterEqual(daemon.metric("histod_iouring_buffers_registered"), 1)
        self.assertEqual(self.fallbacks(daemon), set())
        self.check_it_works(daemon)

    def test_with_any_amount_to_lock(self):
        self.check_rings()
        soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
        except (OSError, ValueError):
            skip(f"nobody may raise the limit of {hard >> 20} MiB here: this machine's root has no CAP_SYS_RESOURCE; see test_with_ipc_lock")
        self.check_registered(self.start(PROFILE, -1))

    def test_with_ipc_lock(self):
        """The kernel does not count what a process with this capability locks: buffers are registered as without a limit. No pod of ours has it."""
        self.check_rings()
        self.check_registered(self.start(podman=["--cap-add=IPC_LOCK"]), 1 << CAP_IPC_LOCK)

    def dockers_profile(self):
        """As Docker has it since version 25: what is not named is refused with EPERM, and io_uring is not named."""
        profile = json.loads(PODMANS_PROFILE.read_text())
        profile |= {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": EPERM, "defaultErrno": "EPERM"}
        for rule in profile["syscalls"]:
            rule["names"] = [name for name in rule["names"] if not name.startswith("io_uring_")]
        profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
        path = Built.store.folder / "docker.json"
        path.write_text(json.dumps(profile))
        return path

    def check_refused(self, profile, why):
        daemon = self.start(profile)
        self.check_it_is_confined(daemon)
        self.assertEqual(daemon.metric("histod_iouring_enabled"), 0)
        self.assertEqual(self.fallbacks(daemon), {NOT_A_RING, NOT_REGISTERED})  # without a ring there is nothing to register with
        line = re.search(rf'msg=fallback what="{NOT_A_RING}" why="(.*)"', daemon.log())[1]
        self.assertRegex(line, f"io_uring is refused: {why}")
        self.check_it_works(daemon)
        # Without leave to fall back it does not start, and says what would help.
        strict = Built.store.run(*container(Built.store, Built.name, Built.store.folder, profile, MEMLOCK), "--io=uring")
        self.assertEqual(strict.returncode, 1)
        self.assertRegex(strict.stderr, f"io_uring is refused: {why}")
        self.assertIn("--io=auto", strict.stderr)
        print(f"\n{profile}: {strict.stderr.strip()}", flush=True)
        return strict.stderr

    def test_dockers_default_profile_refuses_rings(self):
        self.check_rings()
        self.assertIn("seccomp profile", self.check_refused(self.dockers_profile(), "Operation not permitted"))

    def test_podmans_default_profile(self):
        self.check_rings()
        profile = json.loads(PODMANS_PROFILE.read_text())
        allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
        if "io_uring_setup" in allowed:
            skip(f"{PODMANS_PROFILE} allows io_uring here")
        self.check_refused(PODMANS_PROFILE, "(?:Function not implemented|Operation not permitted)")

    def test_its_own_check(self):
        """The program finds all that it opens by name: certificates, and the library that pins the arena's threads."""
        done = Built.store.run(*container(Built.store, Built.name, Built.store.folder, PROFILE, MEMLOCK), "--check", "--io=auto")
        for line in (r"ok    pinning ", r"(?:ok  |warn)  io_uring ", r"warn  memlock .*buffers are not registered"):
            self.assertRegex(done.stdout, f"(?m)^{line}")

    def test_histoctl(self):
        daemon = self.start()
        words = container(Built.store, Built.name, daemon.folder, PROFILE, MEMLOCK, "--entrypoint=/usr/bin/histoctl", "--pidfile=")
        done = Built.store.run(*words, "status", "--server", f"http://localhost:{daemon.port}", "--token-file", "/srv/tokens")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    if not (BUILD / "CPackConfig.cmake").exists():
        sys.exit(f"HISTOD_BUILD must name a build folder with CPackConfig.cmake ({BUILD} is none)")
    unittest.main(verbosity=2)
