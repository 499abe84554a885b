# SPDX-License-Identifier: Apache-2.0
"""Pods with containerd, NRI and the reference CNI plugins, and with sriov-cni where there is one."""
import glob
import itertools
import os
import random
import shutil
import threading

import pytest
import yaml

import machine
from capture import capture
from conftest import SEED, differences, record
from containers import Refused
from machine import PF0, PF1, VFS, at_pf, ip, netdev, vfs, wait_for
from node import CDI, CLUSTER, Pod, Unreachable

pytestmark = pytest.mark.needs("vf-state", "binding-vfio", "runtime-nri", "netconf-cni")
SRIOV_CNI = "/data/driver/sriov"
PODS, AT_ONCE = 12, 4  # of the random lives


@pytest.fixture
def node(node):
    for number in range(1, PODS + 1):
        node.network(f"net{number}", {
            "type": "host-device",
            "ipam": {"type": "static", "addresses": [{"address": f"10.56.0.{number}/24"}]}},
            {"type": "tuning", "mtu": 1400, "mac": f"02:00:00:00:56:{number:02x}", "sysctl": {"net.ipv4.conf.IFNAME.arp_announce": "2"}})
    return node


def start_pod(node, runtime, *addresses, **config):
    """As kubelet does it. Returns claim, sandbox and container."""
    pod = Pod()
    claim = node.claim(*addresses, pod=pod, **config)
    names = node.prepare(claim)
    sandbox = runtime.run_sandbox(pod)
    return claim, sandbox, runtime.run_container(sandbox, names)


def end_pod(node, runtime, claim, sandbox):
    runtime.remove_sandbox(sandbox)
    node.unprepare(claim)


def addresses(link):
    return [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["family"] == "inet"]


def network_data(node, claim):
    """What the claim's status says of its network, once it does."""
    def read():
        text = machine.run("cat", f"{CLUSTER}/{claim.file}.yaml")
        entries = yaml.safe_load(text).get("status", {}).get("devices") or []
        return [e["networkData"] for e in entries if e.get("networkData")]
    return wait_for(read, "networkData in the claim's status")


def test_two_pods_talk_through_the_card(driver, runtime):
    first, second = vfs(PF0)[0], vfs(PF0)[1]
    one = start_pod(driver, runtime, first, ifName="net1", netAttachDefName="net1")
    two = start_pod(driver, runtime, second, ifName="data0", netAttachDefName="net2")
    links = runtime.links(one[1])
    assert set(links) == {"lo", "eth0", "net1"}
    link = links["net1"]
    assert (link["mtu"], link["address"], addresses(link)) == (1400, "02:00:00:00:56:01", ["10.56.0.1/24"])
    assert runtime.in_network_of(one[1], "cat", "/proc/sys/net/ipv4/conf/net1/arp_announce") == "2\n"
    assert set(runtime.links(two[1])) == {"lo", "eth0", "data0"}
    capture("e-vfs-in-pods")
    assert netdev(first) is None, "in the host there is nothing left of it"
    data = network_data(driver, one[0])
    assert data == [{"interfaceName": "net1", "ips": ["10.56.0.1/24"], "hardwareAddress": "02:00:00:00:56:01"}]
    wait_for(lambda: "LOWER_UP" in runtime.links(one[1])["net1"]["flags"], "the carrier")
    said = wait_for(lambda: ping(runtime, one[2], "10.56.0.2"), "an answer through the card's switch")
    assert " 0% packet loss" in said
    for claim, sandbox, _ in (one, two):
        end_pod(driver, runtime, claim, sandbox)
    assert not differences()


def ping(runtime, container, address):
    try:
        return runtime.execute(container, "busybox", "ping", "-c", "3", "-W", "5", address)
    except AssertionError:
        return None


def test_two_vfs_in_one_pod(driver, runtime):
    """Of two ports, named by the driver."""
    pod = Pod()
    claims = [driver.claim(vfs(PF0)[2], pod=pod, netAttachDefName="net3"),
              driver.claim(vfs(PF1)[2], pod=pod, netAttachDefName="net4")]
    names = [name for claim in claims for name in driver.prepare(claim)]
    sandbox = runtime.run_sandbox(pod)
    container = runtime.run_container(sandbox, dict.fromkeys(names))
    links = runtime.links(sandbox)
    assert set(links) == {"lo", "eth0", "vfnet0", "vfnet1"}
    assert [addresses(links[name]) for name in ("vfnet0", "vfnet1")] == [["10.56.0.3/24"], ["10.56.0.4/24"]]
    environment = dict(line.split("=", 1) for line in runtime.execute(container, "env").splitlines())
    # The order is that of the claims' uids.
    assert sorted(environment["SRIOVNETWORK_PCI_ADDRESSES"].split(",")) == [vfs(PF0)[2], vfs(PF1)[2]]
    runtime.remove_sandbox(sandbox)
    for claim in claims:
        driver.unprepare(claim)
    assert not differences()


@pytest.mark.skipif(not os.path.exists(SRIOV_CNI), reason="SRIOV_CNI names no binary of sriov-cni")
@pytest.mark.ports_changed
def test_a_vf_through_sriov_cni(driver, runtime):
    shutil.copy(SRIOV_CNI, "/opt/cni/bin/sriov")
    vf = vfs(PF0)[1]
    driver.network("sriov", {"type": "sriov", "vlan": 9, "spoofchk": "off", "trust": "on", "mac": "02:00:00:00:56:09",
                             "ipam": {"type": "static", "addresses": [{"address": "10.56.0.9/24"}]}})
    claim, sandbox, _ = start_pod(driver, runtime, vf, ifName="net1", netAttachDefName="sriov")
    link, port = runtime.links(sandbox)["net1"], at_pf(PF0, 1)
    assert (link["address"], addresses(link)) == ("02:00:00:00:56:09", ["10.56.0.9/24"])
    assert (port["address"], port["spoofchk"], port["trust"]) == ("02:00:00:00:56:09", False, True)
    assert port["vlan_list"][0]["vlan"] == 9
    end_pod(driver, runtime, claim, sandbox)
    # igb has no way to take back that an address is set at the PF: new VFs have none.
    left = [line for line in differences().splitlines() if "address" not in line]
    machine.set_numvfs(PF0, 0)
    machine.set_numvfs(PF0, VFS)
    assert not left


def test_a_pod_that_drives_its_vf_itself(driver, runtime):
    vf = vfs(PF1)[0]
    claim, sandbox, container = start_pod(driver, runtime, vf, driver="vfio-pci")
    said = runtime.execute(container, "/bin/vfio_user", machine.group(vf), vf)
    assert "map dma: ok" in said and "reset: ok" in said
    assert f"_VFIO_DEVICE=/dev/vfio/{machine.group(vf)}" in runtime.execute(container, "env")
    end_pod(driver, runtime, claim, sandbox)
    assert not differences()


def test_the_runtime_is_killed_while_a_pod_runs(driver, runtime):
    vf = vfs(PF0)[3]
    claim, sandbox, _ = start_pod(driver, runtime, vf, ifName="net1", netAttachDefName="net1")
    runtime.kill()
    runtime.start()
    assert "net1" in runtime.links(sandbox)
    # A new pod goes the whole way: the driver has connected again.
    other = start_pod(driver, runtime, vfs(PF0)[1], ifName="net1", netAttachDefName="net2")
    assert "net1" in runtime.links(other[1])
    end_pod(driver, runtime, other[0], other[1])
    end_pod(driver, runtime, claim, sandbox)
    assert not differences()


def test_a_sandbox_that_starts_while_the_driver_is_away(driver, runtime):
    """The runtime asks nobody then. The driver makes up for it, and until it has, no container of the claim starts."""
    pod = Pod()
    claim = driver.claim(vfs(PF0)[0], pod=pod, ifName="net1", netAttachDefName="net1")
    names = driver.prepare(claim)
    driver.kill()
    sandbox = runtime.run_sandbox(pod)
    assert "net1" not in runtime.links(sandbox)
    driver.start()
    wait_for(lambda: "net1" in runtime.links(sandbox), "the missed attach")
    runtime.run_container(sandbox, names)
    end_pod(driver, runtime, claim, sandbox)
    assert not differences()


def test_the_driver_is_killed_while_a_pod_runs_and_ends(driver, runtime):
    """The pod ends while nobody listens: the next start finds the device back in the host, under the pod's name."""
    vf = vfs(PF0)[0]
    claim, sandbox, _ = start_pod(driver, runtime, vf, ifName="net1", netAttachDefName="net1")
    driver.kill()
    runtime.remove_sandbox(sandbox)
    wait_for(lambda: netdev(vf), "the interface in the host")
    driver.start()
    driver.unprepare(claim)
    assert not differences()


def test_unprepare_before_the_sandbox_is_stopped(driver, runtime):
    """Not kubelet's order, but nothing forbids it."""
    vf = vfs(PF1)[1]
    claim, sandbox, _ = start_pod(driver, runtime, vf, ifName="net1", netAttachDefName="net1")
    driver.unprepare(claim)
    assert "net1" not in runtime.links(sandbox)
    assert not differences()
    runtime.remove_sandbox(sandbox)
    assert not differences()


ATTACH = ("attach.intent", "attach.added", "attach.attached", "attach.marked")
DETACH = ("detach.begun", "detach.deleted", "detach.settled", "detach.done")


@pytest.mark.parametrize("place", ATTACH)
def test_killed_in_an_attach(node, runtime, place):
    """The runtime goes on without the driver; the pod's container waits for the next one."""
    node.start(faults=True, DRASRIOV_CRASH_AT=place)
    pod = Pod()
    claim = node.claim(vfs(PF0)[2], pod=pod, ifName="net1", netAttachDefName="net3")
    names = node.prepare(claim)
    sandbox = runtime.run_sandbox(pod)
    wait_for(lambda: not node.alive(), "the driver's death")
    node.start()
    wait_for(lambda: "net1" in runtime.links(sandbox), "the interrupted attach")
    wait_for(lambda: node.container_may_start(claim), "the claim to be attached")
    runtime.run_container(sandbox, names)
    end_pod(node, runtime, claim, sandbox)
    assert not node.records() and not differences()


@pytest.mark.parametrize("place", DETACH)
def test_killed_in_a_detach(node, runtime, place):
    node.start(faults=True, DRASRIOV_CRASH_AT=place)
    claim, sandbox, _ = start_pod(node, runtime, vfs(PF0)[2], ifName="net1", netAttachDefName="net3")
    runtime.remove_sandbox(sandbox)
    wait_for(lambda: not node.alive(), "the driver's death")
    node.start()
    node.unprepare(claim)
    assert not node.records() and not glob.glob(f"{CDI}/*") and not differences()


class Lives:
    """Pods that are taken through their lives in a random order while the driver is killed, at random moments of a step, and the
    runtime between steps. Each step is repeated until it succeeds, as kubelet does it."""

    def __init__(self, node, runtime, choice):
        self.node, self.runtime, self.choice = node, runtime, choice
        self.attempts = itertools.count()
        self.driver_kills = self.runtime_kills = 0

    def life(self, vf, number):
        """The steps of one pod."""
        kernel = self.choice.random() < 0.7
        pod = Pod()
        claim = (self.node.claim(vf, pod=pod, ifName="net1", netAttachDefName=f"net{number + 1}") if kernel
                 else self.node.claim(vf, pod=pod, driver="vfio-pci"))
        names = self.again(lambda: self.node.prepare(claim))
        yield
        sandbox = self.again(lambda: self.sandbox(pod))
        yield
        container = self.again(lambda: self.runtime.run_container(sandbox, names))
        if kernel:
            assert addresses(self.runtime.links(sandbox)["net1"]) == [f"10.56.0.{number + 1}/24"]
        else:
            assert "reset: ok" in self.runtime.execute(container, "/bin/vfio_user", machine.group(vf), vf)
        yield
        self.again(lambda: self.runtime.remove_sandbox(sandbox))
        yield
        self.again(lambda: self.node.unprepare(claim))

    def sandbox(self, pod):
        """A sandbox that did not start is removed first, and the next one has another number."""
        for one in self.runtime.sandboxes_of(pod):
            self.runtime.remove_sandbox_by_id(one)
        return self.runtime.run_sandbox(pod, next(self.attempts))

    def again(self, step):
        """The step, with a driver that perhaps dies in it, until it has succeeded."""
        killer = None
        if self.choice.random() < 0.3:
            killer = threading.Timer(self.choice.random() * 1.5, self.node.kill)
            killer.start()
            self.driver_kills += 1
        refusals = []

        def succeeds():
            try:
                return (step(),)
            except (Unreachable, Refused) as error:
                refusals.append(str(error))
                if not self.node.alive():
                    self.node.start()
                return None
        done = wait_for(succeeds, lambda: f"a step to succeed: {refusals[-3:]}")
        if killer:
            killer.join()
            if not self.node.alive():
                self.node.start()
        return done[0]

    def run(self):
        waiting, running = list(range(PODS)), {}
        free = vfs(PF0) + vfs(PF1)
        while waiting or running:
            if waiting and len(running) < AT_ONCE:
                vf = free.pop(self.choice.randrange(len(free)))
                running[vf] = self.life(vf, waiting.pop())
            vf = self.choice.choice(list(running))
            if next(running[vf], "over") == "over":
                del running[vf]
                free.append(vf)
            # At the latest when half of the pods have begun: one run in twenty would not do it at all.
            if self.choice.random() < 0.05 or (not self.runtime_kills and len(waiting) <= PODS // 2):
                self.runtime.kill()
                self.runtime.start()
                self.runtime_kills += 1


@pytest.mark.ports_changed
def test_twelve_pods_and_kills(driver, runtime):
    # With addresses that are set, each VF must come back with its own, whatever it was bound to.
    for number, vf in enumerate(vfs(PF0) + vfs(PF1)):
        ip("link", "set", netdev(vf), "address", f"02:00:00:00:77:0{number}")
    record()
    lives = Lives(driver, runtime, random.Random(SEED))
    lives.run()
    print(f"driver killed {lives.driver_kills} times, runtime {lives.runtime_kills} times")
    assert not driver.records() and not differences()
