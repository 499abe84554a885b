# SPDX-License-Identifier: Apache-2.0
"""Pods with claims, from creation to the last file: real scheduler, kubelet and containerd. No network step: the VF stays in
the host, the container sees it by its environment."""
import pytest
from kubernetes.client.exceptions import ApiException

from conftest import LONG
from harness.api import DRIVER, one_vf, vf_config
from harness.control_plane import NODE, wait_for
from harness.driver import CDI

ONE = {"vf": {"resourceClaimTemplateName": "one-vf"}}


def pci(device):
    """0000-08-00-2 → 0000:08:00.2"""
    domain, bus, slot, function = device.split("-")
    return f"{domain}:{bus}:{slot}.{function}"


def devices_of(claim):
    return [r.device for r in claim.status.allocation.devices.results]


def environment_of(*devices):
    return {f"SRIOVNETWORK_VF_DEVICE_{d.replace('-', '_')}": pci(d) for d in devices}


def check_environment(api, pod, *devices):
    """The container has the variables of these devices and of no other."""
    seen = api.environment(pod)
    assert {k: v for k, v in seen.items() if k.startswith("SRIOVNETWORK_VF_DEVICE_")} == environment_of(*devices)
    return seen


@pytest.fixture
def node(api, driver):
    made = driver(vfs=8).start()
    wait_for(lambda: (pool := api.pool()) and len(pool) == 8, "the pool")
    api.create_template("one-vf", one_vf())
    return made


def test_a_pod_with_a_template(api, node):
    api.create_pod("one", ONE)
    api.running("one")
    claim = api.claim_of("one", "vf")
    [device] = devices_of(claim)
    seen = check_environment(api, "one", device)
    assert seen["SRIOVNETWORK_PCI_ADDRESSES"] == pci(device)
    assert claim.metadata.uid in "".join(f.read_text(encoding="utf-8") for f in CDI.glob("*.json"))
    assert len(node.claim_records()) == 1

    def reported():
        [status] = api.claim_of("one", "vf").status.devices or [None]
        assert status and (status.driver, status.pool, status.device) == (DRIVER, NODE, device)
        return {c.type: c.status for c in status.conditions or []}.get("Ready") == "True" and status
    status = wait_for(reported, "the claim's status")
    assert status.data["kind"] == "VfConfig"

    api.delete_pod("one")
    wait_for(lambda: not api.claims(), "the claim to go")
    assert node.cdi_files() == [] and node.claim_records() == []
    api.create_pod("again", ONE)
    api.running("again")


def test_two_claims_in_one_pod(api, node):
    api.create_pod("two", {"first": ONE["vf"], "second": ONE["vf"]})
    api.running("two")
    [first], [second] = (devices_of(api.claim_of("two", name)) for name in ("first", "second"))
    assert first != second
    seen = check_environment(api, "two", first, second)
    assert sorted(seen["SRIOVNETWORK_PCI_ADDRESSES"].split(",")) == sorted([pci(first), pci(second)])
    assert len(node.claim_records()) == 2


def test_a_claim_for_two_devices(api, node):
    api.create_template("two-vfs", one_vf(count=2))
    api.create_pod("pair", {"vf": {"resourceClaimTemplateName": "two-vfs"}})
    api.running("pair")
    devices = devices_of(api.claim_of("pair", "vf"))
    assert len(set(devices)) == 2
    check_environment(api, "pair", *devices)


def test_first_available(api, node):
    """No device is what the first subrequest wants; the second is taken and named main/any in the claim."""
    def subrequest(name, expression):
        return {"name": name, "deviceClassName": DRIVER, "selectors": [{"cel": {"expression": expression}}]}
    api.create_template("choice", {"requests": [{"name": "main", "firstAvailable": [
        subrequest("gone", f'device.attributes["{DRIVER}"].vendor == "ffff"'),
        subrequest("any", f'device.attributes["{DRIVER}"].vendor == "8086"')]}]})
    api.create_pod("chooser", {"vf": {"resourceClaimTemplateName": "choice"}})
    api.running("chooser")
    claim = api.claim_of("chooser", "vf")
    assert [r.request for r in claim.status.allocation.devices.results] == ["main/any"]
    check_environment(api, "chooser", *devices_of(claim))


def test_a_selector_on_a_filter_name(api, node):
    chosen = sorted(api.resource_names())[3]
    api.create_filter("fast", [{"resourceName": "fast", "resourceFilters": [{"pciAddresses": [pci(chosen)]}]}])
    wait_for(lambda: (names := api.resource_names()) and names[chosen] == "fast", "the name")
    expression = f'device.attributes["{DRIVER}"].?resourceName.orValue("") == "fast"'
    api.create_template("fast", one_vf(selectors=[{"cel": {"expression": expression}}]))
    api.create_pod("selective", {"vf": {"resourceClaimTemplateName": "fast"}})
    api.running("selective")
    check_environment(api, "selective", chosen)


def test_a_claim_shared_by_two_pods(api, node):
    api.create_claim("shared", one_vf())
    for pod in ("left", "right"):
        api.create_pod(pod, {"vf": {"resourceClaimName": "shared"}})
    for pod in ("left", "right"):
        api.running(pod)
    [device] = devices_of(api.claim_of("left", "vf"))
    for pod in ("left", "right"):
        check_environment(api, pod, device)
    api.delete_pod("left")
    assert len(node.claim_records()) == 1, "unprepared while a pod still uses it"
    api.delete_pod("right")
    wait_for(lambda: not node.claim_records() and not node.cdi_files(), "the unprepare")


def test_an_extended_resource(api, node, kubernetes_minor):
    if kubernetes_minor < (1, 36):
        pytest.skip("DRAExtendedResource is off before Kubernetes 1.36")
    api.resource.create_device_class({"metadata": {"name": "vf-by-name"}, "spec": {
        "extendedResourceName": "example.com/vf",
        "selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]}})
    api.create_pod("classic", limits={"example.com/vf": "2"})
    api.running("classic")
    [claim] = api.claims()
    devices = devices_of(claim)
    assert len(devices) == 2
    check_environment(api, "classic", *devices)


def test_class_and_claim_configuration(api, node):
    """Wrong parameters: the pod waits, the claim tells why, and nothing was touched. Mended: the pod starts."""
    api.create_template("typo", {**one_vf(), "config": vf_config(ifNam="net1")})
    api.create_pod("typo", {"vf": {"resourceClaimTemplateName": "typo"}})
    wait_for(lambda: [e for c in api.claims() for e in api.events_of("ResourceClaim", c.metadata.name)
                      if e.type == "Warning" and "ifNam" in e.note], "a Warning event that names the field")
    wait_for(lambda: [e for e in api.core.list_namespaced_event("default").items
                      if e.involved_object.name == "typo" and "ifNam" in (e.message or "")],
             "kubelet's event with the driver's words")
    assert api.pod("typo").status.phase == "Pending"
    assert node.cdi_files() == [] and node.claim_records() == []
    api.delete_pod("typo")
    api.create_template("right", {**one_vf(), "config": vf_config(ifName="net1")})
    api.create_pod("right", {"vf": {"resourceClaimTemplateName": "right"}})
    api.running("right")
    wait_for(lambda: (s := api.claim_of("right", "vf").status.devices) and s[0].data.get("ifName") == "net1",
             "the effective configuration in the status")


def test_a_status_that_may_not_be_written_holds_no_pod_up(api, node, kubernetes_minor):
    """Kubernetes 1.36 asks for one more right: an operator who upgrades without it reads so, and pods go on."""
    if kubernetes_minor < (1, 36):
        pytest.skip("resourceclaims/driver is of Kubernetes 1.36")
    with api.without_rule("resourceclaims/driver"):
        api.create_pod("one", ONE)
        api.running("one")
        wait_for(lambda: "associated-node:patch on resourceclaims/driver" in node.log(), "the right to be named")
        assert not api.claim_of("one", "vf").status.devices


def test_more_pods_than_devices(api, node):
    for i in range(9):
        api.create_pod(f"p{i}", ONE)
    wait_for(lambda: sum(bool(c.status.allocation) for c in api.claims()) == 8, "8 allocations")
    wait_for(lambda: len(node.claim_records()) == 8, "8 prepared claims")
    [waiting] = wait_for(lambda: (w := [p for p in api.core.list_namespaced_pod("default").items if not p.spec.node_name])
                         and len(w) == 1 and w, "one pod without a node")
    taken = next(f"p{i}" for i in range(9) if f"p{i}" != waiting.metadata.name)
    api.running(taken)
    api.delete_pod(taken)
    api.running(waiting.metadata.name)


def test_thirty_pods_at_once(api, driver):
    node = driver(vfs=64).start()
    wait_for(lambda: (pool := api.pool()) and len(pool) == 64, "the pool")
    api.create_template("one-vf", one_vf())
    count = 60 if LONG else 30
    names = [f"crowd-{i}" for i in range(count)]
    for name in names:
        api.create_pod(name, ONE)
    taken = []
    for name in names:
        api.running(name)
        [device] = devices_of(api.claim_of(name, "vf"))
        check_environment(api, name, device)
        taken.append(device)
    assert len(set(taken)) == count
    assert len(node.claim_records()) == count
    wait_for(lambda: all((c.status.devices or [None])[0] for c in api.claims()), "the status of all claims")


def test_a_claim_deleted_by_force_while_its_pod_runs(api, node):
    """Kubernetes lets an administrator take the finalizer away: the pod's end still gives the device back."""
    api.create_claim("torn", one_vf())
    api.create_pod("torn", {"vf": {"resourceClaimName": "torn"}})
    api.running("torn")
    api.resource.delete_namespaced_resource_claim("torn", "default")
    api.resource.patch_namespaced_resource_claim("torn", "default", {"metadata": {"finalizers": None}})
    with pytest.raises(ApiException) as error:
        api.resource.read_namespaced_resource_claim("torn", "default")
    assert error.value.status == 404
    api.create_claim("torn", one_vf())
    api.delete_pod("torn")
    wait_for(lambda: not node.claim_records() and not node.cdi_files(), "the unprepare")
    assert [c.metadata.name for c in api.claims()] == ["torn"]


def test_a_sandbox_is_made_anew_without_a_prepare(api, node, plane):
    """The kubelet prepares claims once for a pod, however many sandboxes the pod has in its life."""
    api.create_pod("reborn", ONE, restart="Always")
    pod = api.running("reborn")
    prepared = node.log().count("prepared")
    [device] = devices_of(api.claim_of("reborn", "vf"))
    plane.kill_sandbox(pod.metadata.uid)

    def again():
        pod = api.running("reborn")
        return pod.status.container_statuses[0].restart_count >= 1
    wait_for(again, "the second sandbox's container")
    check_environment(api, "reborn", device)
    assert node.log().count("prepared") == prepared
    assert len(node.claim_records()) == 1
