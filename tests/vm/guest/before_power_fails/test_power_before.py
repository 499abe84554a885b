# SPDX-License-Identifier: Apache-2.0
"""Claims that are held, and a pod that runs, when the machine loses its power; after_power_failed goes on from there. Nothing
is taken down."""
import glob
import json
import os
import pathlib

import pytest

import driver_pod
from containers import Runtime
from machine import PF0, PF1, netdev, vfs
from node import CLUSTER, LOG, Pod

NETWORK = ({"type": "host-device", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.57.0.0/24"}]]}},)


def make_cluster_durable():
    """As an API server's database is. Before the driver starts: with ext4 this makes the names of all other files durable too."""
    for path in glob.glob(f"{CLUSTER}/*") + [CLUSTER]:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


@pytest.mark.needs("binding-vfio", "runtime-nri", "netconf-cni")
def test_claims_are_held(ports):
    runtime = Runtime().start()
    node = driver_pod.new_node(runtime)
    os.sync()  # a node has pulled its images long before; the driver is not started yet
    node.new_cluster()
    node.configure()
    node.network("net1", *NETWORK)
    with open(LOG, "ab") as log:
        log.write(b"--- before the power fails\n")
    pod = Pod()
    held = {"bound": node.claim(vfs(PF0)[0], driver="vfio-pci"), "plain": node.claim(vfs(PF0)[1]),
            "network": node.claim(vfs(PF1)[0], pod=pod, ifName="net1", netAttachDefName="net1"),
            "ended": node.claim(vfs(PF1)[1], driver="vfio-pci")}
    make_cluster_durable()
    node.start()
    names = {key: node.prepare(claim) for key, claim in held.items()}
    sandbox = runtime.run_sandbox(pod)
    runtime.run_container(sandbox, names["network"])
    assert "net1" in runtime.links(sandbox) and netdev(vfs(PF1)[0]) is None
    node.unprepare(held["ended"])
    # On the host, so that no file of the disk is made durable here: what the driver needs is its own business.
    pathlib.Path("/share/out/held.json").write_text(json.dumps({
        "sandbox": sandbox.id, "leases": sorted(glob.glob("/var/lib/cni/networks/net1/10.*")),
        "claims": {key: {"name": c.name, "uid": c.uid, "devices": c.devices, "pod": [c.pod.name, c.pod.uid]}
                   for key, c in held.items() if key != "ended"},
        "names": names}), encoding="utf-8")
    pathlib.Path("/run/power-fails").touch()
