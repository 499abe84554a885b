# SPDX-License-Identifier: Apache-2.0
"""What a token of the driver may write: its own node's slices, and the statuses of claims that are allocated there."""
import copy

import pytest

from chart import NAMESPACE
from cluster import DRIVER, RESOURCE, account, slice_of
from harness.control_plane import wait_for

SLICES = f"{RESOURCE}/resourceslices"
CLAIMS = f"{RESOURCE}/namespaces/default/resourceclaims"
OTHER_DRIVER = "gpu.example.com"
# One admission plugin says this for any resource and operation.
OWN_NODE = "sriov-dra-driver-sriov-own-node"


def refused(answer, words):
    assert answer.status in (403, 422), answer
    assert OWN_NODE in answer.message and words in answer.message, answer


@pytest.fixture(scope="module")
def a(nodes):
    return nodes[0].caller()


@pytest.fixture(scope="module")
def b(nodes):
    return nodes[1].caller()


@pytest.fixture(scope="module")
def published(nodes, cluster, a, b):
    """Each node's driver has published its devices, and so has another driver on the first."""
    for caller, node in ((a, nodes[0]), (b, nodes[1])):
        caller.create(SLICES, slice_of(node.name))
    cluster.admin.create(SLICES, slice_of(nodes[0].name, OTHER_DRIVER))
    cluster.admin.create(f"{RESOURCE}/deviceclasses", {
        "metadata": {"name": OTHER_DRIVER},
        "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{OTHER_DRIVER}"'}}]}})


@pytest.fixture(scope="module")
def claim(nodes, cluster, published):
    """A claim with devices of both drivers, which the scheduler has allocated on the first node for a pod."""
    requests = [{"name": n, "exactly": {"deviceClassName": d}} for n, d in (("vf", DRIVER), ("gpu", OTHER_DRIVER))]
    cluster.admin.create(CLAIMS, {"metadata": {"name": "both"}, "spec": {"devices": {"requests": requests}}})
    cluster.admin.create("/api/v1/namespaces/default/pods", {
        "metadata": {"name": "user"},
        "spec": {"nodeSelector": {"kubernetes.io/hostname": nodes[0].name}, "tolerations": [{"operator": "Exists"}],
                 "resourceClaims": [{"name": "c", "resourceClaimName": "both"}],
                 "containers": [{"name": "main", "image": "x", "resources": {"claims": [{"name": "c"}]}}]}})
    def allocated():
        found = cluster.admin.get(f"{CLAIMS}/both")
        return found if "allocation" in found.get("status", {}) and found["status"].get("reservedFor") else None
    return wait_for(allocated, "the allocation of the claim")


def status_of(claim, node, driver=DRIVER, **more):
    """What the driver on that node would say of its device of the claim."""
    result = next(r for r in claim["status"]["allocation"]["devices"]["results"] if r["driver"] == driver)
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "both", "namespace": "default"},
            "status": {"devices": [{"driver": driver, "pool": node, "device": result["device"], "conditions": [
                {"type": "Ready", "status": "True", "reason": "Prepared", "message": "",
                 "lastTransitionTime": "2026-01-01T00:00:00Z"}]}], **more}}


# ---- slices ----


def test_slices_of_its_node(nodes, published, a):
    path = f"{SLICES}/{nodes[0].name}-{DRIVER}"
    found = a.get(path)
    found["spec"]["devices"].append({"name": "0000-08-00-4"})
    found["spec"]["pool"]["generation"] += 1
    answer = a.ask("PUT", path, found)
    assert answer.status == 200, answer
    a.create(SLICES, slice_of(nodes[0].name, name="extra", pool="extra"))
    assert a.ask("DELETE", f"{SLICES}/extra").status == 200


def test_slices_of_another_node(nodes, published, a, b):
    refused(a.ask("POST", SLICES, slice_of(nodes[1].name, name="forged")), f"on node {nodes[0].name} may write slices of that node only")
    theirs = f"{SLICES}/{nodes[1].name}-{DRIVER}"
    refused(a.ask("DELETE", theirs), "slices of that node only")
    found = a.get(theirs)
    found["spec"]["pool"]["generation"] += 1
    refused(a.ask("PUT", theirs, found), "slices of that node only")
    assert b.get(theirs)["spec"]["pool"]["generation"] == 1


def test_slices_for_several_nodes(nodes, published, a):
    everywhere = slice_of(nodes[0].name, name="everywhere")
    del everywhere["spec"]["nodeName"]
    refused(a.ask("POST", SLICES, {**everywhere, "spec": {**everywhere["spec"], "allNodes": True}}), "slices of that node only")


def test_slices_of_another_driver(nodes, published, a):
    refused(a.ask("POST", SLICES, slice_of(nodes[0].name, OTHER_DRIVER, name="forged")), f"slices of {DRIVER} only")
    refused(a.ask("DELETE", f"{SLICES}/{nodes[0].name}-{OTHER_DRIVER}"), f"slices of {DRIVER} only")


def test_a_token_that_names_no_node(nodes, published, cluster, claim):
    unbound = account(cluster)
    refused(unbound.ask("POST", SLICES, slice_of(nodes[0].name, name="forged")), "names no node")
    refused(unbound.ask("DELETE", f"{SLICES}/{nodes[0].name}-{DRIVER}"), "names no node")
    refused(unbound.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name)), "names no node")


def test_a_token_bound_to_a_pod_of_another_account_is_none(nodes, cluster, claim):
    """The binding is checked by the API server: nobody can bind the account's token to a pod of theirs."""
    pod = cluster.admin.get("/api/v1/namespaces/default/pods/user")
    answer = cluster.admin.ask(
        "POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/sriov-dra-driver-sriov-service-account/token",
        {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "user", "uid": pod["metadata"]["uid"]}}})
    assert answer.status in (404, 409), answer


# ---- statuses ----


def test_the_status_of_a_claim_on_its_node(nodes, claim, a):
    answer = a.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name))
    assert answer.status == 200, answer
    assert [d["driver"] for d in answer.body["status"]["devices"]] == [DRIVER]
    # Again, with another condition, as it does on every change.
    again = status_of(claim, nodes[0].name)
    again["status"]["devices"][0]["conditions"][0]["reason"] = "Attached"
    assert a.apply_status(f"{CLAIMS}/both", again).status == 200


def test_the_status_of_a_claim_on_another_node(nodes, claim, b):
    refused(b.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name)), "claims that are allocated there only")


def test_the_status_of_a_claim_that_is_not_allocated(nodes, cluster, a):
    cluster.admin.create(CLAIMS, {"metadata": {"name": "waiting"},
                                  "spec": {"devices": {"requests": [{"name": "vf", "exactly": {"deviceClassName": DRIVER}}]}}})
    body = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "waiting", "namespace": "default"},
            "status": {"devices": []}}
    refused(a.apply_status(f"{CLAIMS}/waiting", body), "claims that are allocated there only")


def test_an_allocation_or_a_reservation_is_not_its_business(nodes, claim, a):
    theirs = [{"resource": "pods", "name": "thief", "uid": "00000000-0000-4000-8000-000000000000"}]
    refused(a.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name, reservedFor=theirs)), "allocation or reservations")
    allocation = copy.deepcopy(claim["status"]["allocation"])
    allocation["devices"]["results"][0]["device"] = "0000-08-00-7"
    answer = a.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name, allocation=allocation))
    assert answer.status in (403, 422), answer


def test_what_another_driver_says_is_not_its_business(nodes, claim, cluster, a):
    refused(a.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name, OTHER_DRIVER)), "what other drivers say")
    answer = cluster.admin.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name, OTHER_DRIVER), manager="gpu")
    assert answer.status == 200, answer
    # Beside the other's entry it still writes its own.
    assert a.apply_status(f"{CLAIMS}/both", status_of(claim, nodes[0].name)).status == 200
    drivers = {d["driver"] for d in cluster.admin.get(f"{CLAIMS}/both")["status"]["devices"]}
    assert drivers == {DRIVER, OTHER_DRIVER}


def test_others_are_not_touched_by_the_policy(nodes, published, cluster):
    """It is about the driver's account only."""
    answer = cluster.admin.ask("POST", f"{SLICES}?dryRun=All", slice_of(nodes[1].name, name="admin"))
    assert answer.status == 201, answer
