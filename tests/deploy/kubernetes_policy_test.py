#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our own policies for what is in k8s/, over each overlay and each component; and of each policy that a wrong document breaks it."""
import copy
import pathlib
import re
import subprocess
import tempfile
import unittest

import kubernetes_policies as policies
from kubernetes_documents import K8S, SOURCE, documents, find, histod, pod_of, rendered


def daemon(docs):
    return pod_of(histod(docs))["containers"][0]


def zk(docs):
    return pod_of(find(docs, "StatefulSet", "zk"))["containers"][0]


def spec(docs, kind, name):
    return find(docs, kind, name)["spec"]


def edit(docs, name, key, old, new):
    data = find(docs, "ConfigMap", name)["data"]
    assert old in data[key], old
    data[key] = data[key].replace(old, new)


def firewall(docs):
    return spec(docs, "CiliumClusterwideNetworkPolicy", "histod-nodes")


DPDK = [{"name": "HISTOD_DPDK", "value": "true"}, {"name": "HISTOD_DPDK_MEMORY", "value": "256MiB"}]


def give_device(docs, argument="--dpdk-pci=$(PCIDEVICE_EXAMPLE_ORG_NIC)", variables=DPDK):
    """As the component dpdk does, by another name: `devices` has no complaint of it as it is."""
    daemon(docs)["resources"]["limits"].update({"example.org/nic": "1"})
    daemon(docs)["args"].append(argument)
    daemon(docs)["env"].extend(variables)


# For each policy, changes to prod after which it must complain.
WRONG = {
    policies.no_privilege: (
        lambda docs: daemon(docs)["securityContext"].update(privileged=True),
        lambda docs: zk(docs)["securityContext"].pop("allowPrivilegeEscalation"),
        lambda docs: pod_of(histod(docs))["securityContext"].update(runAsUser=0),
        lambda docs: pod_of(histod(docs)).update(initContainers=[{**daemon(docs), "securityContext": {"runAsNonRoot": False}}]),
        lambda docs: daemon(docs)["securityContext"].update(procMount="Unmasked")),
    policies.no_capabilities: (
        lambda docs: daemon(docs)["securityContext"]["capabilities"].update(add=["IPC_LOCK"]),
        lambda docs: zk(docs)["securityContext"].pop("capabilities")),
    policies.read_only_root: (lambda docs: daemon(docs)["securityContext"].update(readOnlyRootFilesystem=False),),
    policies.host_access: (
        lambda docs: pod_of(histod(docs)).update(hostPID=True),
        lambda docs: pod_of(find(docs, "StatefulSet", "zk")).update(hostNetwork=True),
        lambda docs: pod_of(histod(docs))["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    policies.seccomp: (
        lambda docs: pod_of(histod(docs))["securityContext"].update(seccompProfile={"type": "RuntimeDefault"}),
        lambda docs: pod_of(histod(docs))["securityContext"].pop("seccompProfile"),
        lambda docs: zk(docs)["securityContext"].update(seccompProfile={"type": "Unconfined"})),
    policies.images: (
        lambda docs: daemon(docs).update(image="localhost/histod:latest"),
        lambda docs: daemon(docs).update(image="localhost/histod"),
        lambda docs: daemon(docs).update(image="histod:0.1.0"),
        lambda docs: zk(docs).update(imagePullPolicy="Never")),
    policies.resources: (
        lambda docs: daemon(docs)["resources"]["limits"].update(memory="9Gi"),
        lambda docs: [daemon(docs)["resources"][kind].update(cpu="3500m") for kind in ("requests", "limits")],
        lambda docs: zk(docs).pop("resources")),
    policies.huge_pages: (
        lambda docs: daemon(docs)["resources"]["requests"].update({"hugepages-2Mi": "32Mi"}),
        # 128 MiB do for the worker alone.
        lambda docs: daemon(docs)["env"].extend(DPDK),
        lambda docs: (daemon(docs)["env"].extend(DPDK), daemon(docs)["resources"]["requests"].pop("hugepages-2Mi"))),
    policies.devices: (
        lambda docs: daemon(docs)["resources"]["limits"].update({"example.org/nic": "1"}),
        lambda docs: zk(docs)["resources"]["limits"].update({"example.org/nic": "1"}),
        lambda docs: daemon(docs)["args"].append("--dpdk-pci=0000:3b:02.0"),
        lambda docs: give_device(docs, argument="--dpdk-pci=$(PCIDEVICE_EXAMPLE_ORG_OTHER)"),
        lambda docs: give_device(docs, variables=[]),
        lambda docs: give_device(docs, variables=[*DPDK, {"name": "HISTOD_DPDK_PCI", "value": "$(PCIDEVICE_EXAMPLE_ORG_NIC)"}])),
    policies.probes: (
        lambda docs: daemon(docs).pop("startupProbe"),
        lambda docs: daemon(docs)["readinessProbe"]["httpGet"].update(path="/ready"),
        lambda docs: daemon(docs)["livenessProbe"]["httpGet"].update(port="metrics"),
        lambda docs: daemon(docs)["livenessProbe"]["httpGet"].pop("scheme"),
        lambda docs: zk(docs).pop("livenessProbe")),
    policies.stopping: (
        lambda docs: pod_of(histod(docs)).update(terminationGracePeriodSeconds=60),
        lambda docs: daemon(docs).pop("lifecycle"),
        lambda docs: edit(docs, "histod-config", "histod.toml", '"5min"', '"1h"')),
    policies.update: (
        lambda docs: spec(docs, "DaemonSet", "histod")["updateStrategy"].update(type="OnDelete"),
        lambda docs: pod_of(histod(docs)).pop("nodeSelector"),
        lambda docs: pod_of(histod(docs)).update(priorityClassName="system-node-critical"),
        lambda docs: pod_of(histod(docs))["tolerations"].append({"operator": "Exists"})),
    policies.pods_environment: (
        lambda docs: pod_of(histod(docs)).update(dnsPolicy="ClusterFirst"),
        lambda docs: pod_of(histod(docs)).pop("enableServiceLinks"),
        lambda docs: pod_of(find(docs, "StatefulSet", "zk")).pop("automountServiceAccountToken"),
        lambda docs: pod_of(histod(docs)).update(serviceAccountName="other"),
        lambda docs: docs.append({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "x"}})),
    policies.volumes: (
        lambda docs: pod_of(histod(docs))["volumes"].pop(),
        lambda docs: daemon(docs)["volumeMounts"].append({"name": "other", "mountPath": "/x"}),
        lambda docs: find(docs, "ConfigMap", "histod-config")["metadata"].update(name="histod-config-0"),
        lambda docs: next(each for each in pod_of(find(docs, "StatefulSet", "zk"))["volumes"] if "emptyDir" in each)["emptyDir"].pop("sizeLimit")),
    policies.secrets: (
        lambda docs: docs.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringData": {"a": "b"}}),
        lambda docs: next(each for each in pod_of(histod(docs))["volumes"] if "secret" in each)["secret"].update(defaultMode=0o444),
        lambda docs: daemon(docs)["env"].append({"name": "X", "valueFrom": {"secretKeyRef": {"name": "histod-tokens", "key": "tokens"}}})),
    policies.services: (
        lambda docs: spec(docs, "Service", "master-service")["selector"].update(role="master"),
        lambda docs: spec(docs, "Service", "histod")["ports"][0].update(targetPort="metrics"),
        lambda docs: spec(docs, "Service", "master-service")["ports"][0].update(port=8080),
        lambda docs: spec(docs, "Service", "histod-local").pop("internalTrafficPolicy")),
    policies.selectors: (
        lambda docs: spec(docs, "DaemonSet", "histod")["selector"].update(matchLabels={"app": "histod"}),
        lambda docs: spec(docs, "PodDisruptionBudget", "zookeeper")["selector"].update(matchLabels={"app": "zk"}),
        lambda docs: spec(docs, "PodMonitor", "histod").pop("jobLabel"),
        lambda docs: spec(docs, "PodMonitor", "zookeeper")["podMetricsEndpoints"][0].update(port="http"),
        lambda docs: spec(docs, "PodMonitor", "histod")["podMetricsEndpoints"][0].pop("scheme")),
    policies.ports: (
        lambda docs: daemon(docs).update(args=[each.replace("$(HOST_IP)", "0.0.0.0") for each in daemon(docs)["args"]]),
        lambda docs: daemon(docs)["ports"][0].update(hostPort=80),
        lambda docs: zk(docs)["ports"][0].update(hostPort=8080),
        lambda docs: daemon(docs).update(env=[each for each in daemon(docs)["env"] if each["name"] != "NODE_NAME"])),
    policies.zookeeper_names: (
        lambda docs: spec(docs, "StatefulSet", "zk").update(replicas=5),
        lambda docs: spec(docs, "StatefulSet", "zk").update(serviceName="zookeeper"),
        lambda docs: edit(docs, "zookeeper-config", "zoo.cfg", "server.3", "server.4"),
        lambda docs: edit(docs, "zookeeper-config", "zoo.cfg", "zk-2.zk-hs:2888", "zk-2.zk-hs:2889"),
        lambda docs: edit(docs, "histod-config", "histod.toml", "zk-2.zk-hs:2181", "zk-3.zk-hs:2181"),
        lambda docs: spec(docs, "Service", "zk-hs").pop("publishNotReadyAddresses"),
        lambda docs: zk(docs)["ports"][0].update(containerPort=2182)),
    policies.zookeeper_settings: (
        lambda docs: edit(docs, "zookeeper-config", "zoo.cfg", "enforce.auth.enabled=true", "enforce.auth.enabled=false"),
        lambda docs: edit(docs, "zookeeper-config", "zoo.cfg", "autopurge.purgeInterval=1", "autopurge.purgeInterval=0"),
        lambda docs: edit(docs, "zookeeper-config", "zoo.cfg", "ruok,srvr", "*"),
        lambda docs: edit(docs, "zookeeper-config", "zoo.cfg", "PrometheusMetricsProvider", "DefaultMetricsProvider"),
        lambda docs: edit(docs, "zookeeper-config", "zoo.cfg", "initLimit", "skipACL=yes\ninitLimit")),
    policies.zookeeper_lasts: (
        lambda docs: spec(docs, "StatefulSet", "zk").pop("volumeClaimTemplates"),
        lambda docs: pod_of(find(docs, "StatefulSet", "zk")).pop("affinity"),
        lambda docs: spec(docs, "PodDisruptionBudget", "zookeeper").update(maxUnavailable=2),
        lambda docs: spec(docs, "PersistentVolume", "histod-zookeeper-2").update(persistentVolumeReclaimPolicy="Delete")),
    policies.network_policies: (
        lambda docs: docs.remove(find(docs, "NetworkPolicy", "nothing-by-default")),
        lambda docs: spec(docs, "NetworkPolicy", "zookeeper")["ingress"].pop(0),
        lambda docs: spec(docs, "NetworkPolicy", "zookeeper")["ingress"][0]["from"][0]["ipBlock"].update(cidr="0.0.0.0/0"),
        lambda docs: spec(docs, "NetworkPolicy", "zookeeper")["ingress"][1]["from"].append({"podSelector": {}}),
        lambda docs: spec(docs, "NetworkPolicy", "zookeeper")["ingress"][0]["ports"].append({"protocol": "TCP", "port": 22}),
        lambda docs: docs.remove(find(docs, "NetworkPolicy", "zookeeper-metrics"))),
    policies.host_firewall: (
        lambda docs: firewall(docs)["ingress"].append({"fromEntities": ["world"]}),
        lambda docs: firewall(docs)["ingress"][2].update(fromCIDR=["0.0.0.0/0"]),
        lambda docs: firewall(docs)["ingress"][2]["toPorts"][0]["ports"].append({"port": "2379", "protocol": "TCP"}),
        lambda docs: firewall(docs)["nodeSelector"].update(matchLabels={"a": "b"}),
        lambda docs: spec(docs, "CiliumClusterwideNetworkPolicy", "histod-zookeeper")["endpointSelector"]["matchLabels"].update(a="b")),
    policies.together: (
        lambda docs: docs.append(copy.deepcopy(docs[0])),
        lambda docs: find(docs, "Service", "histod")["metadata"].update(namespace="default"),
        lambda docs: find(docs, "Namespace", "histod")["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce")),
}


class PolicyTest(unittest.TestCase):
    def test_all_that_is_made_of_k8s_keeps_to_them(self):
        for name in rendered():
            for policy in policies.POLICIES:
                with self.subTest(documents=name, policy=policy.__name__):
                    self.assertEqual(list(policy(documents(name))), [])

    def test_each_can_fail(self):
        self.assertEqual(set(WRONG), set(policies.POLICIES))
        for policy, changes in WRONG.items():
            for number, change in enumerate(changes):
                with self.subTest(policy=policy.__name__, change=number):
                    docs = documents("prod")
                    change(docs)
                    self.assertNotEqual(list(policy(docs)), [])


    def test_a_device_of_any_name_is_for_dpdk(self):
        docs = documents("prod")
        give_device(docs)
        self.assertEqual(list(policies.devices(docs)), [])


class SourceTest(unittest.TestCase):
    def files(self):
        return sorted(path for path in K8S.rglob("*") if path.is_file())

    def test_no_secret_is_in_the_sources(self):
        self.assertGreater(len(self.files()), 20)
        for path in self.files():
            for line in path.read_text(encoding="utf-8").splitlines():
                self.assertIsNone(re.match(r"(?:kind: Secret|stringData:|secretGenerator:)\s*$", line), path)
                self.assertNotIn("PRIVATE KEY", line, path)

    def test_the_rules_are_those_of_the_alerts(self):
        script = K8S / "components/monitoring/make-rules"
        done = subprocess.run([script, "--check"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_rules_that_are_not_those_of_the_alerts_are_found(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for name in ("make-rules", "rules.yaml"):
            target = folder / "k8s/components/monitoring" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((K8S / "components/monitoring" / name).read_bytes())
        alerts = folder / "deploy/observability/alerts.yml"
        alerts.parent.mkdir(parents=True)
        alerts.write_text((SOURCE / "deploy/observability/alerts.yml").read_text().replace("for: 1m", "for: 2m"))
        done = subprocess.run(["python3", folder / "k8s/components/monitoring/make-rules", "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not made of", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
