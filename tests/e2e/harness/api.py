# SPDX-License-Identifier: Apache-2.0
"""The cluster as an independent client sees it: the official Python client, and the manifests that a cluster
administrator applies."""
import contextlib
import json
from pathlib import Path

import kubernetes
import yaml
from kubernetes.client.exceptions import ApiException

from harness.control_plane import NODE, wait_for

DRIVER = "sriovnetwork.openshift.io"
NAMESPACE = "dra-sriov-driver"
ACCOUNT = "dra-driver-sriov"
IMAGE = "test.local/busybox:1"
CHART = Path(__file__).resolve().parents[3] / "charts/dra-driver-sriov"
# Prints its environment and an end mark, then waits and ends at once when it is told to.
SCRIPT = "env; echo --; trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"


def or_none(call, *arguments, **more):
    """The answer, or None for what is not there."""
    try:
        return call(*arguments, **more)
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def write_as_kubectl(client):
    """Objects go out as kubectl writes them: names sorted, no white space. The API server keeps a claim's opaque parameters
    byte for byte, writes them so itself when it merges a status, and then takes any other form for a change of the
    allocation (docs/features.md, Limits)."""
    pool = client.rest_client.pool_manager
    send = pool.request

    def request(method, url, body=None, **more):
        text = None if body is None else json.dumps(json.loads(body), separators=(",", ":"), sort_keys=True)
        return send(method, url, body=text, **more)
    pool.request = request


class Api:
    def __init__(self, plane):
        self.client = kubernetes.config.new_client_from_config(plane.kubeconfig)
        write_as_kubectl(self.client)
        # Older components write events without eventTime, which the client's models refuse to hold.
        self.client.configuration.client_side_validation = False
        self.core = kubernetes.client.CoreV1Api(self.client)
        self.resource = kubernetes.client.ResourceV1Api(self.client)
        self.custom = kubernetes.client.CustomObjectsApi(self.client)
        self.rbac = kubernetes.client.RbacAuthorizationV1Api(self.client)
        self.extensions = kubernetes.client.ApiextensionsV1Api(self.client)
        self.events = kubernetes.client.EventsV1Api(self.client)

    # -- what the administrator installs ----------------------------------------------------------------------------

    def install(self):
        self.core.create_namespace({"metadata": {"name": NAMESPACE}})
        self.install_filters()
        role = yaml.safe_load((CHART / "files/cluster-role.yaml").read_text(encoding="utf-8"))
        self.rbac.create_cluster_role(role)
        self.core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": ACCOUNT}})
        self.rbac.create_cluster_role_binding({
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}]})
        self.resource.create_device_class({
            "metadata": {"name": DRIVER},
            "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]}})

    @contextlib.contextmanager
    def without_rule(self, resource):
        """The driver's role has no rule about this resource until the end of the block."""
        name = yaml.safe_load((CHART / "files/cluster-role.yaml").read_text(encoding="utf-8"))["metadata"]["name"]
        rules = self.client.sanitize_for_serialization(self.rbac.read_cluster_role(name).rules)
        left = [rule for rule in rules if resource not in rule["resources"]]
        assert len(left) == len(rules) - 1
        self.rbac.patch_cluster_role(name, {"rules": left})
        try:
            yield
        finally:
            self.rbac.patch_cluster_role(name, {"rules": rules})

    def install_filters(self):
        definition = yaml.safe_load((CHART / "crds/sriovresourcefilters.yaml").read_text(encoding="utf-8"))
        self.extensions.create_custom_resource_definition(definition)
        wait_for(lambda: or_none(self.filters) is not None, "the filters' definition to be served")

    def driver_pod(self, name):
        """The pod whose token the driver uses, bound to the node as a DaemonSet's is. The driver itself runs beside it."""
        return self.core.create_namespaced_pod(NAMESPACE, {
            "metadata": {"name": name},
            "spec": {"serviceAccountName": ACCOUNT, "nodeName": NODE, "terminationGracePeriodSeconds": 0,
                     "containers": [{"name": "driver", "image": IMAGE}]}})

    def driver_token(self, pod):
        """A token as the kubelet projects it into that pod."""
        answer = self.core.create_namespaced_service_account_token(ACCOUNT, NAMESPACE, {
            "spec": {"expirationSeconds": 3600, "boundObjectRef": {
                "kind": "Pod", "apiVersion": "v1", "name": pod.metadata.name, "uid": pod.metadata.uid}}})
        return answer.status.token

    # -- slices -----------------------------------------------------------------------------------------------------

    def slices(self):
        return self.resource.list_resource_slice(field_selector=f"spec.driver={DRIVER}").items

    def pool(self):
        """The devices by name, if the pool is complete as the scheduler sees it: as many slices of the newest generation
        as they say; otherwise None."""
        slices = self.slices()
        if not slices:
            return None
        newest = max(s.spec.pool.generation for s in slices)
        current = [s for s in slices if s.spec.pool.generation == newest]
        if any(s.spec.pool.resource_slice_count != len(current) for s in current):
            return None
        return {d.name: d for s in current for d in s.spec.devices or []}

    def resource_names(self):
        """Device name → resourceName attribute or None, of a complete pool."""
        pool = self.pool()
        return None if pool is None else {n: attribute(d, f"{DRIVER}/resourceName") for n, d in pool.items()}

    # -- filters ----------------------------------------------------------------------------------------------------

    def filters(self):
        return self.custom.list_namespaced_custom_object(DRIVER, "v1alpha1", NAMESPACE, "sriovresourcefilters")["items"]

    def create_filter(self, name, configs, node_selector=None):
        return self.custom.create_namespaced_custom_object(DRIVER, "v1alpha1", NAMESPACE, "sriovresourcefilters", {
            "apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter", "metadata": {"name": name},
            "spec": {"nodeSelector": node_selector or {}, "configs": configs}})

    def get_filter(self, name):
        return self.custom.get_namespaced_custom_object(DRIVER, "v1alpha1", NAMESPACE, "sriovresourcefilters", name)

    def change_filter(self, name, configs):
        self.custom.patch_namespaced_custom_object(DRIVER, "v1alpha1", NAMESPACE, "sriovresourcefilters", name,
                                                   {"spec": {"configs": configs}})

    def delete_filter(self, name):
        self.custom.delete_namespaced_custom_object(DRIVER, "v1alpha1", NAMESPACE, "sriovresourcefilters", name)

    def label_node(self, **labels):
        self.core.patch_node(NODE, {"metadata": {"labels": labels}})

    # -- claims and pods --------------------------------------------------------------------------------------------

    def create_template(self, name, devices):
        self.resource.create_namespaced_resource_claim_template(
            "default", {"metadata": {"name": name}, "spec": {"spec": {"devices": devices}}})

    def create_claim(self, name, devices):
        self.resource.create_namespaced_resource_claim("default", {"metadata": {"name": name}, "spec": {"devices": devices}})

    def create_pod(self, name, claims=None, limits=None, restart="Never"):
        """claims: name in the pod → {"resourceClaimTemplateName": …} or {"resourceClaimName": …}."""
        claims = claims or {}
        self.core.create_namespaced_pod("default", {
            "metadata": {"name": name},
            "spec": {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False,
                     "enableServiceLinks": False,
                     "resourceClaims": [{"name": n, **source} for n, source in claims.items()],
                     "containers": [{"name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", SCRIPT],
                                     "resources": {"claims": [{"name": n} for n in claims], "limits": limits or {}}}]}})

    def pod(self, name):
        return or_none(self.core.read_namespaced_pod, name, "default")

    def running(self, name):
        """The pod once its container runs."""
        def ready():
            pod = self.pod(name)
            assert pod is not None, f"pod {name} is gone"
            assert pod.status.phase not in ("Failed", "Succeeded"), pod.status
            conditions = {c.type: c.status for c in pod.status.conditions or []}
            assert conditions.get("Ready") == "True", [(c.type, c.status, c.message) for c in pod.status.conditions or []]
            return pod
        return wait_for(ready, f"pod {name} to run")

    def environment(self, name):
        """The environment of the pod's container."""
        def printed():
            # The bytes: the client's own conversion is str(bytes), "b'…\\n…'".
            text = self.core.read_namespaced_pod_log(name, "default", _preload_content=False).data.decode()
            assert text.endswith("--\n"), f"it ends in the middle: {text[-100:]!r}"
            return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return wait_for(printed, f"the output of pod {name}")

    def delete_pod(self, name):
        or_none(self.core.delete_namespaced_pod, name, "default")
        wait_for(lambda: self.pod(name) is None, f"the end of pod {name}")

    def claims(self):
        return self.resource.list_namespaced_resource_claim("default").items

    def claim_of(self, pod, name):
        """The ResourceClaim behind a pod's claim."""
        statuses = {s.name: s.resource_claim_name for s in self.pod(pod).status.resource_claim_statuses or []}
        claim = statuses.get(name) or next(c.resource_claim_name for c in self.pod(pod).spec.resource_claims if c.name == name)
        return self.resource.read_namespaced_resource_claim(claim, "default")

    def events_of(self, kind, name):
        return [e for e in self.events.list_event_for_all_namespaces().items
                if e.regarding and e.regarding.kind == kind and e.regarding.name == name]

    def clean_pods(self):
        for pod in self.core.list_namespaced_pod("default").items:
            or_none(self.core.delete_namespaced_pod, pod.metadata.name, "default")
        wait_for(lambda: not self.core.list_namespaced_pod("default").items, "the pods to go")

    def clean(self):
        """Everything that a test can have made; ends when it is gone, the pods' claims included."""
        resource = self.resource
        self.clean_pods()
        for claim in self.claims():
            or_none(resource.delete_namespaced_resource_claim, claim.metadata.name, "default")
        wait_for(lambda: not self.claims(), "the claims to go")
        for template in resource.list_namespaced_resource_claim_template("default").items:
            resource.delete_namespaced_resource_claim_template(template.metadata.name, "default")
        for found in self.filters():
            self.delete_filter(found["metadata"]["name"])
        for device_class in resource.list_device_class().items:
            if device_class.metadata.name != DRIVER:
                resource.delete_device_class(device_class.metadata.name)


def attribute(device, name):
    """The value of a device's attribute, or None."""
    # The type has one field for each kind of value; bools and ints are named *_value.
    found = (device.attributes or {}).get(name)
    if found is None:
        return None
    values = found.to_dict() if hasattr(found, "to_dict") else found
    return next((v for v in values.values() if v is not None), None)


def vf_config(**more):
    """`config` of a claim: a VfConfig with these fields."""
    parameters = {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "VfConfig", **more}
    return [{"opaque": {"driver": DRIVER, "parameters": parameters}}]


def one_vf(name="vf", **more):
    """`devices` of a claim for one VF."""
    return {"requests": [{"name": name, "exactly": {"deviceClassName": DRIVER, **more}}]}
