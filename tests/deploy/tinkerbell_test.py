#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/tinkerbell: resources by Tinkerbell's schemas, what they say of one another, the template rendered for each machine, and what it writes
read as its reader would; agreement with Terraform and k8s/; the image's script and the README's commands, run; events, by HISTOCTL."""
import ipaddress
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

from go_template import TemplateError, render
from kubernetes_documents import SOURCE, deployed, documents, find, histod, of_kind, pod_of, schema_complaints, title
from kubernetes_policies import quantity

FOLDER = SOURCE / "deploy/tinkerbell"
HISTOCTL = os.environ.get("HISTOCTL", str(SOURCE / "build/release/bin/histoctl"))
TERRAFORM = (SOURCE / "deploy/terraform/variables.tf").read_text(encoding="utf-8")
IMAGE = re.compile(r"[a-z0-9.-]+(?:/[a-z0-9._-]+)+(?::(?!latest)[\w.-]+)?(?:@sha256:[0-9a-f]{64})?")
RENDERED_BYTES_MAX = 256 << 10


def machines():
    return deployed("deploy/tinkerbell")


def workflows():
    return deployed("deploy/tinkerbell/workflows")


def hardware(name):
    return find(machines(), "Hardware", name)


def port(name):
    return hardware(name)["spec"]["interfaces"][0]["dhcp"]


def template_data(workflow):
    """As Tinkerbell's controller gives it: hardwareMap, and Hardware by the names of Go's fields."""
    dhcp, spec = port(workflow["spec"]["hardwareRef"]), hardware(workflow["spec"]["hardwareRef"])["spec"]
    go = {"MAC": dhcp["mac"], "Hostname": dhcp["hostname"], "NameServers": dhcp["name_servers"],
          "IP": {"Address": dhcp["ip"]["address"], "Netmask": dhcp["ip"]["netmask"], "Gateway": dhcp["ip"]["gateway"]}}
    return {**workflow["spec"]["hardwareMap"], "Hardware": {"Disks": [disk["device"] for disk in spec["disks"]], "Interfaces": [{"DHCP": go}]}}


def template():
    return of_kind(machines(), "Template")[0]["spec"]["data"]


def rendered(workflow, text=None):
    return render(text or template(), template_data(workflow))


def rendered_by_go(workflow, folder):
    """By the engine that Tinkerbell has, which is in kubectl, without a cluster; but for two functions that only Tinkerbell knows."""
    text = re.sub(r"formatPartition (\S+) (\d+)", r'printf "%sp%v" \1 \2', template())
    (folder / "template").write_text(re.sub(r"netmaskToPrefixLength \S+", '"24"', text))
    (folder / "data").write_text(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **template_data(workflow)}))
    return subprocess.run(["kubectl", "annotate", "--local", "-f", folder / "data", "a=b", "-o", f"go-template-file={folder}/template",
                           "--allow-missing-template-keys=false"], capture_output=True, text=True, check=False)


def validator_complaints(text):
    """Tinkerbell's validator, and what the agent must be able to do with it."""
    flow = yaml.safe_load(text)
    if len(text.encode()) > RENDERED_BYTES_MAX:
        yield "it is too long"
    if flow.get("version") != "0.1" or not isinstance(flow.get("global_timeout"), int):
        yield "version or global_timeout"
    for scope in ([flow], flow["tasks"], *(task["actions"] for task in flow["tasks"])):
        names = [each.get("name", "") for each in scope]
        if not names or len(names) != len(set(names)) or not all(0 < len(name) < 200 for name in names):
            yield f"names: {names}"
    for task in flow["tasks"]:
        if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", task.get("worker", "")):
            yield f"worker: {task.get('worker')}"
        for action in task["actions"]:
            if not IMAGE.fullmatch(action["image"]) or not {":", "@"} & set(action["image"].rpartition("/")[2]):
                yield f"{action['name']}: image {action['image']}"
            if not all(isinstance(value, str) for value in action["environment"].values()) or not isinstance(action["timeout"], int):
                yield f"{action['name']}: the agent wants strings in environment, and a number of seconds"
    if sum(action["timeout"] for task in flow["tasks"] for action in task["actions"]) > flow["global_timeout"] + 600:
        yield "global_timeout is far from what the actions may take"


class ResourcesTest(unittest.TestCase):
    def test_they_are_by_their_schemas(self):
        docs = [each for each in machines() + workflows() if "tinkerbell.org" in each["apiVersion"]]
        self.assertEqual(sorted(each["kind"] for each in docs), sorted(["Hardware", "Machine", "Workflow"] * 3 + ["Template"]))
        for each in docs:
            self.assertEqual(schema_complaints(self, each), [], title(each))
            self.assertEqual(each["metadata"]["namespace"], "tinkerbell")

    def test_what_is_wrong_is_found(self):
        for change in (lambda spec: spec["interfaces"][0]["dhcp"].update(mac="02:00:00:66:00:XX"), lambda spec: spec["bmcRef"].pop("kind"),
                       lambda spec: spec.update(disk="/dev/sda")):
            wrong = hardware("histo-01")
            change(wrong["spec"])
            self.assertNotEqual(schema_complaints(self, wrong), [])

    def test_they_name_one_another(self):
        flows = workflows()
        self.assertEqual(len(flows), 3)
        for flow in flows:
            spec, name = flow["spec"], flow["metadata"]["name"]
            self.assertEqual(spec["hardwareRef"], name)
            self.assertEqual(spec["templateRef"], of_kind(machines(), "Template")[0]["metadata"]["name"])
            self.assertEqual(spec["hardwareMap"]["device_1"], port(name)["mac"])
            self.assertEqual(spec["bootOptions"], {"bootMode": "netboot", "toggleAllowNetboot": True})
            machine = hardware(name)["spec"]["bmcRef"]
            self.assertEqual(machine, {"apiGroup": "bmc.tinkerbell.org", "kind": "Machine", "name": name})
            find(machines(), "Machine", machine["name"])
            self.assertEqual((port(name)["hostname"], hardware(name)["spec"]["metadata"]["instance"]["hostname"]), (name, name))

    def test_nothing_is_there_twice(self):
        names = [flow["metadata"]["name"] for flow in workflows()]
        hosts = [each["spec"]["connection"]["host"] for each in of_kind(machines(), "Machine")]
        for values in (names, [port(name)["mac"] for name in names], [port(name)["ip"]["address"] for name in names] + hosts):
            self.assertEqual(len(set(values)), len(values))
        for name in names:
            # An example's addresses are nobody's: locally administered.
            self.assertRegex(port(name)["mac"], r"^[0-9a-f][26ae](:[0-9a-f]{2}){5}$")
            self.assertTrue(hardware(name)["spec"]["disks"][0]["device"].startswith("/dev/nvme"))

    def test_the_stack_and_the_resources_agree(self):
        values = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
        wanted = workflows()[0]["spec"]["hardwareMap"]
        self.assertEqual(wanted["metadata_url"], f"http://{values['publicIP']}:7080")
        job = find(machines(), "Job", "node-image")["spec"]["template"]["spec"]
        file = job["containers"][0]["args"][2]
        self.assertEqual(wanted["image_url"], f"{values['artifactsFileServer']}/{pathlib.Path(file).name}")
        claim = next(volume for volume in job["volumes"] if volume["name"] == "artifacts")["persistentVolumeClaim"]["claimName"]
        self.assertEqual(claim, values["optional"]["hookos"]["persistence"]["localPersistentVolume"]["name"])
        self.assertRegex(job["containers"][0]["image"], r"@sha256:[0-9a-f]{64}$")
        self.assertIn("--version v0.25.0", (FOLDER / "README.md").read_text(encoding="utf-8"))

    def test_no_secret_is_here(self):
        self.assertEqual(of_kind(machines() + workflows(), "Secret"), [])


class AgreementTest(unittest.TestCase):
    """The same three nodes as Terraform's, with what k8s/ wants of them."""

    def test_names_and_addresses_are_terraforms(self):
        network = ipaddress.ip_network(re.search(r'variable "private_cidr".*?default\s+= "([^"]+)"', TERRAFORM, re.S)[1])
        nodes = {name: str(network[int(host)]) for name, host in re.findall(r"^ +(histo-\d+) = \{ host = (\d+)", TERRAFORM, re.M)}
        self.assertEqual(len(nodes), 3)
        self.assertEqual({flow["metadata"]["name"]: port(flow["metadata"]["name"])["ip"]["address"] for flow in workflows()}, nodes)
        for name in nodes:
            self.assertEqual(str(ipaddress.ip_network(f"{nodes[name]}/{port(name)['ip']['netmask']}", strict=False)), str(network))
        self.assertEqual(re.search(r'variable "login_user".*?default\s+= "([^"]+)"', TERRAFORM, re.S)[1], self.user_data("histo-01")["users"][0]["name"])

    def test_k8s_expects_them(self):
        volumes = of_kind(documents("prod"), "PersistentVolume")
        self.assertEqual([each["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] for each in volumes],
                         [[flow["metadata"]["name"]] for flow in workflows()])
        block = find(documents("prod"), "NetworkPolicy", "zookeeper")["spec"]["ingress"][0]["from"][0]["ipBlock"]["cidr"]
        for flow in workflows():
            self.assertIn(ipaddress.ip_address(port(flow["metadata"]["name"])["ip"]["address"]), ipaddress.ip_network(block))

    def test_the_kernel_has_what_the_pod_wants(self):
        wanted = pod_of(histod(documents("prod")))["containers"][0]["resources"]["requests"]
        for flow in workflows():
            arguments = flow["spec"]["hardwareMap"]["kernel_arguments"].split()
            self.assertEqual(arguments[:2], ["default_hugepagesz=2M", "hugepagesz=2M"])
            told = dict(argument.split("=", 1) for argument in arguments)
            self.assertGreaterEqual(int(told["hugepages"]) * (2 << 20), quantity(wanted["hugepages-2Mi"]))
            # The CPU manager gives CPUs of the scheduler's domains away: none may be taken out of them.
            flag, _, isolated = told["isolcpus"].partition(",")
            self.assertEqual(flag, "managed_irq")
            self.assertEqual((told["nohz_full"], told["rcu_nocbs"]), (isolated, isolated))
            self.assertFalse(cpus(isolated) & cpus(told["irqaffinity"]))
            self.assertIn(0, cpus(told["irqaffinity"]))
            self.assertGreaterEqual(len(cpus(isolated)), quantity(wanted["cpu"]))

    def user_data(self, name):
        text = hardware(name)["spec"]["userData"]
        self.assertTrue(text.startswith("#cloud-config\n"))
        return yaml.safe_load(text)

    def test_cloud_init_understands_it(self):
        told = self.user_data("histo-01")
        self.assertEqual((told["ssh_pwauth"], told["users"][0]["lock_passwd"]), (False, True))
        if not shutil.which("cloud-init"):
            print("skipped: cloud-init is not installed: its schema was not asked", flush=True)
            return
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "user-data"
            file.write_text(hardware("histo-01")["spec"]["userData"])
            done = subprocess.run(["cloud-init", "schema", "--config-file", file], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


def cpus(text):
    """Of "1-7,9"."""
    ends = [part.partition("-") for part in text.split(",")]
    return {cpu for first, _, last in ends for cpu in range(int(first), int(last or first) + 1)}


class TemplateTest(unittest.TestCase):
    def actions(self, workflow):
        [task] = yaml.safe_load(rendered(workflow))["tasks"]
        self.assertEqual(task["worker"], workflow["spec"]["hardwareMap"]["device_1"])
        return {action["name"]: action for action in task["actions"]}

    def files(self, workflow):
        told = [action["environment"] for action in self.actions(workflow).values() if "DEST_PATH" in action["environment"]]
        for each in told:
            self.assertEqual((each["DEST_DISK"], each["FS_TYPE"]), ("/dev/nvme0n1p1", "ext4"))
            self.assertEqual([int(each[name], 8) < 0o1000 for name in ("MODE", "DIRMODE")], [True, True])
        return {each["DEST_PATH"]: each["CONTENTS"] for each in told}

    def test_the_validator_takes_it(self):
        for flow in workflows():
            self.assertEqual(list(validator_complaints(rendered(flow))), [])

    def test_what_the_validator_refuses_is_found(self):
        flow = workflows()[0]
        for old, new in (('"{{ .device_1 }}"', '""'), ("name: grow-root", "name: write-image"), ("@sha256", "@sha255"), ("name: install", "name: ''"),
                         ("image2disk:c5bde803d9f6c90f1a9d5e06930d856d1481854c", "image2disk:latest"), ('COMPRESSED: "true"', "COMPRESSED: true")):
            self.assertIn(old, template())
            self.assertNotEqual(list(validator_complaints(rendered(flow, template().replace(old, new)))), [], new)

    def test_gos_own_engine_makes_the_same_of_it(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for flow in workflows():
            done = rendered_by_go(flow, folder)
            self.assertEqual((done.returncode, done.stdout), (0, rendered(flow)), done.stderr)
        del flow["spec"]["hardwareMap"]["image_url"]
        self.assertIn('no entry for key "image_url"', rendered_by_go(flow, folder).stderr)

    def test_its_events_name_node_and_action(self):
        """A watch's lines, by the README's histoctl."""
        def line(flow, state, at, action_state):
            actions = [{"name": name, "image": action["image"], "state": action_state if name == at else "PENDING"}
                       for name, action in self.actions(flow).items()]
            return json.dumps({"type": "MODIFIED", "object": {**flow, "status": {"state": state, "tasks": [{"name": "install", "actions": actions}]}}})

        flow = workflows()[1]
        lines = [line(flow, "RUNNING", "write-image", "RUNNING"), line(flow, "FAILED", "write-image", "FAILED")]
        done = subprocess.run([HISTOCTL, "events", "send", "--source", "tinkerbell", "--out", "-"], input="\n".join(lines) + "\n", capture_output=True,
                              text=True, check=True)
        told = [json.loads(each) for each in done.stdout.splitlines()]
        self.assertEqual({each["node"] for each in told}, {"histo-02"})
        self.assertEqual([(each["type"].removeprefix("io.histod.rollout.tinkerbell."), each["data"]["resource"]) for each in told],
                         [("action_running", "tinkerbell/histo-02/write-image"), ("workflow_running", "tinkerbell/histo-02"),
                          ("action_failed", "tinkerbell/histo-02/write-image"), ("workflow_failed", "tinkerbell/histo-02")])

    def test_a_name_that_is_not_there_is_an_error(self):
        for key in ("device_1", "image_url", "metadata_url", "kernel_arguments"):
            flow = workflows()[0]
            del flow["spec"]["hardwareMap"][key]
            with self.assertRaises(TemplateError):
                rendered(flow)

    def test_what_is_done_and_in_which_order(self):
        for flow in workflows():
            actions = self.actions(flow)
            self.assertEqual(list(actions), ["write-image", "grow-root", "write-netplan", "write-cloud-init-config", "write-cloud-init-identity",
                                             "write-kernel-arguments", "update-grub", "restart"])
            self.assertEqual(actions["write-image"]["environment"]["DEST_DISK"], "/dev/nvme0n1")
            self.assertEqual(actions["grow-root"]["environment"]["CMD_LINE"], "growpart /dev/nvme0n1 1 && resize2fs /dev/nvme0n1p1")
            self.assertIn("mount /dev/nvme0n1p16 /boot", actions["update-grub"]["environment"]["CMD_LINE"])
            # A real restart, which the agent outlives long enough to tell of it.
            self.assertEqual((actions["restart"]["command"], actions["restart"]["namespaces"]), (["reboot"], {"pid": "host"}))
            self.assertNotIn("kexec", yaml.safe_dump(actions))

    def test_commands_are_a_shells(self):
        for action in self.actions(workflows()[0]).values():
            if command := action["environment"].get("CMD_LINE"):
                self.assertEqual(action["environment"]["DEFAULT_INTERPRETER"], "/bin/sh -c")
                done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_network_is_the_hardwares(self):
        for flow in workflows():
            dhcp = port(flow["spec"]["hardwareRef"])
            plan = yaml.safe_load(self.files(flow)["/etc/netplan/60-histod.yaml"])["network"]
            self.assertEqual((plan["version"], plan["renderer"]), (2, "networkd"))
            self.assertEqual(plan["ethernets"]["nodes"], {
                "match": {"macaddress": dhcp["mac"]}, "addresses": [f"{dhcp['ip']['address']}/24"],
                "routes": [{"to": "default", "via": dhcp["ip"]["gateway"]}], "nameservers": {"addresses": dhcp["name_servers"]}})

    def test_cloud_init_asks_tinkerbell_and_leaves_the_network_alone(self):
        files = self.files(workflows()[0])
        told = yaml.safe_load(files["/etc/cloud/cloud.cfg.d/10_tinkerbell.cfg"])
        self.assertEqual(told["datasource"]["Ec2"], {"metadata_urls": ["http://10.66.0.2:7080"], "strict_id": False})
        self.assertEqual(told["network"], {"config": "disabled"})
        self.assertEqual(files["/etc/cloud/ds-identify.cfg"], "datasource: Ec2\n")

    def test_grub_adds_the_arguments_to_its_own(self):
        flow = workflows()[0]
        dropin = self.files(flow)["/etc/default/grub.d/55-tinkerbell.cfg"]
        said = subprocess.run(["sh", "-eu", "-c", f'GRUB_CMDLINE_LINUX_DEFAULT=quiet\n{dropin}\nprintf %s "$GRUB_CMDLINE_LINUX_DEFAULT"'],
                              capture_output=True, text=True, check=True).stdout
        self.assertEqual(said, "quiet " + flow["spec"]["hardwareMap"]["kernel_arguments"])

    def test_ipxe_script(self):
        lines = (FOLDER / "chain.ipxe").read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[0], "#!ipxe")
        self.assertTrue(any(re.fullmatch(r"chain http://[\d.]+:7080/ipxe/script/\$\{netX/mac\}/auto\.ipxe \|\| sleep 30", line) for line in lines))


class ImageTest(unittest.TestCase):
    """convert-image with a real image, by file:."""

    def setUp(self):
        if missing := [name for name in ("qemu-img", "curl") if not shutil.which(name)]:
            reason = f"{' and '.join(missing)} not installed: no image was converted"
            print(f"skipped: {reason}", flush=True)
            self.skipTest(reason)
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.content = os.urandom(1 << 20) + bytes(3 << 20)
        (self.folder / "raw").write_bytes(self.content)
        self.image = self.folder / "cloud.img"
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", self.folder / "raw", self.image], check=True)
        self.sum = subprocess.run(["sha256sum", self.image], capture_output=True, text=True, check=True).stdout.split()[0]
        self.out = self.folder / "artifacts"
        self.out.mkdir()
        self.file = self.out / "node.raw.gz"

    def convert(self, *words):
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        done = subprocess.run([FOLDER / "convert-image", *words], capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(work)})
        self.assertEqual(list(work.iterdir()), [])
        return done.returncode, done.stdout, done.stderr

    def test_it_is_written_raw_and_compressed_once(self):
        self.assertEqual(self.convert(self.image.as_uri(), self.sum, self.file), (0, f"convert-image: {self.file} is written\n", ""))
        self.assertEqual(subprocess.run(["gzip", "-dc", self.file], capture_output=True, check=True).stdout, self.content)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o644)
        self.assertEqual(self.convert("file:///nowhere", self.sum, self.file), (0, f"convert-image: {self.file} is there already\n", ""))

    def test_what_it_refuses(self):
        wrong = "0" * 64
        status, _, said = self.convert(self.image.as_uri(), wrong, self.file)
        self.assertEqual((status, said), (1, f"convert-image: {self.image.as_uri()} has the checksum {self.sum}, not {wrong}: it is not written\n"))
        status, _, said = self.convert("file:///nowhere", self.sum, self.file)
        self.assertEqual((status, said.splitlines()[-1]), (1, "convert-image: file:///nowhere cannot be downloaded"))
        (self.folder / "cloud.img").write_bytes(b"QFI\xfb and nothing else")
        short = subprocess.run(["sha256sum", self.image], capture_output=True, text=True, check=True).stdout.split()[0]
        self.assertEqual(self.convert(self.image.as_uri(), short, self.file)[0], 1)
        self.assertEqual(self.convert("file:///nowhere")[0], 2)
        self.assertEqual(list(self.out.iterdir()), [])


class ReadmeTest(unittest.TestCase):
    KUBECTL = ('#!/bin/sh\nprintf "%s\\n" "$*" >> "$LOG"\nfor word; do case $word in --from-file=*) key=${word#--from-file=}; '
               'printf "%s=%s\\n" "$key" "$(cat "$key")" >> "$LOG";; esac; done\n')

    def test_the_secrets_are_those_that_the_machines_name(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name, text in (("kubectl", self.KUBECTL), ("stty", "#!/bin/sh\n")):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        [block] = re.findall(r"```sh\n(.*?)```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.S)
        answers = "".join(f"user{number}\npass word{number}\n" for number in (1, 2, 3))
        subprocess.run(["sh", "-eu", "-c", block], input=answers, capture_output=True, text=True, check=True, cwd=folder,
                       env={"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(folder / "log"), "TMPDIR": str(folder)})
        log = (folder / "log").read_text().splitlines()
        self.assertEqual([line for line in log if line.startswith(("username=", "password="))],
                         [f"{key}={value}{number}" for number in (1, 2, 3) for key, value in (("username", "user"), ("password", "pass word"))])
        made = [re.match(r"-n tinkerbell create secret generic (\S+) --type=kubernetes.io/basic-auth ", line)[1] for line in log if line.startswith("-n")]
        named = [each["spec"]["connection"]["authSecretRef"] for each in of_kind(machines(), "Machine")]
        self.assertEqual(named, [{"name": name, "namespace": "tinkerbell"} for name in made])
        # Nothing that was typed is in a command's arguments, or left behind.
        self.assertFalse([line for line in log if line.startswith("-n") and ("user1" in line or "word1" in line)])
        self.assertEqual([path.name for path in folder.rglob("*") if path.is_file() and path.name in ("username", "password")], [])

    def test_shellcheck(self):
        if not shutil.which("shellcheck"):
            print("skipped: shellcheck is not installed", flush=True)
            return
        done = subprocess.run(["shellcheck", FOLDER / "convert-image"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
