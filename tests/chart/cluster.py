# SPDX-License-Identifier: Apache-2.0
"""A real API server, asked by kubectl, by helm and by callers with tokens of their own."""
import http.client
import json
import ssl
import subprocess
import urllib.parse
from pathlib import Path

import yaml

from chart import NAMESPACE, RELEASE, Refused
from harness.control_plane import wait_for

DRIVER = "sriovnetwork.openshift.io"
RESOURCE = "/apis/resource.k8s.io/v1"


def foreign(group, kind, plural, schema):
    """The definition of a namespaced kind of another project, in version v1: the chart uses it and does not bring it."""
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                     "versions": [{"name": "v1", "served": True, "storage": True,
                                   "schema": {"openAPIV3Schema": {"type": "object", **schema}}}]}}


NETWORK_DEFINITIONS = foreign("k8s.cni.cncf.io", "NetworkAttachmentDefinition", "network-attachment-definitions", {
    "properties": {"spec": {"type": "object", "properties": {"config": {"type": "string"}}}}})
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
# Of the Prometheus operator: what a ServiceMonitor and a PrometheusRule of the chart may have.
MONITORING = [
    foreign("monitoring.coreos.com", "ServiceMonitor", "servicemonitors", {
        "required": ["spec"], "properties": {"spec": {
            "type": "object", "required": ["endpoints", "selector"], "properties": {
                "namespaceSelector": {"type": "object", "properties": {
                    "matchNames": {"type": "array", "items": {"type": "string"}}}},
                "selector": {"type": "object", "properties": {"matchLabels": TEXTS}},
                "endpoints": {"type": "array", "items": {"type": "object", "properties": {
                    **{name: {"type": "string"} for name in ("port", "path", "interval", "scrapeTimeout")},
                    "relabelings": {"type": "array", "items": {"type": "object", "properties": {
                        "sourceLabels": {"type": "array", "items": {"type": "string"}},
                        "targetLabel": {"type": "string"}, "replacement": {"type": "string"}}}}}}}}}}}),
    foreign("monitoring.coreos.com", "PrometheusRule", "prometheusrules", {
        "required": ["spec"], "properties": {"spec": {
            "type": "object", "properties": {"groups": {"type": "array", "items": {
                "type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"},
                    "rules": {"type": "array", "items": {"type": "object", "required": ["expr"], "properties": {
                        **{name: {"type": "string"} for name in ("alert", "expr", "for")},
                        "labels": TEXTS, "annotations": TEXTS}}}}}}}}}})]


class Answer:
    def __init__(self, status, text):
        self.status = status
        self.body = json.loads(text) if text.startswith("{") else text

    @property
    def message(self):
        return self.body.get("message", "") if isinstance(self.body, dict) else self.body

    def __repr__(self):
        return f"{self.status} {self.message or self.body}"[:600]


class Caller:
    """Somebody with a token."""

    def __init__(self, plane, token):
        self.address = urllib.parse.urlsplit(plane.server)
        self.context = ssl.create_default_context(cafile=plane.ca_file)
        self.token = token
        self.connection = None

    def ask(self, method, path, body=None, content_type="application/json"):
        """The answer, once the server is not too busy to give one (a definition that is new is served with 429 at first)."""
        return wait_for(lambda: (answer := self._ask(method, path, body, content_type)).status != 429 and answer, "an answer",
                        interval=0.5)

    def _ask(self, method, path, body, content_type):
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "Content-Type": content_type}
        text = None if body is None else json.dumps(body)
        for last in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.context, timeout=90)
            try:
                self.connection.request(method, path, body=text, headers=headers)
                got = self.connection.getresponse()
                return Answer(got.status, got.read().decode())
            except (http.client.RemoteDisconnected, ConnectionError):
                # The server ends connections that were idle; the request was not looked at.
                self.connection.close()
                self.connection = None
                if last:
                    raise

    def get(self, path):
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.body

    def create(self, path, body):
        answer = self.ask("POST", path, body)
        assert answer.status == 201, answer
        return answer.body

    def apply_status(self, path, body, manager="dra-driver-sriov"):
        """As the driver writes: server-side apply."""
        return self.ask("PATCH", f"{path}/status?fieldManager={manager}&force=true", body, "application/apply-patch+yaml")


class Cluster:
    def __init__(self, plane, chart):
        self.plane = plane
        self.chart = chart
        self.admin = Caller(plane, plane.admin_token())
        self.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self.admin.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", NETWORK_DEFINITIONS)
        wait_for(lambda: self.admin.ask("GET", f"/apis/k8s.cni.cncf.io/v1/namespaces/{NAMESPACE}/network-attachment-definitions")
                 .status == 200, "the definition of networks")

    def define_monitors(self):
        """As the Prometheus operator's installation does; once."""
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for definition in MONITORING:
            plural = definition["spec"]["names"]["plural"]
            if self.admin.ask("GET", f"{definitions}/{definition['metadata']['name']}").status != 200:
                self.admin.create(definitions, definition)
            wait_for(lambda plural=plural: self.admin.ask("GET", f"/apis/monitoring.coreos.com/v1/namespaces/{NAMESPACE}/{plural}")
                     .status == 200, f"the definition of {plural}")

    def kubectl(self, *arguments, text=None):
        done = subprocess.run(
            [self.plane.testcluster, "kubectl", f"--kubeconfig={self.plane.kubeconfig}", f"--cache-dir={self.plane.state}/kubectl",
             *map(str, arguments)], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout

    def dry_run(self, objects):
        """Each object as the API server would take it, without making it; an unknown field is an error."""
        text = yaml.safe_dump_all(objects)
        return self.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts",
                            "--field-manager=test", "-f", "-", text=text)

    def helm(self, *arguments):
        return self.chart.helm(*arguments, "--namespace", NAMESPACE, "--kubeconfig", self.plane.kubeconfig)

    def upgrade(self, *arguments):
        """helm upgrade -i. Without the pre-upgrade Job: no node here would run it."""
        return self.helm("upgrade", "--install", RELEASE, self.chart.folder, "--no-hooks", *arguments)


class Node:
    """A Node object that no kubelet stands behind, and the driver's pod there, which the DaemonSet controller made."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        admin = cluster.admin
        admin.create("/api/v1/nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}})
        room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        answer = admin.ask("PATCH", f"/api/v1/nodes/{name}/status", {"status": {"capacity": room, "allocatable": room}},
                           "application/merge-patch+json")
        assert answer.status == 200, answer
        self.pod = wait_for(self._pod, f"the driver's pod on {name}")

    def _pod(self):
        for pod in self.cluster.admin.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]:
            if pod["spec"].get("nodeName") == self.name:
                return pod
        return None

    def caller(self):
        """With a token as kubelet projects it into that pod."""
        return account(self.cluster, {"boundObjectRef": {
            "kind": "Pod", "apiVersion": "v1", "name": self.pod["metadata"]["name"], "uid": self.pod["metadata"]["uid"]}})


def account(cluster, spec=None):
    """The driver's ServiceAccount, with a token that is bound to nothing unless spec says so."""
    name = f"{RELEASE}-dra-driver-sriov-service-account"
    made = cluster.admin.create(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{name}/token",
                                {"spec": {"expirationSeconds": 7200, **(spec or {})}})
    return Caller(cluster.plane, made["status"]["token"])


def slice_of(node, driver=DRIVER, name=None, devices=("0000-08-00-2", "0000-08-00-3"), pool=None):
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice",
            "metadata": {"name": name or f"{node}-{driver}"},
            "spec": {"driver": driver, "nodeName": node, "pool": {"name": pool or node, "generation": 1, "resourceSliceCount": 1},
                     "devices": [{"name": d} for d in devices]}}


def manifests(folder):
    """The objects of a folder's YAML files."""
    return [o for file in sorted(Path(folder).glob("*.yaml")) for o in yaml.safe_load_all(file.read_text(encoding="utf-8")) if o]
