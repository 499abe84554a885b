# SPDX-License-Identifier: Apache-2.0
"""VFs that come and go while the driver runs."""
import time

import pytest

import machine
from capture import capture
from machine import PCI, PF0, PF1, VFS, netdev, vfs, wait_for, write


def read_directly():
    """PCI address → what the slices must say, from the kernel's own files."""
    found = {}
    for pf in (PF0, PF1):
        for number, vf in enumerate(vfs(pf)):
            found[vf] = {"pfPciAddress": pf, "vfID": number, "PFName": netdev(pf), "driver": machine.driver(vf),
                         "vendor": "8086", "deviceID": "10ca", "resource.kubernetes.io/pciBusID": vf,
                         "resource.kubernetes.io/numaNode": int(machine.read(PCI, vf, "numa_node")),
                         "linkType": "ethernet", "EswitchMode": "legacy"}
            if found[vf]["driver"] is None:
                del found[vf]["driver"]
    return found


def published(node, keys):
    return {vf: {key: value for key, value in attributes.items() if key in keys} for vf, attributes in node.devices().items()}


def wait_until_published(node):
    keys = {"pfPciAddress", "vfID", "PFName", "driver", "vendor", "deviceID", "resource.kubernetes.io/pciBusID",
            "resource.kubernetes.io/numaNode", "linkType", "EswitchMode"}
    wait_for(lambda: published(node, keys) == read_directly(),
             lambda: f"the slices to say {read_directly()}; they say {published(node, keys)}")


@pytest.mark.ports_changed
def test_vfs_made_while_the_driver_runs(driver, record_property):
    wait_until_published(driver)
    machine.set_numvfs(PF0, 0)
    wait_until_published(driver)
    assert len(driver.devices()) == VFS
    machine.set_numvfs(PF0, 7)
    begin = time.monotonic()
    wait_for(lambda: len(driver.devices()) == VFS + 7, "seven more devices")
    record_property("seconds_from_last_interface_to_slices", round(time.monotonic() - begin, 3))
    print("from the last VF's interface to the slices:", round(time.monotonic() - begin, 3), "s")
    wait_until_published(driver)
    capture("f-seven-vfs")


@pytest.mark.ports_changed
def test_a_vf_without_a_driver_is_published_without_one(driver):
    machine.set_numvfs(PF1, 0)
    write(f"{PCI}/{PF1}/sriov_drivers_autoprobe", 0)
    machine.set_numvfs(PF1, 2, bound=False)
    assert [machine.driver(vf) for vf in vfs(PF1)] == [None, None]
    wait_until_published(driver)


@pytest.mark.needs("binding-vfio")
@pytest.mark.ports_changed
def test_the_pf_driver_goes_and_comes_back(driver):
    """With a claim held on each port, one of them on vfio-pci: both devices vanish under it."""
    plain = driver.claim(vfs(PF0)[0])
    bound = driver.claim(vfs(PF1)[1], driver="vfio-pci")
    driver.prepare(plain)
    driver.prepare(bound)
    machine.run("modprobe", "-r", "igb")
    wait_for(lambda: not vfs(PF0) and not vfs(PF1), "no VF")
    # What is held stays published as it was; everything else goes.
    wait_for(lambda: len(driver.devices()) <= 2, lambda: f"the slices to be empty: {driver.devices()}")
    driver.unprepare(plain)
    driver.unprepare(bound)
    wait_until_published(driver)
    assert driver.devices() == {}
    machine.run("modprobe", "igb")
    machine.prepare_ports()
    wait_until_published(driver)
    assert len(driver.devices()) == 2 * VFS


def test_filters_by_port_numa_node_and_driver(driver):
    on_vfio = vfs(PF1)[3]
    machine.rebind(on_vfio, "vfio-pci")
    try:
        def named(*configs):
            driver.filter(*configs)
            expected = {}
            for vf in vfs(PF0) + vfs(PF1):
                for config in configs:
                    if any(matches(one, vf) for one in config["resourceFilters"]):
                        expected[vf] = config["resourceName"]
                        break

            def names():
                return {vf: a["resourceName"] for vf, a in driver.devices().items() if "resourceName" in a}
            wait_for(lambda: names() == expected and len(driver.devices()) == 2 * VFS,
                     lambda: f"{expected} by {configs}; there is {names()}")
            return sorted(expected.values())

        def matches(one, vf):
            values = {"pfNames": netdev(machine.link_to_pf(vf)), "numaNodes": machine.read(PCI, vf, "numa_node"),
                      "drivers": machine.driver(vf)}
            return all(values[key] in wanted for key, wanted in one.items())

        assert named({"resourceName": "left", "resourceFilters": [{"pfNames": [netdev(PF0)]}]},
                     {"resourceName": "right", "resourceFilters": [{"pfNames": [netdev(PF1)]}]}) == ["left"] * 4 + ["right"] * 4
        assert named({"resourceName": "near", "resourceFilters": [{"numaNodes": ["1"]}]}) == ["near"] * 4
        assert named({"resourceName": "user", "resourceFilters": [{"drivers": ["vfio-pci"]}]},
                     {"resourceName": "rest", "resourceFilters": [{"drivers": ["igbvf"], "numaNodes": ["1"]}]}
                     ) == ["rest"] * 3 + ["user"]
    finally:
        machine.rebind(on_vfio, "igbvf")
