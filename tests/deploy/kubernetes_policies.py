# SPDX-License-Identifier: Apache-2.0
"""What must be so in every overlay: functions from documents to complaints, none when all is well. POLICIES has them all.
kubernetes_policy_test.py shows of each that it can fail."""
import re
import tomllib

from kubernetes_documents import (containers_of, device_variables, find, histod, histod_toml, labels_of, of_kind, pod_of, ports_of, selects,
                                  title, variables_of, workloads, zoo_cfg)

PROFILE = {"type": "Localhost", "localhostProfile": "profiles/histod.json"}
SPOOL = "/var/lib/histod"
WORKER_HUGE_BYTES = 64 << 20  # ARCHITECTURE.md, Memory: what each worker keeps
# What the daemon takes beyond its own drain-timeout: to cut what is left, and to say goodbye to ZooKeeper.
ABORT_S, FLEET_S = 5, 5
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def quantity(text):
    """Bytes or CPUs."""
    text = str(text)
    if text.endswith("m"):
        return int(text[:-1]) / 1000
    return int(text[:-2]) * UNITS[text[-2:]] if text[-2:] in UNITS else int(text)


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|min|h|d)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}[unit]


def each_container(docs):
    for workload in workloads(docs):
        for container in containers_of(workload):
            yield workload, container, f"{title(workload)}, container {container['name']}"


def security_of(workload, container):
    return {**pod_of(workload).get("securityContext", {}), **container.get("securityContext", {})}


def no_privilege(docs):
    for workload, container, where in each_container(docs):
        own = security_of(workload, container)
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            yield f"{where}: it may gain privileges"
        if own.get("runAsNonRoot") is not True or not own.get("runAsUser"):
            yield f"{where}: it may run as root"
        if own.get("procMount", "Default") != "Default":
            yield f"{where}: procMount"


def no_capabilities(docs):
    for _, container, where in each_container(docs):
        if container.get("securityContext", {}).get("capabilities") != {"drop": ["ALL"]}:
            yield f"{where}: capabilities are not drop: [ALL] and nothing else"


def read_only_root(docs):
    for _, container, where in each_container(docs):
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{where}: its root can be written"


def host_access(docs):
    """Only the daemon has the host's network, and one folder of it."""
    for workload in workloads(docs):
        pod, ours = pod_of(workload), workload["metadata"]["name"] == "histod"
        if pod.get("hostPID") or pod.get("hostIPC") or bool(pod.get("hostNetwork")) != ours:
            yield f"{title(workload)}: namespaces of the host"
        paths = [volume["hostPath"]["path"] for volume in pod.get("volumes", []) if "hostPath" in volume]
        if paths and (not ours or paths != [SPOOL]):
            yield f"{title(workload)}: folders of the host: {paths}"


def seccomp(docs):
    for workload, container, where in each_container(docs):
        profile = security_of(workload, container).get("seccompProfile")
        wanted = PROFILE if container["name"] == "histod" else {"type": "RuntimeDefault"}
        if profile != wanted:
            yield f"{where}: its seccomp profile is {profile}"


def images(docs):
    for _, container, where in each_container(docs):
        match = re.fullmatch(r"([a-z0-9.-]+(?::\d+)?)/[a-z0-9/._-]+(?::([\w.-]+))?(?:@(sha256:[0-9a-f]{64}))?", container["image"])
        if not match or not (match[2] or match[3]) or (match[2] == "latest" and not match[3]):
            yield f"{where}: {container['image']} is not a registry, a name, and a tag or digest that stay what they are"
        if container.get("imagePullPolicy") != "IfNotPresent":
            yield f"{where}: imagePullPolicy is {container.get('imagePullPolicy')}"


def resources(docs):
    for workload, container, where in each_container(docs):
        asked = container.get("resources", {}).get("requests", {})
        if not {"cpu", "memory"} <= asked.keys() or asked != container["resources"].get("limits"):
            yield f"{where}: requests and limits of CPU and memory are not there, or not equal: the pod is not Guaranteed"
        elif workload["metadata"]["name"] == "histod" and (quantity(asked["cpu"]) < 1 or quantity(asked["cpu"]) % 1):
            yield f"{where}: {asked['cpu']} CPUs are not whole ones: the pod gets none of its own"


def huge_pages(docs):
    asked, variables = pod_of(histod(docs))["containers"][0]["resources"]["requests"], variables_of(docs)
    packets = quantity(variables["HISTOD_DPDK_MEMORY"].removesuffix("B")) if variables.get("HISTOD_DPDK") == "true" else 0
    if "hugepages-2Mi" not in asked:
        if packets:
            yield "DPDK has no huge pages"
        return
    size, workers = quantity(asked["hugepages-2Mi"]), max(1, min(4, int(quantity(asked["cpu"])) // 4))
    if size % (2 << 20) or size < workers * WORKER_HUGE_BYTES + packets:
        yield f"{asked['hugepages-2Mi']} of huge pages are not enough for {workers} workers and {packets} bytes of packets, or not whole pages"


def devices(docs):
    """What a device plugin hands out goes to DPDK, and to nobody else."""
    for workload, container, where in each_container(docs):
        listed = [arg.split("=", 1)[1] for arg in container.get("args", []) if arg.startswith("--dpdk-pci=")]
        handed_out = [f"$({name})" for name in device_variables(container)]
        if listed != handed_out or (handed_out and workload["metadata"]["name"] != "histod"):
            yield f"{where}: it is given {handed_out}, and DPDK may drive {listed}"
        # The daemon's own variable would be filled in before the kubelet knows what is handed out.
        if any("PCIDEVICE_" in str(each.get("value")) for each in container.get("env", [])):
            yield f"{where}: variables of device plugins are not filled in here"
        if bool(handed_out) != any(each["name"] == "HISTOD_DPDK" and each["value"] == "true" for each in container.get("env", [])):
            yield f"{where}: devices {handed_out}, but DPDK is " + ("off" if handed_out else "on")


def probes(docs):
    for workload in workloads(docs):
        for container in pod_of(workload)["containers"]:
            missing = {"startupProbe", "livenessProbe", "readinessProbe"} - container.keys()
            if missing:
                yield f"{title(workload)}: {container['name']} has no {', '.join(sorted(missing))}"
    container = pod_of(histod(docs))["containers"][0]
    secure = "HISTOD_TLS_CERT" in variables_of(docs)
    for kind, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asked = container.get(kind, {}).get("httpGet", {})
        if asked.get("path") != path or asked.get("port") not in ports_of(histod(docs)):
            yield f"{kind} of histod asks {asked}"
        if asked.get("scheme", "HTTP") != ("HTTPS" if secure else "HTTP"):
            yield f"{kind} of histod asks by {asked.get('scheme', 'HTTP')}"


def stopping(docs):
    """The daemon is not killed while it still finishes what it has."""
    toml, pod = tomllib.loads(histod_toml(docs)), pod_of(histod(docs))
    before = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if before < 1:
        yield "preStop does not wait until the services know"
    takes = before + seconds(toml["drain-timeout"]) + ABORT_S + seconds(toml["job-wall-time"]) + FLEET_S
    if pod.get("terminationGracePeriodSeconds", 30) <= takes:
        yield f"terminationGracePeriodSeconds is {pod.get('terminationGracePeriodSeconds')}, but a stop may take {takes} s"


def update(docs):
    """One node at a time, on nodes that are labelled, before other pods."""
    spec, pod = histod(docs)["spec"], pod_of(histod(docs))
    strategy = spec.get("updateStrategy", {})
    if strategy.get("type") != "RollingUpdate" or strategy.get("rollingUpdate") != {"maxUnavailable": 1, "maxSurge": 0}:
        yield f"updateStrategy: {strategy}"
    if pod.get("nodeSelector") != {"histod.io/engine": "true"}:
        yield f"nodeSelector: {pod.get('nodeSelector')}"
    for workload in workloads(docs):
        name = pod_of(workload).get("priorityClassName")
        if name not in [each["metadata"]["name"] for each in of_kind(docs, "PriorityClass")]:
            yield f"{title(workload)}: there is no priority class {name}"
        if any(not each.get("key") for each in pod_of(workload).get("tolerations", [])):
            yield f"{title(workload)}: it tolerates everything"


def pods_environment(docs):
    pod = pod_of(histod(docs))
    if pod.get("dnsPolicy") != "ClusterFirstWithHostNet":
        yield f"dnsPolicy: {pod.get('dnsPolicy')}: ZooKeeper's names cannot be resolved"
    for workload in workloads(docs):
        if pod_of(workload).get("enableServiceLinks") is not False:
            yield f"{title(workload)}: services set variables"
        if pod_of(workload).get("automountServiceAccountToken") is not False:
            yield f"{title(workload)}: it is given a token of the Kubernetes API, which it does not need"
    account = pod.get("serviceAccountName")
    if account not in [each["metadata"]["name"] for each in of_kind(docs, "ServiceAccount")]:
        yield f"there is no service account {account}"
    if rights := of_kind(docs, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"):
        yield f"rights that nobody needs: {[title(each) for each in rights]}"


def volumes(docs):
    """What is mounted is there, and what is there is mounted."""
    for workload in workloads(docs):
        pod = pod_of(workload)
        claims = [each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])]
        names = [each["name"] for each in pod.get("volumes", [])] + claims
        mounted = {mount["name"] for container in containers_of(workload) for mount in container["volumeMounts"]}
        if set(names) != mounted or len(names) != len(set(names)):
            yield f"{title(workload)}: volumes {sorted(names)}, mounted {sorted(mounted)}"
        for volume in pod.get("volumes", []):
            for key, kind, name in (("configMap", "ConfigMap", "name"), ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName")):
                if key in volume and volume[key][name] not in [each["metadata"]["name"] for each in of_kind(docs, kind)]:
                    yield f"{title(workload)}: there is no {kind} {volume[key][name]}"
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{title(workload)}: volume {volume['name']} has no limit"


def secrets(docs):
    """They are named, never told, and readable for nobody else."""
    for document in of_kind(docs, "Secret"):
        yield f"{title(document)} must not be among the documents"
    for workload in workloads(docs):
        for volume in pod_of(workload).get("volumes", []):
            if "secret" in volume and volume["secret"].get("defaultMode") != 0o400:
                yield f"{title(workload)}: volume {volume['name']} is not of mode 0400"
        for container in containers_of(workload):
            for each in container.get("env", []):
                if "secretKeyRef" in each.get("valueFrom", {}) or re.search(r"(?i)password|secret|token$", each["name"]):
                    yield f"{title(workload)}: {each['name']} would be a secret in a variable"


def services(docs):
    for service in of_kind(docs, "Service"):
        chosen = [each for each in workloads(docs) if selects(service["spec"].get("selector"), each)]
        if len(chosen) != 1:
            yield f"{title(service)} selects {[title(each) for each in chosen]}"
            continue
        for port in service["spec"]["ports"]:
            if port.get("targetPort") not in ports_of(chosen[0]):
                yield f"{title(service)}: {title(chosen[0])} has no port {port.get('targetPort')}"
    page = find(docs, "Service", "master-service")["spec"]
    if page["selector"] != {"app.kubernetes.io/name": "histod"} or [port["port"] for port in page["ports"]] != [80]:
        yield "kubectl port-forward svc/master-service 8080:80 does not reach the page"
    if find(docs, "Service", "histod-local")["spec"].get("internalTrafficPolicy") != "Local":
        yield "histod-local may leave the node"


def selectors(docs):
    for workload in workloads(docs):
        if not selects(workload["spec"]["selector"].get("matchLabels"), workload):
            yield f"{title(workload)} does not select its own pods"
    for each in of_kind(docs, "PodDisruptionBudget", "PodMonitor"):
        if not any(selects(each["spec"]["selector"].get("matchLabels"), workload) for workload in workloads(docs)):
            yield f"{title(each)} selects nothing"
    for monitor in of_kind(docs, "PodMonitor"):
        for workload in workloads(docs):
            if not selects(monitor["spec"]["selector"]["matchLabels"], workload):
                continue
            if labels_of(workload).get(monitor["spec"].get("jobLabel")) != workload_job(workload):
                yield f"{title(monitor)}: the job would not be named {workload_job(workload)}, as the rules expect"
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                if endpoint["port"] not in ports_of(workload):
                    yield f"{title(monitor)}: no port {endpoint['port']}"
    for monitor in of_kind(docs, "PodMonitor"):
        secure = monitor["metadata"]["name"] == "histod" and "HISTOD_TLS_CERT" in variables_of(docs)
        if monitor["spec"]["podMetricsEndpoints"][0].get("scheme", "http") != ("https" if secure else "http"):
            yield f"{title(monitor)} does not ask as the daemon serves"


def workload_job(workload):
    return {"histod": "histod", "zk": "zookeeper"}[workload["metadata"]["name"]]


def ports(docs):
    """What the daemon listens on is what is told of it; addresses are the node's and the loopback's, not all of them."""
    container = pod_of(histod(docs))["containers"][0]
    listens = [arg.split("=", 1)[1] for arg in container["args"] if arg.startswith("--listen=")]
    told = container["ports"]
    if listens != ["$(HOST_IP):8080", "127.0.0.1:8080"]:
        yield f"it listens at {listens}"
    if [(port["containerPort"], port.get("hostPort")) for port in told] != [(8080, 8080)]:
        yield f"it tells of {told}"
    taken = [port["hostPort"] for workload in workloads(docs) for each in containers_of(workload) for port in each.get("ports", [])
             if "hostPort" in port]
    if len(taken) != len(set(taken)):
        yield f"two share a port of the host: {taken}"
    for workload in workloads(docs):
        for each in pod_of(workload)["containers"]:
            for arg in each.get("args", []):
                for name in re.findall(r"\$\((\w+)\)", arg):
                    if name not in [*device_variables(each), *(variable["name"] for variable in each.get("env", []))]:
                        yield f"{title(workload)}: {arg} names no variable"


def zookeeper_names(docs):
    """Daemons and servers agree on who the servers are."""
    zk, service, cfg = find(docs, "StatefulSet", "zk"), find(docs, "Service", "zk-hs"), zoo_cfg(docs)
    names = [f"zk-{index}.{zk['spec']['serviceName']}" for index in range(zk["spec"]["replicas"])]
    if tomllib.loads(histod_toml(docs))["zookeeper"] != ",".join(f"{name}:{cfg['clientPort']}" for name in names):
        yield "histod.toml does not name the servers"
    # Each server takes its number from its pod's name.
    lines = {f"server.{number}": f"{name}:2888:3888" for number, name in enumerate(names, 1)} if len(names) > 1 else {}
    if {key: value for key, value in cfg.items() if key.startswith("server.")} != lines:
        yield "zoo.cfg does not name the servers"
    if len(names) % 2 == 0:
        yield f"{len(names)} servers: an even number bears no more losses than one less"
    have = ports_of(zk)
    if [have.get("client"), have.get("metrics")] != [int(cfg["clientPort"]), int(cfg["metricsProvider.httpPort"])]:
        yield f"ports of zk: {have}"
    if service["spec"].get("clusterIP") != "None" or service["metadata"]["name"] != zk["spec"]["serviceName"] or \
            service["spec"].get("publishNotReadyAddresses") is not True:
        yield "the servers have no names before they are ready"


def zookeeper_settings(docs):
    cfg = zoo_cfg(docs)
    for key, value in (("enforce.auth.enabled", "true"), ("enforce.auth.schemes", "digest"), ("admin.enableServer", "false"),
                       ("4lw.commands.whitelist", "ruok,srvr"), ("reconfigEnabled", "false")):
        if cfg.get(key) != value:
            yield f"zoo.cfg: {key} is {cfg.get(key)}"
    if int(cfg.get("autopurge.purgeInterval", 0)) < 1 or int(cfg.get("autopurge.snapRetainCount", 0)) < 3:
        yield "zoo.cfg: nothing is purged"
    if "PrometheusMetricsProvider" not in cfg.get("metricsProvider.className", ""):
        yield "zoo.cfg: no metrics"
    if any("superDigest" in key or "skipACL" in key for key in cfg):
        yield "zoo.cfg: somebody is above the ACLs"


def zookeeper_lasts(docs):
    """A disk for each server, servers on different machines, and never two away at will."""
    zk = find(docs, "StatefulSet", "zk")
    claims = {each["metadata"]["name"]: each["spec"] for each in zk["spec"].get("volumeClaimTemplates", [])}
    mounts = {each["name"]: each["mountPath"] for each in pod_of(zk)["containers"][0]["volumeMounts"]}
    if claims.get("data", {}).get("accessModes") != ["ReadWriteOnce"] or mounts.get("data") != zoo_cfg(docs)["dataDir"]:
        yield "its data are on no volume of their own"
    terms = pod_of(zk).get("affinity", {}).get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
    if not any(term["topologyKey"] == "kubernetes.io/hostname" and selects(term["labelSelector"]["matchLabels"], zk) for term in terms):
        yield "two servers may be on one machine"
    budgets = [each for each in of_kind(docs, "PodDisruptionBudget") if selects(each["spec"]["selector"]["matchLabels"], zk)]
    if [each["spec"].get("maxUnavailable") for each in budgets] != [1]:
        yield "a drain may take more than one server"
    for volume in of_kind(docs, "PersistentVolume"):
        if volume["spec"]["persistentVolumeReclaimPolicy"] != "Retain" or "nodeAffinity" not in volume["spec"]:
            yield f"{title(volume)} does not stay where it is"


def network_policies(docs):
    policies, zk = of_kind(docs, "NetworkPolicy"), find(docs, "StatefulSet", "zk")
    if not any(each["spec"]["podSelector"] == {} and set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"} and
               not each["spec"].get("ingress") and not each["spec"].get("egress") for each in policies):
        yield "what is not allowed is not denied"
    rules = [rule for each in policies if selects(each["spec"]["podSelector"].get("matchLabels"), zk) for rule in each["spec"].get("ingress", [])]
    sources = {}
    for rule in rules:
        for port in rule.get("ports", [{"port": "all"}]):
            sources.setdefault(port["port"], []).extend(rule.get("from", [{}]))
    have = ports_of(zk)
    wanted = {have["client"], have["peer"], have["election"]} | ({have["metrics"]} if of_kind(docs, "PodMonitor") else set())
    if set(sources) != wanted:
        yield f"ports that are open: {sorted(map(str, sources))}, those needed: {sorted(wanted)}"
    blocks = [each.get("ipBlock", {}).get("cidr", "everybody") for each in sources.get(have["client"], [])]
    if not all(re.fullmatch(r"[\d.]+/(?:8|1\d|2\d)", block) for block in blocks):
        yield f"clients of ZooKeeper come from {blocks}, not from the nodes"
    for name in ("peer", "election"):
        if not all(selects(each.get("podSelector", {}).get("matchLabels"), zk) for each in sources.get(have[name], [{}])):
            yield f"not only the servers reach port {have[name]}"


def host_firewall(docs):
    for policy in of_kind(docs, "CiliumClusterwideNetworkPolicy"):
        spec = policy["spec"]
        opened = {port["port"] for rule in spec["ingress"] for each in rule.get("toPorts", []) for port in each["ports"]}
        if "nodeSelector" in spec:
            wanted, right = {"22", "6443", "8080"}, spec["nodeSelector"]["matchLabels"] == pod_of(histod(docs))["nodeSelector"]
        else:
            zk = find(docs, "StatefulSet", "zk")
            chosen = {key.removeprefix("k8s:"): value for key, value in spec["endpointSelector"]["matchLabels"].items()}
            right = chosen.pop("io.kubernetes.pod.namespace", None) == zk["metadata"]["namespace"] and selects(chosen, zk)
            wanted = {str(ports_of(zk)["client"])}
        if opened != wanted or not right:
            yield f"{title(policy)}: ports {sorted(opened)}, or other machines or pods than ours"
        if any(rule.get("fromEntities") in (["world"], ["all"]) or "0.0.0.0/0" in rule.get("fromCIDR", []) for rule in spec["ingress"]):
            yield f"{title(policy)} lets everybody in"


def together(docs):
    """All of it is in one namespace, which is made here; nothing is there twice."""
    names = [(each["apiVersion"], each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in docs]
    if len(names) != len(set(names)):
        yield "a document is there twice"
    cluster_wide = ("Namespace", "PriorityClass", "StorageClass", "PersistentVolume", "CiliumClusterwideNetworkPolicy")
    for each in docs:
        if (each["metadata"].get("namespace") != "histod") != (each["kind"] in cluster_wide):
            yield f"{title(each)} is in namespace {each['metadata'].get('namespace')}"
    for each in of_kind(docs, "Namespace"):
        if each["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "privileged":
            yield "Pod Security would refuse the daemon's pods: they use the host's network"


POLICIES = (no_privilege, no_capabilities, read_only_root, host_access, seccomp, images, resources, huge_pages, devices, probes, stopping, update,
            pods_environment, volumes, secrets, services, selectors, ports, zookeeper_names, zookeeper_settings, zookeeper_lasts,
            network_policies, host_firewall, together)
