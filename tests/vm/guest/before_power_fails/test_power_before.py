# SPDX-License-Identifier: Apache-2.0
"""Claims that are held, and a pod that runs, when the machine loses its power; after_power_failed goes on from there. Nothing
is taken down."""
import json
import os
import pathlib

from containers import Runtime
from machine import PF0, PF1, netdev, vfs
from node import LOG, Node, Pod

NETWORK = ({"type": "host-device", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.57.0.0/24"}]]}},)


def test_claims_are_held(ports):
    node = Node()
    node.new_cluster()
    node.configure()
    node.network("net1", *NETWORK)
    runtime = Runtime().start()
    with open(LOG, "ab") as log:
        log.write(b"--- before the power fails\n")
    node.start()
    pod = Pod()
    held = {"bound": node.claim(vfs(PF0)[0], driver="vfio-pci"), "plain": node.claim(vfs(PF0)[1]),
            "network": node.claim(vfs(PF1)[0], pod=pod, ifName="net1", netAttachDefName="net1"),
            "ended": node.claim(vfs(PF1)[1], driver="vfio-pci")}
    names = {key: node.prepare(claim) for key, claim in held.items()}
    sandbox = runtime.run_sandbox(pod)
    runtime.run_container(sandbox, names["network"])
    assert "net1" in runtime.links(sandbox) and netdev(vfs(PF1)[0]) is None
    node.unprepare(held["ended"])
    pathlib.Path("/data/held.json").write_text(json.dumps({
        "sandbox": sandbox.id,
        "claims": {key: {"name": c.name, "uid": c.uid, "devices": c.devices, "pod": [c.pod.name, c.pod.uid]}
                   for key, c in held.items() if key != "ended"},
        "names": names}), encoding="utf-8")
    # What this file and the containers need is on the disk; what the driver needs is its own business.
    descriptor = os.open("/data/held.json", os.O_RDONLY)
    os.fsync(descriptor)
    pathlib.Path("/run/power-fails").touch()
