# SPDX-License-Identifier: Apache-2.0
"""Claims that change the kernel driver of a VF, and what is there afterwards."""
import os
import re
import subprocess
import time

import pytest

import machine
from capture import capture
from conftest import differences, record
from machine import PCI, PF0, PF1, VFS, at_pf, group, ip, netdev, vfs, wait_for, write
from node import KUBELET_PATIENCE, container_edits

pytestmark = pytest.mark.needs("binding-vfio")
SETTINGS = ("vlan", "7", "qos", "3"), ("trust", "on"), ("spoofchk", "off"), ("max_tx_rate", "50")


def use(vf, cdi_names):
    """What a container with these devices does."""
    environment, nodes = container_edits(cdi_names)
    device = environment[f"SRIOVNETWORK_{vf.replace(':', '_').replace('.', '_').replace('-', '_')}_VFIO_DEVICE"]
    assert device == f"/dev/vfio/{group(vf)}"
    assert nodes == {device: device, "/dev/vfio/vfio": "/dev/vfio/vfio"}
    assert environment["SRIOVNETWORK_PCI_ADDRESSES"] == vf
    said = machine.run("vfio_user", group(vf), vf)
    assert "map dma: ok" in said and "identity 8086:10ca" in said and "reset: ok" in said and said.endswith("ready\n")


def test_a_vf_for_user_space_and_back(driver):
    vf = vfs(PF0)[1]
    claim = driver.claim(vf, driver="vfio-pci")
    names = driver.prepare(claim)
    assert machine.driver(vf) == "vfio-pci"
    assert not differences(vf)
    use(vf, names)
    assert driver.prepare(claim) == names, "the same answer again"
    assert "claim-" in driver.refusal(other := driver.claim(vf)), "another claim for a held device"
    driver.forget(other)
    driver.kill()
    driver.start()
    assert driver.prepare(claim) == names, "the same answer after a restart"
    use(vf, names)
    driver.unprepare(claim)
    assert machine.driver(vf) == "igbvf" and netdev(vf)
    assert not differences()


def test_kubelet_is_restarted(driver):
    """It registers the driver again and asks again for what it has; then for a claim that nobody else knows any more."""
    bound, plain = driver.claim(vfs(PF0)[1], driver="vfio-pci"), driver.claim(vfs(PF1)[1])
    names = [driver.prepare(claim) for claim in (bound, plain)]
    driver.register()
    assert [driver.prepare(claim) for claim in (bound, plain)] == names
    driver.forget(bound)  # deleted meanwhile, with its pod
    driver.register()
    assert not driver.dra("Unprepare", [bound])[bound.uid].error
    assert machine.driver(vfs(PF0)[1]) == "igbvf"
    driver.unprepare(plain)
    assert not differences() and not driver.records()


@pytest.mark.needs("vf-state")
@pytest.mark.ports_changed
def test_what_an_administrator_has_set_is_there_again(driver):
    vf = vfs(PF0)[2]
    for words in SETTINGS:
        ip("link", "set", netdev(PF0), "vf", "2", *words)
    ip("link", "set", netdev(PF0), "vf", "2", "mac", "02:00:00:00:00:b2")
    machine.rebind(vf, "vfio-pci")
    machine.rebind(vf, "igbvf")  # an address set at the PF is seen from the next bind on
    ip("link", "set", netdev(vf), "name", "traffic2")
    ip("link", "set", "traffic2", "mtu", "1400", "up")
    record()
    claim = driver.claim(vf, driver="vfio-pci")
    use(vf, driver.prepare(claim))
    # A guest's driver or a CNI plugin may change all of it.
    ip("link", "set", netdev(PF0), "vf", "2", "vlan", "0", "trust", "off")
    ip("link", "set", netdev(PF0), "vf", "2", "spoofchk", "on")
    ip("link", "set", netdev(PF0), "vf", "2", "mac", "02:00:00:00:00:c2")
    driver.unprepare(claim)
    assert not differences()
    assert netdev(vf) == "traffic2"
    now = at_pf(PF0, 2)
    assert (now["address"], now["trust"], now["spoofchk"]) == ("02:00:00:00:00:b2", True, False)
    assert machine.read("/sys/class/net/traffic2/address") == "02:00:00:00:00:b2"


@pytest.mark.ports_changed
def test_a_port_that_binds_no_driver_by_itself(driver):
    """sriov_drivers_autoprobe=0: a probe by the usual file does nothing, and says nothing."""
    unbound, bound = vfs(PF1)[0], vfs(PF1)[1]
    machine.set_numvfs(PF1, 0)
    write(f"{PCI}/{PF1}/sriov_drivers_autoprobe", 0)
    machine.set_numvfs(PF1, VFS, bound=False)
    machine.rebind(bound, "igbvf")
    wait_for(lambda: driver.devices().get(bound, {}).get("driver") == "igbvf", "the slices to name its driver")
    record()
    claims = [driver.claim(vf, driver="vfio-pci") for vf in (unbound, bound)]
    for claim, vf in zip(claims, (unbound, bound)):
        use(vf, driver.prepare(claim))
    for claim in claims:
        driver.unprepare(claim)
    assert (machine.driver(unbound), machine.driver(bound)) == (None, "igbvf")
    assert not differences()


def is_refused_while_open(driver, claim, vf, user):
    while not user.stdout.readline().startswith("ready"):
        assert user.poll() is None, "vfio_user ended"
    capture("d-vfio-held-open")
    begin = time.monotonic()
    error = driver.refusal(claim, "Unprepare")
    assert str(user.pid) in error and "vfio_user" in error, error
    assert time.monotonic() - begin < KUBELET_PATIENCE, "kubelet does not wait longer"
    assert machine.driver(vf) == "vfio-pci" and driver.alive()
    # The other devices do not wait for it. (Its interface is before the other's, so it gets its name even without vf-state.)
    other = driver.claim(vfs(PF1)[1], driver="vfio-pci")
    driver.prepare(other)
    driver.unprepare(other)


def test_a_device_that_a_process_has_open(driver):
    vf = vfs(PF1)[2]
    claim = driver.claim(vf, driver="vfio-pci")
    driver.prepare(claim)
    with subprocess.Popen(["vfio_user", group(vf), vf, "600"], stdout=subprocess.PIPE, text=True) as user:
        try:
            is_refused_while_open(driver, claim, vf, user)
        finally:
            user.kill()
    driver.unprepare(claim)
    assert not differences()


@pytest.mark.needs("mount-vhost")
def test_vhost_nodes(driver):
    vf = vfs(PF0)[3]
    subprocess.run(["modprobe", "-r", "vhost_net", "tun"], check=False, stderr=subprocess.DEVNULL)
    claim = driver.claim(vf, addVhostMount=True)
    _, nodes = container_edits(driver.prepare(claim))
    assert nodes == {"/dev/vhost-net": "/dev/vhost-net", "/dev/net/tun": "/dev/net/tun"}
    modules = machine.read("/proc/modules")
    assert re.search("^vhost_net ", modules, re.M) and re.search("^tun ", modules, re.M)
    for path in nodes.values():
        os.close(os.open(path, os.O_RDWR))
    driver.unprepare(claim)


@pytest.mark.ports_changed
def test_vfs_removed_under_prepared_claims(driver):
    vf, other = vfs(PF0)[0], vfs(PF0)[1]
    bound, plain = driver.claim(vf, driver="vfio-pci"), driver.claim(other)
    driver.prepare(bound)
    driver.prepare(plain)
    machine.set_numvfs(PF0, 0)
    assert "no such virtual function" in driver.refusal(bound), "a container without its device must not start again"
    driver.unprepare(bound)
    driver.unprepare(plain)
    assert driver.records() == []
    wait_for(lambda: set(driver.devices()) == set(vfs(PF1)), lambda: f"the slices to be without them: {driver.devices()}")


@pytest.mark.needs("vf-state")
@pytest.mark.ports_changed
@pytest.mark.parametrize("restarted", (False, True), ids=("running", "restarted"))
def test_a_new_vf_at_the_same_address_is_not_touched(driver, restarted):
    vf = vfs(PF0)[1]
    ip("link", "set", netdev(PF0), "vf", "1", "vlan", "7")
    claim = driver.claim(vf, driver="vfio-pci")
    driver.prepare(claim)
    if restarted:
        driver.kill()
    machine.set_numvfs(PF0, 0)
    machine.set_numvfs(PF0, VFS)
    assert vfs(PF0)[1] == vf and machine.driver(vf) == "igbvf"
    ip("link", "set", netdev(PF0), "vf", "1", "mac", "02:00:00:00:00:d1", "vlan", "9")
    machine.rebind(vf, "vfio-pci")
    machine.rebind(vf, "igbvf")
    ip("link", "set", netdev(vf), "name", "another")
    ip("link", "set", "another", "mtu", "1300")
    record()
    if restarted:
        driver.start()
    assert not differences(vf)
    driver.unprepare(claim)
    assert not differences()
    assert at_pf(PF0, 1)["vlan_list"][0]["vlan"] == 9
    # It can be had at once.
    again = driver.claim(vf, driver="vfio-pci")
    use(vf, driver.prepare(again))
    driver.unprepare(again)
    assert not differences()
