# SPDX-License-Identifier: Apache-2.0
"""The policy on VfConfig reads the opaque parameters on a real API server, and decides as the driver does at Prepare: both
have the same table (tests/fixtures/vf-config)."""
import json

import pytest

from chart import ROOT
from cluster import DRIVER, RESOURCE
from harness.control_plane import wait_for

CASES = json.loads((ROOT / "tests/fixtures/vf-config/cases.json").read_text(encoding="utf-8"))
CLASSES = f"{RESOURCE}/deviceclasses"
POLICY = "sriov-dra-driver-sriov-vf-config"


def entries(*parameters, driver=DRIVER):
    return [{"opaque": {"driver": driver, "parameters": p}} for p in parameters]


def claim_spec(config):
    return {"devices": {"requests": [{"name": "vf", "exactly": {"deviceClassName": DRIVER}}], "config": config}}


# Where VfConfig can stand → path, object.
PLACES = {
    "claim": ("namespaces/default/resourceclaims", claim_spec),
    "template": ("namespaces/default/resourceclaimtemplates", lambda config: {"spec": claim_spec(config)}),
    "class": ("deviceclasses", lambda config: {"config": config}),
}


def create(cluster, place, config, dry=True):
    path, spec = PLACES[place]
    name = f"probe-{place}"
    return cluster.admin.ask("POST", f"{RESOURCE}/{path}{'?dryRun=All' if dry else ''}",
                             {"metadata": {"name": name}, "spec": spec(config)})


@pytest.fixture(scope="module", autouse=True)
def in_force(nodes, cluster):
    wait_for(lambda: create(cluster, "class", entries({"kind": "Nonsense"})).status == 422, "the admission policy")


def judge(answer, verdict):
    if verdict == "refused":
        assert answer.status == 422 and POLICY in answer.message and "VfConfig" in answer.message, answer
    else:
        assert answer.status == 201, answer


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_it_decides_as_the_table_says(cluster, case):
    for place in PLACES:
        judge(create(cluster, place, entries(case["parameters"])), case["verdict"])


@pytest.mark.parametrize("name", ["lo", "eth0"])
def test_an_interface_that_every_pod_has(cluster, name):
    """Prepare refuses it with a network, and without one nobody uses the name."""
    for place in PLACES:
        for network, verdict in (("vf-test1", "refused"), ("", "accepted"), (None, "accepted")):
            judge(create(cluster, place, entries({**GOOD, "ifName": name, "netAttachDefName": network})), verdict)
        judge(create(cluster, place, entries({**GOOD, "ifName": name})), "accepted")


GOOD = {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "VfConfig", "ifName": "net1"}
BAD = {**GOOD, "ifName": "net/1"}


@pytest.mark.parametrize("place", PLACES)
def test_every_entry_is_looked_at(cluster, place):
    judge(create(cluster, place, entries(GOOD, GOOD, BAD)), "refused")
    judge(create(cluster, place, entries(*[GOOD] * 32)), "accepted")


@pytest.mark.parametrize("place", PLACES)
def test_entries_of_other_drivers_are_theirs(cluster, place):
    judge(create(cluster, place, entries(BAD, driver="gpu.example.com") + entries(GOOD)), "accepted")


@pytest.mark.parametrize("place", PLACES)
def test_nothing_to_look_at(cluster, place):
    judge(create(cluster, place, []), "accepted")


def test_a_module_that_is_not_there(cluster):
    """The driver would refuse it when it plans the claim: the chart knows the instances."""
    judge(create(cluster, "claim", entries({**GOOD, "modules": {"cdi": {}}})), "accepted")
    judge(create(cluster, "claim", entries({**GOOD, "modules": {"acme": {}}})), "refused")


def test_large_parameters_are_within_the_cost(cluster):
    """10 KiB are the most that the API server takes for one entry; a policy whose cost is exceeded would refuse."""
    big = {**GOOD, "modules": {"cdi": {f"key{i}": "x" * 100 for i in range(80)}}}
    judge(create(cluster, "claim", entries(*[big] * 32)), "accepted")


def test_a_class_is_checked_when_it_changes(cluster):
    answer = create(cluster, "class", entries(GOOD), dry=False)
    assert answer.status == 201, answer
    path = f"{CLASSES}/probe-class"
    try:
        merge = "application/merge-patch+json"
        judge(cluster.admin.ask("PATCH", path, {"spec": {"config": entries(BAD)}}, merge), "refused")
        assert cluster.admin.ask("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, merge).status == 200
        assert cluster.admin.ask("PATCH", path, {"spec": {"config": entries({**GOOD, "driver": "vfio-pci"})}}, merge).status == 200
    finally:
        cluster.admin.ask("DELETE", path)


def test_the_server_finds_no_fault_in_the_expressions(cluster):
    """It checks them against the types of what the policy matches."""
    def checked():
        policy = cluster.admin.get(f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{POLICY}")
        seen = policy.get("status", {}).get("observedGeneration") == policy["metadata"]["generation"]
        return policy["status"] if seen else None
    status = wait_for(checked, "the check of the policy")
    assert not status.get("typeChecking", {}).get("expressionWarnings"), status
