#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/gitops: resources by the operators' schemas and by what k8s/ has; Argo CD's notification and Flux's body, posted to the real daemon; the README's
commands with a stand-in for the cluster; `release` with a real git repository, a real registry and skopeo. HISTOD names the program."""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

from go_template import render
from kubernetes_daemon_test import make_secrets
from kubernetes_documents import SOURCE, deployed, documents, find, of_kind, schema_complaints, title
from registry import Registry, missing

sys.path.insert(0, str(SOURCE / "tests/e2e"))
import harness  # noqa: E402

FOLDER = SOURCE / "deploy/gitops"
OVERLAY = "k8s/overlays/prod/kustomization.yaml"
VERSION = re.search(r"project\(histod VERSION ([\d.]+)", (SOURCE / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
REVISION = "0123456789abcdef0123456789abcdef01234567"
SYNCED = {"metadata": {"name": "histod", "uid": "7c1e"}, "status": {
    "health": {"status": "Healthy"}, "sync": {"status": "Synced", "revision": REVISION},
    "operationState": {"phase": "Succeeded", "startedAt": "2026-11-21T10:00:00Z", "finishedAt": "2026-11-21T10:01:00Z",
                       "message": 'successfully synced ("all" tasks run)', "syncResult": {"revision": REVISION}}}}


def argocd():
    return deployed("deploy/gitops/argocd")


def flux():
    return deployed("deploy/gitops/flux")


def group(document):
    return document["apiVersion"].rpartition("/")[0]


class ResourcesTest(unittest.TestCase):
    def test_they_are_by_their_schemas(self):
        docs = [each for each in argocd() + flux() if each["kind"] != "ConfigMap"]
        self.assertEqual(sorted(each["kind"] for each in docs), ["Alert", "AppProject", "Application", "GitRepository", "Kustomization", "Provider"])
        for each in docs:
            self.assertEqual(schema_complaints(self, each), [], title(each))

    def test_what_is_wrong_is_found(self):
        for kind, change in (("Application", lambda spec: spec["syncPolicy"]["automated"].update(selfheal=True)),
                             ("AppProject", lambda spec: spec["clusterResourceWhitelist"][0].pop("kind")),
                             ("Kustomization", lambda spec: spec.update(interval="often")), ("GitRepository", lambda spec: spec.update(url="git@x:y")),
                             ("Provider", lambda spec: spec.update(type="webhook")), ("Alert", lambda spec: spec.update(eventSeverity="debug"))):
            [wrong] = of_kind(argocd() + flux(), kind)
            change(wrong["spec"])
            self.assertNotEqual(schema_complaints(self, wrong), [], kind)

    def test_the_branch_is_followed(self):
        app, source, flow = (find(argocd() + flux(), kind, "histod")["spec"] for kind in ("Application", "GitRepository", "Kustomization"))
        self.assertEqual((app["source"]["targetRevision"], source["ref"]), ("main", {"branch": "main"}))
        self.assertEqual(app["source"]["repoURL"], source["url"])
        self.assertEqual([app["source"]["path"], flow["path"].removeprefix("./")], ["k8s/overlays/prod"] * 2)
        self.assertTrue((SOURCE / app["source"]["path"] / "kustomization.yaml").exists())
        self.assertEqual(flow["sourceRef"], {"kind": "GitRepository", "name": "histod"})
        self.assertEqual(app["syncPolicy"]["automated"], {"enabled": True, "prune": True, "selfHeal": True, "allowEmpty": False})
        self.assertIn("ServerSideApply=true", app["syncPolicy"]["syncOptions"])
        self.assertEqual((flow["prune"], flow["wait"], app["syncPolicy"]["retry"]["backoff"]["factor"]), (True, True, 2))

    def test_the_project_allows_what_there_is_and_no_more(self):
        project, prod = find(argocd(), "AppProject", "histod")["spec"], documents("prod")
        have = {where: {(group(each), each["kind"]) for each in prod if ("namespace" in each["metadata"]) == (where == "namespaced")}
                for where in ("namespaced", "cluster")}
        allowed = {where: {(each["group"], each["kind"]) for each in project[f"{name}ResourceWhitelist"]}
                   for where, name in (("namespaced", "namespace"), ("cluster", "cluster"))}
        self.assertEqual(allowed, have)
        self.assertEqual({each["metadata"]["namespace"] for each in prod if "namespace" in each["metadata"]}, {"histod"})
        app = find(argocd(), "Application", "histod")["spec"]
        self.assertEqual(project["destinations"], [app["destination"]])
        self.assertEqual((project["sourceRepos"], app["project"]), ([app["source"]["repoURL"]], "histod"))

    def test_waves_come_in_their_order(self):
        def wave(kind, name):
            return int(find(documents("prod"), kind, name)["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0"))

        order = [("Namespace", "histod"), ("ConfigMap", "histod-config"), ("StatefulSet", "zk"), ("DaemonSet", "histod"), ("PodMonitor", "histod")]
        waves = [wave(*each) for each in order]
        self.assertEqual(waves, sorted(set(waves)))
        self.assertEqual([wave("PriorityClass", "histod-critical"), wave("ServiceAccount", "histod"), wave("ConfigMap", "zookeeper-config")], [-2, -2, -1])
        for each in of_kind(documents("prod"), "PrometheusRule", "PodMonitor") + [find(documents("prod"), "ConfigMap", "histod-dashboard")]:
            self.assertEqual(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"], "2", title(each))

    def test_what_must_stay_is_pruned_by_neither(self):
        for each in of_kind(documents("prod"), "Namespace", "PersistentVolume"):
            told = each["metadata"]["annotations"]
            self.assertEqual((told["argocd.argoproj.io/sync-options"], told["kustomize.toolkit.fluxcd.io/prune"]), ("Prune=false", "disabled"), title(each))


class NotificationsTest(unittest.TestCase):
    def setUp(self):
        self.told = {key: yaml.safe_load(text) for key, text in find(argocd(), "ConfigMap", "argocd-notifications-cm")["data"].items()}
        self.service = self.told["service.webhook.histod"]
        self.webhook = self.told["template.histod-event"]["webhook"]["histod"]

    def test_who_subscribes_to_what(self):
        annotations = find(argocd(), "Application", "histod")["metadata"]["annotations"]
        asked = {re.fullmatch(r"notifications\.argoproj\.io/subscribe\.([\w-]+)\.histod", key)[1] for key in annotations}
        self.assertEqual(asked, {key.partition(".")[2] for key in self.told if key.startswith("trigger.")})
        for key, rules in self.told.items():
            if key.startswith("trigger."):
                self.assertEqual([rule["send"] for rule in rules], [["histod-event"]])

    def test_the_token_is_a_secrets(self):
        headers = {each["name"]: each["value"] for each in self.service["headers"]}
        self.assertEqual(headers["Authorization"], "Bearer $histod-events-token")
        provider, alert = (find(flux(), kind, "histod")["spec"] for kind in ("Provider", "Alert"))
        self.assertEqual((provider["type"], provider["secretRef"], alert["providerRef"]), ("generic", {"name": "histod-events"}, {"name": "histod"}))
        watched = {(each["kind"], each["name"]) for each in alert["eventSources"]}
        self.assertEqual(watched, {(each["kind"], each["metadata"]["name"]) for each in of_kind(flux(), "GitRepository", "Kustomization")})

    def test_the_address_is_the_services(self):
        service = find(documents("prod"), "Service", "histod")
        address = f"https://{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{service['spec']['ports'][0]['port']}"
        self.assertEqual(self.service["url"], address)
        self.assertEqual(find(flux(), "Provider", "histod")["spec"]["address"], f"{address}/v1/events?tool=flux")

    def test_the_certificate_has_its_name(self):
        secrets = make_secrets(pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())))["histod-tls"]
        for name, status in (("histod.histod.svc", 0), ("other.histod.svc", 2)):
            done = subprocess.run(["openssl", "verify", "-verify_hostname", name, "-CAfile", secrets["ca.crt"], secrets["tls.crt"]],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, status, done.stderr)

    def requests(self, app):
        """Path and body as Argo CD renders them."""
        return (render(self.webhook["path"], {"app": app}).strip(), render(self.webhook["body"], {"app": app}))

    def post(self, daemon, path, body):
        status, _, answer = daemon.request("POST", path, body=body, role="events", headers={"Content-Type": "application/json"})
        self.assertEqual(status, 202, answer)
        return json.loads(answer)

    def events(self, daemon, tool):
        told = json.loads(daemon.request("GET", f"/v1/events?type=io.histod.rollout.{tool}")[2])["events"]
        return [(each["type"].removeprefix(f"io.histod.rollout.{tool}."), each["severity"], each["data"]["status"], each["data"]["resource"],
                 each.get("rolloutid", "")) for each in told], told

    def daemon(self):
        daemon = harness.Daemon()
        self.addCleanup(daemon.close)
        daemon.write_tokens({**daemon.tokens, "events": "token-of-argocd-and-flux"})
        return daemon.start()

    def changed(self, **status):
        return {"metadata": SYNCED["metadata"], "status": {**SYNCED["status"], **status}}

    def test_what_argocd_posts_becomes_events(self):
        daemon = self.daemon()
        running = {"phase": "Running", "startedAt": "2026-11-21T10:00:00Z", "message": "waiting for healthy state of apps/DaemonSet/histod"}
        failed = {**SYNCED["status"]["operationState"], "phase": "Failed", "message": "one or more objects failed to apply"}
        for app in (self.changed(operationState=running, health={"status": "Progressing"}), SYNCED, self.changed(operationState=failed),
                    self.changed(health={"status": "Degraded"}), self.changed(sync={"status": "Unknown"})):
            path, body = self.requests(app)
            self.assertEqual(self.post(daemon, path, body), {"accepted": 1, "duplicates": 0})
        # A retry is the same event.
        self.assertEqual(self.post(daemon, *self.requests(SYNCED)), {"accepted": 0, "duplicates": 1})
        rollout = f"argocd-{REVISION[:12]}"
        short, told = self.events(daemon, "argocd")
        self.assertEqual(short, [("sync_running", "info", "started", "histod", rollout), ("deployed", "ok", "succeeded", "histod", rollout),
                                 ("sync_failed", "error", "failed", "histod", rollout), ("health_degraded", "error", "failed", "histod", rollout),
                                 ("sync_status_unknown", "warning", "progress", "histod", "argocd-")])
        self.assertEqual((told[1]["time"], told[1]["data"]["layer"]), ("2026-11-21T10:01:00Z", "gitops"))
        self.assertIn('successfully synced ("all" tasks run)', told[1]["data"]["message"])
        self.assertEqual(daemon.request("POST", self.requests(SYNCED)[0], body=self.requests(SYNCED)[1], role="read")[0], 403)

    def test_an_application_without_a_sync_is_told_of_too(self):
        path, body = self.requests({"metadata": {"name": "histod"}, "status": {"health": {"status": "Degraded"}, "sync": {"status": "OutOfSync"}}})
        self.assertEqual(json.loads(body), {"app": "histod", "revision": "", "phase": "", "health": "Degraded", "sync": "OutOfSync",
                                            "message": "", "time": ""})
        self.assertEqual(self.post(self.daemon(), path, body), {"accepted": 1, "duplicates": 0})

    def test_what_flux_posts_becomes_events(self):
        daemon = self.daemon()
        target = find(flux(), "Provider", "histod")["spec"]["address"].partition(":8080")[2]

        def body(kind, reason, severity, message):
            return json.dumps({"involvedObject": {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": kind, "name": "histod", "namespace": "flux-system",
                                                  "uid": "7c1e"}, "metadata": {"kustomize.toolkit.fluxcd.io/revision": f"main@sha1:{REVISION}"},
                               "severity": severity, "reason": reason, "message": message, "reportingController": "kustomize-controller",
                               "reportingInstance": "kustomize-controller-0", "timestamp": "2026-11-21T10:00:00Z"})

        for words in (("GitRepository", "NewArtifact", "info", "stored artifact for commit 'prod runs histod 0.1.0'"),
                      ("Kustomization", "Progressing", "info", "DaemonSet/histod/histod configured"),
                      ("Kustomization", "ReconciliationSucceeded", "info", "Reconciliation finished in 1.2s, next run in 5m0s"),
                      ("Kustomization", "ReconciliationFailed", "error", "DaemonSet/histod/histod dry-run failed")):
            self.assertEqual(self.post(daemon, target, body(*words)), {"accepted": 1, "duplicates": 0})
        self.assertEqual(self.post(daemon, target, body(*words)), {"accepted": 0, "duplicates": 1})
        short, told = self.events(daemon, "flux")
        self.assertEqual([each[1:4] for each in short], [("info", "changed", "GitRepository/flux-system/histod"), ("info", "progress", "Kustomization/flux-system/histod"),
                                                        ("ok", "succeeded", "Kustomization/flux-system/histod"), ("error", "failed", "Kustomization/flux-system/histod")])
        self.assertIn(REVISION, told[0]["data"]["message"])
        self.assertEqual(told[3]["data"]["error"], "DaemonSet/histod/histod dry-run failed")


class SecretsTest(unittest.TestCase):
    """The README's commands. `create --dry-run=client` is the real kubectl's; the cluster is files."""
    KUBECTL = """#!/bin/sh
case "$*" in
  *" get secret histod-tls "*) base64 -w0 "$CLUSTER/ca.crt" ;;
  *" get secret histod-tokens "*) base64 -w0 "$CLUSTER/tokens" ;;
  *--dry-run=client*) printf '%s\\n' "$*" >> "$CLUSTER/arguments"; exec "$REAL_KUBECTL" "$@" ;;
  apply*|replace*) { echo ---; cat; } >> "$CLUSTER/applied" ;;
  *) echo "what is $*" >&2; exit 1 ;;
esac
"""

    def test_they_make_what_the_resources_name(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "kubectl").write_text(self.KUBECTL)
        (folder / "kubectl").chmod(0o755)
        (folder / "ca.crt").write_text("the authority\n")
        (folder / "tokens").write_text("admin planted-token operator\n")
        blocks = re.findall(r"```sh\n(.*?)```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.S)
        subprocess.run(["sh", "-eu", "-c", "\n".join(blocks)], check=True, capture_output=True, text=True,
                       env={"PATH": f"{folder}:{os.environ['PATH']}", "CLUSTER": str(folder), "REAL_KUBECTL": shutil.which("kubectl"), "TMPDIR": str(folder)})
        made = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in yaml.safe_load_all((folder / "applied").read_text()) if each}

        def secret(namespace, name, key):
            return base64.b64decode(made[namespace, name]["data"][key]).decode()

        tokens = secret("histod", "histod-tokens", "tokens").splitlines()
        self.assertEqual(tokens[0], "admin planted-token operator")
        role, token, _ = tokens[1].split()
        self.assertEqual((role, len(token)), ("events", 64))
        self.assertEqual(secret("argocd", "argocd-notifications-secret", "histod-events-token"), token)
        self.assertEqual(secret("flux-system", "histod-events", "headers"), f"Authorization: Bearer {token}\n")
        self.assertEqual(secret("flux-system", "histod-ca", "ca.crt"), "the authority\n")
        self.assertEqual(made["argocd", "argocd-tls-certs-cm"]["data"], {"histod.histod.svc": "the authority\n"})
        self.assertNotIn(token, (folder / "arguments").read_text())

    def test_no_secret_is_here(self):
        self.assertEqual(of_kind(argocd() + flux(), "Secret"), [])


class ReleaseTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.registry = None
        if missing():
            return
        cls.registry = Registry(cls.base)
        cls.addClassCleanup(cls.registry.close)
        cls.environment = {**cls.registry.environment(), **{f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
                           "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def setUp(self):
        if self.registry is None:
            reason = f"{', '.join(missing())} not installed: nothing was released"
            print(f"skipped: {reason}", flush=True)
            self.skipTest(reason)
        self.image = f"{self.registry.address}/{self._testMethodName.replace('_', '-')}/histod"
        self.tree = pathlib.Path(tempfile.mkdtemp(dir=self.base))
        for path in ("CMakeLists.txt", "deploy/gitops/release", "k8s", "deploy/observability"):
            copy = shutil.copytree if (SOURCE / path).is_dir() else shutil.copy
            (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
            copy(SOURCE / path, self.tree / path)
        # As before the first release, whatever this tree has released since.
        overlay = self.tree / OVERLAY
        overlay.write_text(re.sub(r"(  - name: localhost/histod\n)(?:    .*\n)*", r"\1    newTag: 0.1.0\n", overlay.read_text(encoding="utf-8")))
        self.git("init", "--quiet", "--bare", "--initial-branch=main", f"{self.tree}-origin")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", f"{self.tree}-origin")
        self.commit("one")

    def git(self, *words):
        return subprocess.run(["git", *words], cwd=self.tree, env=self.environment, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, content):
        (self.tree / "content").write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", content)
        self.git("push", "--quiet", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def release(self, *words, **environment):
        done = subprocess.run([self.tree / "deploy/gitops/release", *words], cwd=self.base, env={**self.environment, **environment}, capture_output=True,
                              text=True, check=False, timeout=300)
        return done.returncode, done.stdout, done.stderr

    def refused(self, said, *words, status=2, **environment):
        """With one line, and nothing was changed."""
        before = self.git("rev-parse", "HEAD")
        code, out, err = self.release(*words, **environment)
        self.assertEqual((code, out), (status, ""), err)
        self.assertRegex(err.splitlines()[-1], f"^release: {said}")
        if status == 2:
            self.assertEqual(len(err.splitlines()), 1, err)
        self.assertEqual(self.git("rev-parse", "HEAD"), before)
        self.assertEqual(self.git("diff", "HEAD"), "")

    def runs(self):
        """The image of the overlay, by kubectl."""
        text = subprocess.run(["kubectl", "kustomize", self.tree / "k8s/overlays/prod"], capture_output=True, text=True, check=True).stdout
        [image] = set(re.findall(r"image: (\S*/histod\S*)", text))
        return image

    def digest(self, tag):
        done = subprocess.run(["skopeo", "inspect", "--format={{.Digest}}", f"docker://{self.image}:{tag}"], capture_output=True, text=True, check=False,
                              env=self.environment)
        return done.stdout.strip() or None

    def test_a_release_another_and_the_way_back(self):
        built = self.git("rev-parse", "HEAD")
        tag = f"{VERSION}-g{built[:12]}"
        self.assertRegex(self.runs(), r"^localhost/histod:")
        code, said, err = self.release("--image", self.image, "--push")
        self.assertEqual((code, err), (0, ""))
        first = self.digest(tag)
        self.assertEqual(said, f"release: committed: prod runs {self.image}@{first} ({tag})\nrelease: main is pushed\n")
        self.assertEqual(self.runs(), f"{self.image}@{first}")
        self.assertEqual(self.git("rev-parse", "HEAD"), self.git("ls-remote", "origin", "main").split()[0])
        self.assertEqual(self.git("show", "--name-only", "--format=%s", "HEAD").split("\n"), [f"prod runs histod {tag}", "", OVERLAY])
        self.assertIn(f"built of {built}", self.git("show", "--format=%b", "--no-patch", "HEAD"))
        # Nothing new: the same bytes are the same digest.
        self.assertEqual(self.release("--tag", tag), (0, f"release: prod runs {self.image}@{first} already\n", ""))
        self.commit("two")
        self.assertEqual(self.release()[0], 0)
        second = self.runs()
        self.assertNotEqual(second, f"{self.image}@{first}")
        self.assertNotEqual(self.git("rev-parse", "HEAD"), self.git("ls-remote", "origin", "main").split()[0])
        self.git("revert", "--no-edit", "HEAD")
        self.assertEqual(self.runs(), f"{self.image}@{first}")

    def test_dry_run_shows_the_change_and_makes_none(self):
        before = self.git("rev-parse", "HEAD")
        code, said, err = self.release("--image", self.image, "--dry-run")
        self.assertEqual((code, err), (0, ""))
        self.assertIn(f"\n+    newName: {self.image}\n+    digest: sha256:", said)
        self.assertEqual([line for line in said.splitlines() if line.startswith("-")], [f"--- a/{OVERLAY}", "-    newTag: 0.1.0"])
        self.assertEqual((self.git("rev-parse", "HEAD"), self.git("status", "--porcelain")), (before, ""))
        self.assertIsNone(self.digest(f"{VERSION}-g{before[:12]}"))

    def test_a_tree_that_is_not_clean(self):
        (self.tree / "new").write_text("x")
        self.refused(r"the tree is not clean \(\?\? new\)", "--image", self.image)
        (self.tree / "new").unlink()
        self.git("checkout", "--quiet", "--detach")
        self.refused("no branch is checked out", "--image", self.image)

    def test_names_that_are_none(self):
        self.refused("the overlay names no registry yet")
        self.refused("localhost/histod is not REGISTRY/NAME", "--image", "localhost/histod")
        self.refused("example.org/histod:1 is not REGISTRY/NAME", "--image", "example.org/histod:1")
        self.refused("latest is no tag", "--image", self.image, "--tag", "latest")

    def test_a_registry_that_does_not_answer(self):
        # Port 9 of this machine: nothing listens there.
        self.refused(r"the registry does not tell what 127\.0\.0\.1:9/histod:\S+ is: .*connection refused", "--image", "127.0.0.1:9/histod")

    def test_a_tag_that_is_another_digest(self):
        self.assertEqual(self.release("--image", self.image, "--tag", "1.0")[0], 0)
        taken = self.digest("1.0")
        self.commit("another")
        self.refused(rf"{re.escape(self.image)}:1\.0 is {taken} already, and this would be sha256:[0-9a-f]{{64}}: take another --tag", "--tag", "1.0")
        self.assertEqual(self.digest("1.0"), taken)

    def test_what_fails_on_the_way(self):
        self.refused("the image was not built, and nothing was changed", "--image", self.image, status=1, BUILD_FAILS="1")
        self.refused("/nowhere: No such file or directory", "--image", self.image, HISTOD_SKOPEO="/nowhere")
        hook = self.tree / ".git/hooks/pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
        hook.chmod(0o755)
        self.refused("the image is pushed, but git does not commit, and the overlay is as it was: not today", "--image", self.image, status=1)
        hook.unlink()
        shutil.rmtree(f"{self.tree}-origin")
        code, said, err = self.release("--image", self.image, "--push")
        self.assertEqual((code, said.startswith("release: committed")), (1, True))
        self.assertRegex(err, "^release: main was not pushed: it is committed here, and does not roll out")

    def test_help(self):
        code, said, _ = self.release("--help")
        self.assertEqual(code, 0)
        for word in ("--image", "--tag", "--push", "--dry-run", "HISTOD_IMAGE_BUILD", "exit status"):
            self.assertIn(word, said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
