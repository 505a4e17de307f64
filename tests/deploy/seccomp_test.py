#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The seccomp profile that the nodes are given: what it allows, what it refuses, and that the real daemon does its work under it, on io_uring
and on epoll, without a capability."""
import ctypes
import errno
import json
import os
import subprocess
import sys
import unittest

import seccomp_filter
from confined_daemon import HERE, PROFILE, ConfinedDaemon, images
from kubernetes_documents import K8S
from kubernetes_policies import PROFILE as NAMED

NEEDED = ("io_uring_setup io_uring_enter io_uring_register get_mempolicy mbind set_mempolicy sched_setaffinity sched_getaffinity openat2 flock "
          "renameat2 execve "
          "memfd_create eventfd2 timerfd_create ioctl pread64 pwrite64").split()  # DPDK and vfio
REFUSED = ("acct add_key bpf chroot delete_module fanotify_init finit_module fsmount fsopen init_module iopl kcmp kexec_load keyctl kill "
           "landlock_create_ruleset migrate_pages mknodat mount mount_setattr move_mount move_pages name_to_handle_at open_by_handle_at open_tree "
           "perf_event_open personality pidfd_getfd pivot_root process_vm_readv process_vm_writev ptrace quotactl reboot request_key seccomp "
           "set_mempolicy_home_node setdomainname setgroups sethostname setns setresuid settimeofday setuid swapon syslog umount2 unshare "
           "userfaultfd").split()
# Asked of the kernel in a process under the profile: with arguments that do nothing where the call is allowed.
ASK = """
import ctypes, errno, json, sys
sys.path.insert(0, sys.argv[1])
import seccomp_filter
lib, libc = seccomp_filter.library(), ctypes.CDLL(None, use_errno=True)
asked = json.loads(sys.argv[3])
numbers = [seccomp_filter.number_of(lib, name) for name, _ in asked]
with open(sys.argv[2]) as file:
    seccomp_filter.load(json.load(file))
for number, (_, arguments) in zip(numbers, asked):
    ctypes.set_errno(0)
    libc.syscall(number, *[ctypes.c_long(each) for each in arguments])
    print(ctypes.get_errno(), flush=True)
"""
NEW_NAMESPACE = 0x10000000  # CLONE_NEWUSER
INET, VSOCK, NETLINK, STREAM, RAW, ROUTE, AUDIT = 2, 40, 16, 1, 3, 0, 9


def said(*asked):
    """errno of each (name, arguments)"""
    done = subprocess.run([sys.executable, "-B", "-c", ASK, str(HERE), str(PROFILE), json.dumps(asked)], capture_output=True, text=True,
                          check=True)
    return [int(line) for line in done.stdout.splitlines()]


def rings_refused():
    """Why, if the machine refuses rings to everybody; asked without the profile."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(ctypes.c_long(425), ctypes.c_long(4), ctypes.c_long(0))  # io_uring_setup, on every architecture
    if ctypes.get_errno() == errno.EFAULT:
        return ""
    reason = "this machine refuses io_uring whatever the profile says: kernel.io_uring_disabled, or another profile outside"
    print(f"skipped: {reason}", flush=True)
    return reason


class ProfileTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.profile = json.loads(PROFILE.read_text(encoding="utf-8"))
        cls.rules = cls.profile["syscalls"]
        cls.always = [name for rule in cls.rules if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args") for name in rule["names"]]
        cls.named = {name for rule in cls.rules for name in rule["names"]}

    def test_it_is_the_one_that_the_pods_name(self):
        self.assertEqual(NAMED["localhostProfile"], f"profiles/{PROFILE.name}")
        self.assertEqual(PROFILE, K8S / "seccomp/histod.json")

    def test_what_is_not_named_is_refused(self):
        self.assertEqual((self.profile["defaultAction"], self.profile["defaultErrnoRet"]), ("SCMP_ACT_ERRNO", errno.EPERM))
        # What containerd reads, the form of OCI, and not more: members of Docker's form would be passed over.
        self.assertEqual(set(self.profile), {"defaultAction", "defaultErrnoRet", "architectures", "syscalls"})
        for rule in self.rules:
            self.assertLessEqual(set(rule), {"names", "action", "errnoRet", "args"})

    def test_every_name_is_a_system_call(self):
        lib = seccomp_filter.library()
        self.assertEqual([name for name in self.named if seccomp_filter.number_of(lib, name) == seccomp_filter.UNKNOWN], [])
        self.assertEqual(seccomp_filter.number_of(lib, "io_uring_begin"), seccomp_filter.UNKNOWN)
        self.assertEqual(self.always, sorted(set(self.always)))

    def test_rings_and_numa_are_allowed(self):
        self.assertEqual([name for name in NEEDED if name not in self.always], [])

    def test_what_reaches_beyond_the_process_is_not(self):
        self.assertEqual([name for name in REFUSED if name in self.named], [])

    def test_the_kernel_does_as_it_says(self):
        refused = said(*[(name, [-1, -1, -1, -1, -1]) for name in REFUSED])
        self.assertEqual({name: code for name, code in zip(REFUSED, refused) if code != errno.EPERM}, {})
        asked = [("mbind", [1, 4096, 0, 0, 0, 0]), ("get_mempolicy", [0, 0, 0, 0, 0]), ("set_mempolicy", [0, 0, 0]), ("sched_setaffinity", [0, 8, 0])]
        if not rings_refused():
            asked += [("io_uring_setup", [4, 0]), ("io_uring_enter", [-1, 0, 0, 0, 0]), ("io_uring_register", [-1, 0, 0, 0])]
        codes = dict(zip([name for name, _ in asked], said(*asked)))
        self.assertEqual({name: code for name, code in codes.items() if code in (errno.EPERM, errno.ENOSYS)}, {})

    def test_arguments_count(self):
        codes = said(("clone", [NEW_NAMESPACE, 0, 0, 0, 0]), ("clone3", [0, 0]), ("socket", [INET, STREAM, 0]), ("socket", [VSOCK, STREAM, 0]),
                     ("socket", [NETLINK, RAW, ROUTE]), ("socket", [NETLINK, RAW, AUDIT]))
        # Behind ENOSYS the C library makes its threads by clone, whose flags a filter can see.
        self.assertEqual(codes, [errno.EPERM, errno.ENOSYS, 0, errno.EPERM, 0, errno.EPERM])


class DaemonTest(unittest.TestCase):
    def works(self, daemon):
        """An image, a job, a file of a shared volume, and all that a container is watched by."""
        picture = images.encode(images.noisy(200, 150, 3, 1, 200), "png")
        status, fields, body = daemon.request("POST", "/v1/equalize?color=lab", picture)
        self.assertEqual((status, fields.get("content-type")), (200, "image/png"), body[:300])
        (daemon.folder / "files").mkdir(exist_ok=True)
        for target, sent in (("/v1/jobs", picture), ("/v1/jobs?file=files/a.png&result=files/", None)):
            status, _, body = daemon.request("POST", target, sent)
            self.assertEqual(status, 202, body)
            job = json.loads(body)["id"]
            while (state := json.loads(daemon.request("GET", f"/v1/jobs/{job}")[2]))["state"] not in ("done", "failed"):
                daemon.pause.wait(0.02)  # the daemon's own word: there is nothing else to wait for
            self.assertEqual((state["state"], state.get("error")), ("done", None))
        self.assertTrue((daemon.folder / "files/a_equalized.png").exists())
        for path in ("/healthz", "/readyz", "/metrics", "/"):
            self.assertEqual(daemon.request("GET", path, role=None)[0], 200, path)

    def start(self, *options):
        daemon = ConfinedDaemon(*options)
        self.addCleanup(daemon.close)
        (daemon.folder / "files").mkdir()
        (daemon.folder / "files/a.png").write_bytes(images.encode(images.noisy(64, 48, 1, 1, 200), "png"))
        daemon.options += ["--file-root", f"files={daemon.folder / 'files'}:rw"]
        return daemon.start()

    def test_on_io_uring(self):
        if reason := rings_refused():
            self.skipTest(reason)
        daemon = self.start("--io", "uring")
        self.assertEqual(daemon.metric("histod_iouring_enabled"), 1)
        status = daemon.status()
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16)), ("2", "1", 0))
        if os.getuid() == 0:
            self.assertEqual(set(status["Uid"].split()), {str(seccomp_filter.NOBODY)})
        fallbacks = {line for line in daemon.log().splitlines() if "msg=fallback" in line}
        # Nothing that the profile refuses: huge pages and locked memory are the machine's.
        self.assertEqual([line for line in fallbacks if "pinned" in line or "NUMA" in line], [])
        self.works(daemon)
        self.assertEqual(daemon.stop(), 0)

    def test_on_epoll(self):
        daemon = self.start("--io", "epoll")
        self.assertEqual(daemon.metric("histod_iouring_enabled"), 0)
        self.works(daemon)
        self.assertEqual(daemon.stop(), 0)

    def test_without_the_rings_it_says_so(self):
        """That the filter is in force: one that does not allow them is refused by the daemon's own check."""
        profile = json.loads(PROFILE.read_text(encoding="utf-8"))
        profile["syscalls"][0]["names"] = [name for name in profile["syscalls"][0]["names"] if not name.startswith("io_uring")]
        daemon = ConfinedDaemon("--io", "uring")
        self.addCleanup(daemon.close)
        other = daemon.folder / "profile.json"
        other.write_text(json.dumps(profile), encoding="utf-8")
        daemon.prefix[-1] = str(other)
        daemon.start(wait=False)
        self.assertEqual(daemon.process.wait(timeout=60), 1)
        self.assertIn("io_uring is refused", daemon.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
