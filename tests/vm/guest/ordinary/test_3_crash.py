# SPDX-License-Identifier: Apache-2.0
"""The driver is killed at each step of a prepare and of an unprepare that rebinds a VF (docs/crash-points.md), and started
again: the VF is bound for the claim or as before, and the same call then succeeds."""
import glob

import pytest

import machine
from conftest import differences
from machine import PF0, wait_for, vfs
from node import CDI, Unreachable

pytestmark = pytest.mark.needs("binding-vfio")
# Without prepare.state: no module of this node keeps a state of its own. The places of attach and detach: test_5_pods.py.
PREPARE = ("prepare.fetched", "prepare.planned", "prepare.snapshot", "prepare.intent", "prepare.bind", "prepare.bound",
           "prepare.spec", "prepare.pod_spec", "prepare.committed")
UNPREPARE = ("unprepare.begun", "unprepare.undo", "unprepare.undone", "unprepare.spec", "unprepare.pod_spec",
             "unprepare.erased")


def dies(node, method, claim):
    with pytest.raises(Unreachable):
        node.dra(method, [claim])
    wait_for(lambda: not node.alive(), "the driver's death")


@pytest.mark.parametrize("place", PREPARE)
def test_killed_in_a_prepare(node, place):
    vf = vfs(PF0)[0]
    node.start(faults=True, DRASRIOV_CRASH_AT=place)
    claim = node.claim(vf, driver="vfio-pci")
    dies(node, "Prepare", claim)
    if machine.driver(vf) != "igbvf" or differences(vf):
        assert node.records(), f"changed without a record: {differences()}"
    node.start()
    if not node.records():
        assert not differences(), "neither done nor undone"
    else:
        assert machine.driver(vf) == "vfio-pci" and place == "prepare.committed"
    node.prepare(claim)
    assert machine.driver(vf) == "vfio-pci" and not differences(vf)
    node.unprepare(claim)
    assert not differences()


@pytest.mark.parametrize("place", UNPREPARE)
def test_killed_in_an_unprepare(node, place):
    node.start(faults=True, DRASRIOV_CRASH_AT=place)
    claim = node.claim(vfs(PF0)[0], driver="vfio-pci")
    node.prepare(claim)
    dies(node, "Unprepare", claim)
    node.start()
    assert not differences(), "not undone by the start"
    assert not node.records() and not glob.glob(f"{CDI}/*")
    node.unprepare(claim)
