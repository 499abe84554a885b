# SPDX-License-Identifier: Apache-2.0
"""The folders of demo/ on a node: kubectl applies the same files, and what each README says to look at is there. vfio-driver
needs the kernel's vfio: tests/vm runs it."""
import os
import subprocess
from pathlib import Path

import pytest

from harness.api import DRIVER, NAMESPACE, attribute, or_none
from harness.control_plane import NODE, wait_for
from harness.network import leases
from node import make_image

DEMO = Path(__file__).resolve().parents[2] / "demo"


class Demo:
    """One folder, applied and deleted with kubectl as its README says."""

    def __init__(self, plane, api, name, folder):
        self.plane, self.api, self.name = plane, api, name
        # The READMEs have the reader put the node's name in.
        self.files = folder / "demo"
        self.files.mkdir()
        for source in [*(DEMO / name).glob("*.yaml"), *(DEMO / "played").glob(f"{name}.yaml")]:
            text = source.read_text(encoding="utf-8").replace("demo-node", NODE)
            (self.files / f"{source.parent.name}-{source.name}").write_text(text, encoding="utf-8")

    def kubectl(self, *arguments):
        return subprocess.run(
            [self.plane.testcluster, "kubectl", f"--kubeconfig={self.plane.kubeconfig}", f"--cache-dir={os.environ['DRASRIOV_E2E_STATE']}/kubectl",
             *arguments], check=True, capture_output=True, text=True).stdout

    def apply(self):
        self.kubectl("apply", "-f", self.files)

    def ready(self):
        self.kubectl("-n", self.name, "wait", "pod/pod0", "--for=condition=Ready", "--timeout=90s")

    def delete(self):
        # The containers sleep, and as a pod's first process they hear no signal that they have not asked for.
        self.kubectl("-n", self.name, "delete", "pod/pod0", "--ignore-not-found", "--grace-period=1")
        self.kubectl("delete", "-f", self.files, "--ignore-not-found")

    def environment(self):
        """The variables of the driver that the pod's container prints at its start."""
        def printed():
            found = dict(line.split("=", 1) for line in self.log().splitlines() if line.startswith("SRIOVNETWORK_"))
            assert found, "nothing is printed yet"
            return found
        return wait_for(printed, "the output of pod0")

    def log(self):
        return self.kubectl("-n", self.name, "logs", "pod0")

    def claim(self):
        claims = self.api.resource.list_namespaced_resource_claim(self.name).items
        assert len(claims) == 1, [claim.metadata.name for claim in claims]
        return claims[0]

    def allocated(self):
        """Driver → devices, by the scheduler."""
        found = {}
        for result in self.claim().status.allocation.devices.results:
            found.setdefault(result.driver, []).append(result.device)
        return found

    def networks(self):
        """Interface → addresses, of the claim's status."""
        return {d.network_data.interface_name: d.network_data.ips for d in self.claim().status.devices or [] if d.network_data}


def address_of(device):
    return device.replace("-", ":", 2).replace("-", ".")


@pytest.fixture(scope="module", autouse=True)
def demo_image(plane, tmp_path_factory):
    """The image that the demos name."""
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    make_image.write(plane.runtime / "busybox", archive, ["docker.io/library/busybox:1.36"])
    plane.import_images(archive)


@pytest.fixture
def demo(plane, api, tmp_path):
    made = []

    def make(name):
        made.append(Demo(plane, api, name, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.delete()


@pytest.fixture
def networks(definitions, made, plane):
    """The node's plugin `sriov` is host-device here: it moves the device that the driver names, and these VFs have no card
    behind them whose VLANs and rates the real one would set (tests/vm)."""
    (made.folder / "cni/sriov").symlink_to(plane.runtime / "host-device")


@pytest.mark.parametrize("name, interfaces", [("single-vf-claim", {"net1"}), ("multiple-vf-claim", {"vfnet0", "vfnet1"})])
def test_a_network(api, networks, made, machine, demo, name, interfaces):
    made.start()
    wait_for(lambda: len(api.pool() or {}) == machine.count, "the pool")
    shown = demo(name)
    shown.apply()
    shown.ready()
    [devices] = shown.allocated().values()
    variables = shown.environment()
    assert sorted(variables["SRIOVNETWORK_PCI_ADDRESSES"].split(",")) == sorted(map(address_of, devices))
    assert variables["SRIOVNETWORK_NET_ATTACH_DEF_NAME"] == "vf-test1"
    reported = wait_for(lambda: len(networks := shown.networks()) == len(interfaces) and networks, "the claim's networkData")
    assert set(reported) == interfaces
    log = shown.log()
    for interface, [address] in reported.items():
        assert f" {interface}: " in log or f" {interface}@" in log, log
        assert f"inet {address} " in log, log
    assert sorted(address.split("/")[0] for [address] in reported.values()) == leases()
    shown.delete()
    wait_for(lambda: not made.claim_records() and not leases(), "the claim to end")


def test_names_by_a_filter(api, driver, demo):
    driver().start()
    wait_for(lambda: len(api.pool() or {}) == 8, "the pool")
    shown = demo("resource-filtering")
    shown.apply()
    shown.kubectl("-n", NAMESPACE, "wait", "sriovresourcefilter/resource-filtering", "--for=condition=Accepted", "--timeout=90s")
    shown.ready()
    [[device]] = shown.allocated().values()
    devices = api.pool()
    names = {attribute(devices[name], f"{DRIVER}/resourceName") for name in devices}
    assert names == {"eth0_resource", "eth1_resource"}
    assert attribute(devices[device], f"{DRIVER}/resourceName") == "eth1_resource"
    assert shown.environment()["SRIOVNETWORK_PCI_ADDRESSES"] == address_of(device)
    shown.delete()
    wait_for(lambda: or_none(api.custom.get_namespaced_custom_object, DRIVER, "v1alpha1", NAMESPACE, "sriovresourcefilters",
                             "resource-filtering") is None, "the filter to go")


def test_a_gpu_on_the_same_node_and_root(api, driver, demo):
    """What the scheduler makes of it; nobody here prepares a GPU, so the pod does not start."""
    driver().start()
    wait_for(lambda: len(api.pool() or {}) == 8, "the pool")
    shown = demo("resource-alignment")
    shown.apply()
    allocated = wait_for(lambda: shown.claim().status.allocation and shown.allocated(), "the allocation")
    assert allocated["gpu.example.com"] == ["gpu-1"]
    [device] = allocated[DRIVER]
    found = api.pool()[device]
    assert attribute(found, "resource.kubernetes.io/numaNode") == 1
    assert attribute(found, "resource.kubernetes.io/pcieRoot") == "pci0000:40"
