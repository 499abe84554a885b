# SPDX-License-Identifier: Apache-2.0
"""demo/vfio-driver: its manifest as it is, and what its README says to look at. The API server is the folder cluster; claim
controller and scheduler are those of demo/players.py."""
import pathlib
import shutil

import pytest

import machine
import players
from conftest import differences
from machine import wait_for
from node import CLUSTER, Claim, Pod

MANIFEST = "/data/demo/vfio-driver/vfio-driver.yaml"


def bound_to(address):
    """What the driver's own list says of the VF."""
    [line] = [line for line in machine.run("/data/driver/bin/dra-driver-sriov", "devices").splitlines() if address in line]
    return line.split()


@pytest.mark.needs("binding-vfio", "mount-vhost")
def test_vfio_driver(driver, runtime):
    wait_for(driver.devices, "the pool")
    shutil.copy(MANIFEST, CLUSTER)
    cluster = players.Cluster(pathlib.Path(CLUSTER))
    [described] = cluster.objects("Pod")
    pod = Pod(described["metadata"]["name"], namespace=described["metadata"]["namespace"])
    described["metadata"]["uid"] = pod.uid
    made = players.make_claim(cluster, described, "pod0-vf")
    [device] = players.allocate(cluster, made, described)
    vf = players.own_attributes(device)["pciAddress"]["string"]
    assert machine.driver(vf) == "igbvf"
    claim = Claim("pod0-vf", made["metadata"]["uid"], [device["name"]], pod)
    driver.claims[claim.uid] = claim

    names = driver.prepare(claim)
    [container] = described["spec"]["containers"]
    runtime.name_image(container["image"])
    sandbox = runtime.run_sandbox(pod)
    running = runtime.run_container(sandbox, names, container["image"], container["command"])
    assert machine.driver(vf) == "vfio-pci" and "vfio-pci" in bound_to(vf), "the claim wins over its class"

    group = machine.group(vf)

    def output():
        text = runtime.log(sandbox)  # comes line by line
        return text if "VFIO_DEVICE" in text and "PCI_ADDRESSES" in text and "tun" in text else None

    lines = wait_for(output, "the container's output").splitlines()
    shown = {line.split()[-1] for line in lines if line.startswith("c")}
    assert shown == {group, "vfio", "/dev/vhost-net", "/dev/net/tun"}
    assert f"SRIOVNETWORK_{device['name'].replace('-', '_')}_VFIO_DEVICE=/dev/vfio/{group}" in lines
    assert f"SRIOVNETWORK_PCI_ADDRESSES={vf}" in lines
    said = runtime.execute(running, "/bin/vfio_user", group, vf)
    assert "map dma: ok" in said and "reset: ok" in said

    runtime.remove_sandbox(sandbox)
    driver.unprepare(claim)
    driver.remove("vfio-driver")
    assert machine.driver(vf) == "igbvf" and "igbvf" in bound_to(vf)
    assert not driver.records() and not differences()
