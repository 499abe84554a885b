# SPDX-License-Identifier: Apache-2.0
"""The checker finds what it is there for: faults planted by hand."""
import os

import pytest

import machine
from conftest import differences, record
from machine import PF0, ip, netdev, vfs
from node import CDI, DATA


def planted_file(path):
    def plant(_):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii"):
            pass
        return lambda: os.unlink(path)
    return plant


def at_the_pf(*words):
    """iproute2 takes several settings in one command; the last two words of the pair bring it back."""
    *there, back = words

    def plant(_):
        ip("link", "set", netdev(PF0), "vf", "1", *there)
        return lambda: ip("link", "set", netdev(PF0), "vf", "1", *back)
    return plant


def renamed(vf):
    name = netdev(vf)
    ip("link", "set", name, "name", "net1")
    return lambda: ip("link", "set", "net1", "name", name)


def with_mtu(vf):
    ip("link", "set", netdev(vf), "mtu", "1400")
    return lambda: ip("link", "set", netdev(vf), "mtu", "1500")


def with_address(vf):
    ip("address", "add", "10.1.1.1/24", "dev", netdev(vf))
    return lambda: ip("address", "flush", "dev", netdev(vf))


def with_another_mac(vf):
    before = machine.read("/sys/class/net", netdev(vf), "address")
    ip("link", "set", netdev(vf), "address", "02:00:00:00:00:a1")
    return lambda: ip("link", "set", netdev(vf), "address", before)


def with_alias(vf):
    ip("link", "set", netdev(vf), "alias", "eth9")
    return lambda: ip("link", "set", netdev(vf), "alias", "")


def other_driver(vf):
    machine.rebind(vf, "vfio-pci")
    return lambda: machine.rebind(vf, "igbvf")


def overridden(vf):
    machine.write(f"{machine.PCI}/{vf}/driver_override", "vfio-pci")
    return lambda: machine.write(f"{machine.PCI}/{vf}/driver_override", "")


FAULTS = {
    "driver": (other_driver, "driver: igbvf -> vfio-pci"),
    "override": (overridden, "driver_override: (null) -> vfio-pci"),
    "name": (renamed, "-> ['net1']"),
    "mtu": (with_mtu, "mtu: 1500 -> 1400"),
    "MAC": (with_another_mac, "-> 02:00:00:00:00:a1"),
    "alias": (with_alias, "ifalias:  -> eth9"),
    "address": (with_address, "IP: [] -> ['10.1.1.1']"),
    "vlan": (at_the_pf("vlan", "7", ("vlan", "0")), "at PF: vlan"),
    "trust": (at_the_pf("trust", "on", ("trust", "off")), "at PF: trust: False -> True"),
    "spoof check": (at_the_pf("spoofchk", "off", ("spoofchk", "on")), "at PF: spoofchk: True -> False"),
    "CDI document": (planted_file(f"{CDI}/left.json"), "CDI document /var/run/cdi/left.json"),
    "record": (planted_file(f"{DATA}/claims/left.json"), "record /var/lib/kubelet"),
    "marker": (planted_file(f"{DATA}/attached/uid/sandbox"), "record /var/lib/kubelet"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(ports, fault):
    plant, expected = FAULTS[fault]
    vf = vfs(PF0)[1]
    assert not differences()
    record()  # a test before may have left another random address
    mend = plant(vf)
    found = differences()
    mend()
    assert expected in found
    machine.wait_for(lambda: not differences(), lambda: f"what was mended to count as such: {differences()}")


@pytest.mark.ports_changed
def test_an_address_set_at_the_pf_is_found(ports):
    """igb has no way back from it but new VFs."""
    ip("link", "set", netdev(PF0), "vf", "2", "mac", "02:00:00:00:00:a0")
    assert "at PF: address: 00:00:00:00:00:00 -> 02:00:00:00:00:a0" in differences()
    machine.set_numvfs(PF0, 0)
    found = differences()
    assert found.count(": gone") == machine.VFS
    machine.prepare_ports()
    assert found != differences()
