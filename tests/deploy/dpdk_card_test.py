#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DPDK on a card as the pod has it: an 82574L behind an IOMMU, both played by qemu, in a machine of its own whose files are this one's,
read-only. HISTOD names the program; HISTOD_KERNEL a folder with boot/ and lib/modules/, as `dpkg -x linux-image-*.deb` makes it, where this
machine's own root has none."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = pathlib.Path(os.environ.get("HISTOD_KERNEL", "/"))
MODULES = "9p 9pnet_virtio virtio_pci virtio_net e1000e vfio-pci vfio_iommu_type1".split()
INIT = """#!/bin/busybox sh
b=/bin/busybox
for each in "proc proc" "sysfs sys" "devtmpfs dev"; do $b mount -t $each /${each#* }; done
for module in $($b cat /order); do $b insmod /modules/$module; done
$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=524288,cache=loose root /new
for each in proc sys dev; do $b mount --move /$each /new/$each; done
$b mount -t tmpfs tmpfs /new/run
PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/run PYTHONDONTWRITEBYTECODE=1 HISTOD={histod} \
  $b chroot /new /usr/bin/python3 {here}/dpdk_card_guest.py /dev/ttyS1
$b poweroff -f
"""


def kernels():
    """Versions that have what is needed, the newest last."""
    found = (path.name.removeprefix("vmlinuz-") for path in (ROOT / "boot").glob("vmlinuz-*"))
    return sorted(version for version in found if module_files(version, ["vfio-pci", "e1000e", "9pnet_virtio"]))


def module_files(version, names):
    """Of all of them, those that they need before them; empty: one is missing, or compressed."""
    there = {path.stem.replace("-", "_"): path for path in (ROOT / "lib/modules" / version / "kernel").rglob("*.ko")}
    order = []

    def add(name):
        path = there.get(name.replace("-", "_"))
        if path is None or path in order:
            return path is not None
        needed = subprocess.run(["modinfo", "--field", "depends", path], check=True, capture_output=True, text=True).stdout.strip()
        whole = all([add(each) for each in needed.split(",") if each])
        order.append(path)
        return whole

    return order if all([add(name) for name in names]) else []


def first_files(folder, version):
    """The file system that the kernel starts with."""
    for name in ("bin", "dev", "modules", "new", "proc", "sys"):
        (folder / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), folder / "bin/busybox")
    files = module_files(version, MODULES)
    for path in files:
        shutil.copy(path, folder / "modules")
    (folder / "order").write_text("".join(f"{path.name}\n" for path in files))
    (folder / "init").write_text(INIT.replace("{here}", str(HERE)).replace("{histod}", str(pathlib.Path(os.environ["HISTOD"]).resolve())))
    (folder / "init").chmod(0o755)
    names = "\0".join(str(path.relative_to(folder)) for path in folder.rglob("*"))
    packed = folder.parent / "initramfs"
    packed.write_bytes(subprocess.run(["cpio", "--null", "--create", "--format=newc", "--quiet"], cwd=folder, input=names.encode(), check=True,
                                      capture_output=True).stdout)
    return packed


def command(folder, version):
    # The cable: a hub with the card on it, and an interface of the machine's kernel.
    cable = [word for number, device in enumerate(("e1000e,mac=02:00:00:00:00:01,addr=5", "virtio-net-pci,mac=02:00:00:00:00:02,addr=6"))
             for word in ("-netdev", f"hubport,id=end{number},hubid=0", "-device", f"{device},netdev=end{number},romfile=")]
    return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "3072", "-machine", "q35,kernel-irqchip=split",
            "-device", "intel-iommu,intremap=on,caching-mode=on", *cable, "-display", "none", "-no-reboot",
            "-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
            "-kernel", ROOT / "boot" / f"vmlinuz-{version}", "-initrd", first_files(folder / "first", version),
            "-append", "console=ttyS0 loglevel=4 panic=-1 no_timer_check intel_iommu=on", "-serial", f"file:{folder}/console", "-serial", f"file:{folder}/said"]


class CardTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [name for name in ("qemu-system-x86_64", "busybox", "cpio", "modinfo") if shutil.which(name) is None]
        reason = ""
        if missing:
            reason = f"{', '.join(missing)} not installed"
        elif os.getuid() != 0:
            reason = "the machine's files are this one's, root's among them"
        elif not kernels():
            reason = f"no kernel with vfio in {ROOT}: HISTOD_KERNEL names a folder with one"
        if reason:
            print(f"\nskipped: {reason}", flush=True)
            raise unittest.SkipTest(reason)
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        subprocess.run(command(folder, kernels()[-1]), check=True, timeout=800)
        console = (folder / "console").read_text(errors="replace")[-3000:]
        assert (folder / "said").read_text().strip(), console
        cls.seen = json.loads((folder / "said").read_text())

    def test_without_privilege_its_packets_come_back_equalized(self):
        seen = self.seen["pod"]
        self.assertEqual(seen["status"], 201, seen["detail"])
        process = seen["process"]
        self.assertEqual((process["Seccomp"], process["NoNewPrivs"], int(process["CapEff"], 16)), ("2", "1", 0))
        self.assertEqual(set(process["Uid"].split()), {"65532"})
        self.assertGreaterEqual(int(process["VmLck"].split()[0]), 256 << 10, "vfio has pinned DPDK's memory, and counts it")
        self.assertEqual((seen["right"], seen["sent"]), (24, 24))
        self.assertEqual((seen["replaced"], seen["right again"]), (200, 24))
        self.assertEqual((seen["put again"], seen["right at last"]), (201, 24))
        self.assertEqual((seen["removed"], seen["fallbacks"], seen["stopped"]), (204, [], 0))

    def test_huge_pages_are_not_mounted(self):
        self.assertEqual(self.seen["mounts"], 0)

    def test_with_little_memory_to_lock_it_says_so(self):
        seen = self.seen["little memory to lock"]
        self.assertEqual((seen["status"], seen["stopped"]), (409, 0))
        self.assertRegex(seen["detail"], "DMA remapping.*Cannot allocate memory")

    def test_a_device_that_is_roots_is_said(self):
        """What device_ownership_from_security_context is for."""
        self.assertEqual(self.seen["mode"], 0o600)
        seen = self.seen["file of root"]
        self.assertEqual((seen["status"], seen["stopped"]), (409, 0))
        self.assertIn("Permission denied", seen["detail"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
