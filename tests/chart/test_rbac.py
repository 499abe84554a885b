# SPDX-License-Identifier: Apache-2.0
"""The driver's account may do what the chart's ClusterRole says, and nothing else: asked of the API server for every resource
that it has and every verb."""
import pytest

from chart import NAMESPACE
from cluster import DRIVER, RESOURCE

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:sriov-dra-driver-sriov-service-account"
GROUPS = ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"]
# What everybody with a token may: ask about themselves.
EVERYBODY = {("authorization.k8s.io", "selfsubjectaccessreviews", "create"), ("authorization.k8s.io", "selfsubjectrulesreviews", "create"),
             ("authentication.k8s.io", "selfsubjectreviews", "create")}


def resources(admin):
    """(group, resource or resource/subresource) of everything that the API server serves."""
    found = {("", r["name"]) for r in admin.get("/api/v1")["resources"]}
    for group in admin.get("/apis")["groups"]:
        for version in group["versions"]:
            found |= {(group["name"], r["name"]) for r in admin.get(f"/apis/{version['groupVersion']}")["resources"]}
    return sorted(found)


def allowed(admin, group, resource, verb):
    name, _, sub = resource.partition("/")
    answer = admin.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {
        "user": ACCOUNT, "groups": GROUPS, "resourceAttributes": {
            "group": group, "resource": name, "subresource": sub, "verb": verb, "namespace": "default"}}})
    return answer["status"]["allowed"]


def test_exactly_what_the_role_says(nodes, cluster, chart):
    role = chart.render().of("ClusterRole", "-role")
    # resourceclaims/driver is no resource that is served; what it stands for is judged by test_own_node.py.
    expected = {(g, r, v) for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]
                if "resourceNames" not in rule}
    served = resources(cluster.admin)
    assert {(g, r) for g, r, _ in expected} <= set(served)
    found = {(g, r, v) for g, r in served for v in VERBS if allowed(cluster.admin, g, r, v)}
    assert found == expected | EVERYBODY


def test_nothing_beside_resources(nodes, cluster):
    for path in ("/metrics", "/logs", "/debug/pprof", "/configz"):
        answer = cluster.admin.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {
            "user": ACCOUNT, "groups": GROUPS, "nonResourceAttributes": {"path": path, "verb": "get"}}})
        assert not answer["status"]["allowed"], path


CLAIM = f"{RESOURCE}/namespaces/default/resourceclaims/any"
# What a thief of the token would try first, as requests: each is refused by RBAC before anything is looked up.
FORBIDDEN = [
    ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets"),
    ("GET", "/api/v1/secrets"),
    ("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/sriov-dra-driver-sriov-config"),
    ("GET", "/api/v1/pods"),
    ("POST", "/api/v1/namespaces/default/pods"),
    ("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/sriov-dra-driver-sriov-service-account/token"),
    ("PATCH", "/api/v1/nodes/worker-a"),
    ("GET", f"{RESOURCE}/resourceclaims"),
    ("POST", f"{RESOURCE}/namespaces/default/resourceclaims"),
    ("DELETE", CLAIM),
    ("PATCH", CLAIM),
    ("PUT", f"{CLAIM}/status"),
    ("DELETE", f"{RESOURCE}/resourceslices"),
    ("POST", f"{RESOURCE}/deviceclasses"),
    ("POST", f"/apis/{DRIVER}/v1alpha1/namespaces/{NAMESPACE}/sriovresourcefilters"),
    ("DELETE", f"/apis/{DRIVER}/v1alpha1/namespaces/{NAMESPACE}/sriovresourcefilters/any"),
    ("PATCH", f"/apis/{DRIVER}/v1alpha1/namespaces/{NAMESPACE}/sriovresourcefilters/any"),
    ("PUT", f"/apis/{DRIVER}/v1alpha1/namespaces/{NAMESPACE}/sriovresourcefilters/any/status"),
    ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sriov-dra-driver-sriov-own-node"),
]


@pytest.mark.parametrize("method, path", FORBIDDEN)
def test_forbidden(nodes, method, path):
    content = {"PATCH": "application/merge-patch+json"}.get(method, "application/json")
    answer = nodes[0].caller().ask(method, path, {} if method != "GET" else None, content)
    assert answer.status == 403 and "cannot" in answer.message, answer


# Reads that the driver does, as requests.
GRANTED = ["/api/v1/nodes/worker-a", f"{RESOURCE}/resourceslices", f"/apis/{DRIVER}/v1alpha1/namespaces/{NAMESPACE}/sriovresourcefilters",
           "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"]


@pytest.mark.parametrize("path", GRANTED)
def test_granted(nodes, path):
    assert nodes[0].caller().get(path)


def test_events(nodes):
    body = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"generateName": "driver-"},
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": DRIVER, "reportingInstance": "worker-a",
            "action": "Prepare", "reason": "Prepared", "type": "Normal", "note": "a note",
            "regarding": {"kind": "ResourceClaim", "namespace": "default", "name": "any", "apiVersion": "resource.k8s.io/v1"}}
    assert nodes[0].caller().ask("POST", "/apis/events.k8s.io/v1/namespaces/default/events", body).status == 201
