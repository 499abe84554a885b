# SPDX-License-Identifier: Apache-2.0
"""The definition of SriovResourceFilter on a real API server: what it takes, what it refuses, and with which words."""
import pytest

from chart import NAMESPACE, Refused
from cluster import DRIVER

PATH = f"/apis/{DRIVER}/v1alpha1/namespaces/{NAMESPACE}/sriovresourcefilters?dryRun=All&fieldValidation=Strict"


def create(cluster, spec, name="probe"):
    return cluster.admin.ask("POST", PATH, {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter",
                                            "metadata": {"name": name}, "spec": spec})


def one(**lists):
    return {"configs": [{"resourceName": "r", "resourceFilters": [lists]}]}


TAKEN = {
    "empty": {},
    "node selector": {"nodeSelector": {"kubernetes.io/hostname": "worker-1"}, "configs": []},
    "a name for all": {"configs": [{"resourceName": "eth0_resource"}]},
    "everything": {"nodeSelector": {}, "configs": [{"resourceName": "eth0_resource", "resourceFilters": [{
        "vendors": ["8086", "15B3"], "devices": ["10ed"], "pciAddresses": ["0000:08:00.2", "10000:E1:1f.7"], "pfNames": ["eth0"],
        "rootDevices": ["0000:00:01.0", "pci0000:00"], "numaNodes": ["0", "-1", "12"], "drivers": ["vfio-pci"]}]}]},
    "as many as there may be": {"configs": [{"resourceName": f"r{i}", "resourceFilters": [
        {"vendors": ["8086"] * 32, "pciAddresses": ["0000:08:00.2"] * 256}]} for i in range(64)]},
}
REFUSED = {
    "unknown list": (one(vendor=["8086"]), "vendor"),
    "no name": ({"configs": [{"resourceFilters": []}]}, "resourceName: Required"),
    "empty name": ({"configs": [{"resourceName": ""}]}, "resourceName"),
    "blank at an end of the name": ({"configs": [{"resourceName": "r "}]}, "begins or ends with white space"),
    "long name": ({"configs": [{"resourceName": "r" * 65}]}, "resourceName"),
    "vendor with 0x": (one(vendors=["0x8086"]), "4 hexadecimal digits without 0x"),
    "vendor by name": (one(vendors=["intel"]), "4 hexadecimal digits without 0x"),
    "device with too few digits": (one(devices=["10e"]), "4 hexadecimal digits without 0x"),
    "address without domain": (one(pciAddresses=["08:00.2"]), "pciAddresses"),
    "address as a device's name": (one(pciAddresses=["0000-08-00-2"]), "pciAddresses"),
    "long interface": (one(pfNames=["e" * 16]), "pfNames"),
    "empty interface": (one(pfNames=[""]), "pfNames"),
    "NUMA node as a number": (one(numaNodes=[0]), "numaNodes"),
    "NUMA node that is none": (one(numaNodes=["-2"]), 'a NUMA node is a number in quotes'),
    "list that is a text": (one(vendors="8086"), "vendors"),
    "label that is a number": ({"nodeSelector": {"a": 1}}, "nodeSelector"),
    "too many": ({"configs": [{"resourceName": "r"}] * 65}, "configs: Too many"),
}


@pytest.mark.parametrize("spec", TAKEN.values(), ids=TAKEN.keys())
def test_taken(cluster, nodes, spec):
    answer = create(cluster, spec)
    assert answer.status == 201, answer


@pytest.mark.parametrize("spec, says", REFUSED.values(), ids=REFUSED.keys())
def test_refused(cluster, nodes, spec, says):
    answer = create(cluster, spec)
    assert answer.status in (400, 422) and says in answer.message, answer


def status_of(made, **condition):
    """What a driver applies: tests/publish/filter_reporter_test.cpp has the same object."""
    metadata = {key: made["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}
    return {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter", "metadata": metadata, "status": {"conditions": [
        {"type": "Accepted", "status": "True", "observedGeneration": 1, "reason": "Applied", "message": "m",
         "lastTransitionTime": "2026-01-02T03:04:05Z"} | condition]}}


def test_a_driver_tells_and_a_slower_one_is_refused(cluster, nodes):
    path = PATH.split("?", maxsplit=1)[0]
    apply = f"{path}/told/status?fieldManager={DRIVER}&force=true"
    first, second = (node.caller() for node in nodes[:2])
    made = cluster.admin.create(path, {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter",
                                       "metadata": {"name": "told"}, "spec": {"configs": []}})
    try:
        for wrong in ({"status": "true"}, {"reason": ""}, {"lastTransitionTime": "now"}, {"observedGeneration": -1}):
            assert first.ask("PATCH", apply, status_of(made, **wrong), "application/apply-patch+yaml").status == 422, wrong
        answer = first.ask("PATCH", apply, status_of(made), "application/apply-patch+yaml")
        assert answer.status == 200, answer
        refused = second.ask("PATCH", apply, status_of(made, message="by another"), "application/apply-patch+yaml")
        assert refused.status == 409 and "has been modified" in refused.message, refused
        # The status is all that a driver may write, and writing it changes no generation.
        stolen = status_of(cluster.admin.get(f"{path}/told")) | {"spec": {"configs": [{"resourceName": "mine"}]}}
        assert first.ask("PATCH", f"{path}/told?fieldManager={DRIVER}&force=true", stolen, "application/apply-patch+yaml").status == 403
        assert first.ask("PATCH", apply, stolen, "application/apply-patch+yaml").status == 200
        now = cluster.admin.get(f"{path}/told")
        assert now["spec"] == {"configs": []} and now["metadata"]["generation"] == 1
        assert now["status"]["conditions"][0]["message"] == "m"
        cluster.kubectl("-n", NAMESPACE, "wait", "srf/told", "--for=condition=Accepted", "--timeout=10s")
        row = cluster.kubectl("get", "srf", "-n", NAMESPACE).splitlines()
        assert "True" in next(line for line in row if line.startswith("told"))
    finally:
        cluster.admin.ask("DELETE", f"{path}/told")


def test_saved_filters_are_taken_again(cluster, nodes):
    """As docs/migration.md says: the definition goes with the Go driver's release, and they with it."""
    path = PATH.split("?", maxsplit=1)[0]
    made = cluster.admin.create(path, {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter",
                                       "metadata": {"name": "saved"}, "spec": TAKEN["everything"]})
    try:
        saved = cluster.kubectl("get", f"sriovresourcefilters.{DRIVER}", "-A", "-o", "yaml")
        cluster.kubectl("-n", NAMESPACE, "delete", "srf", "saved")
        assert cluster.admin.ask("GET", f"{path}/saved").status == 404
        with pytest.raises(Refused, match="uid mismatch"):
            cluster.kubectl("apply", "--server-side", "-f", "-", text=saved)
        cluster.kubectl("apply", "-f", "-", text=saved)
        again = cluster.admin.get(f"{path}/saved")
        assert again["spec"] == made["spec"] and again["metadata"]["uid"] != made["metadata"]["uid"]
    finally:
        cluster.admin.ask("DELETE", f"{path}/saved")


def test_what_kubectl_shows(cluster, nodes):
    body = {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter", "metadata": {"name": "shown"},
            "spec": {"configs": [{"resourceName": "eth0_resource"}, {"resourceName": "eth1_resource"}]}}
    path = PATH.split("?", maxsplit=1)[0]
    assert cluster.admin.ask("POST", path, body).status == 201
    try:
        table = cluster.kubectl("get", "srf", "-n", NAMESPACE)
        assert table.splitlines()[0].split()[:2] == ["NAME", "RESOURCES"]
        assert "ACCEPTED" in table.splitlines()[0]
        assert "eth0_resource" in table
    finally:
        cluster.admin.ask("DELETE", f"{path}/shown")
