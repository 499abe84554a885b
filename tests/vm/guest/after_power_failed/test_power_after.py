# SPDX-License-Identifier: Apache-2.0
"""The next boot after before_power_fails, on the same disk: the VFs are new ones, the records old ones."""
import glob
import json
import pathlib

import cri_pb2 as cri
import driver_pod
import machine
from conftest import differences
from containers import Runtime, Sandbox
from machine import PF0, PF1, vfs
from node import DATA, LOG, Claim, Pod, container_edits


def leases():
    return sorted(glob.glob("/var/lib/cni/networks/net1/10.*"))


def test_what_was_held_is_had_again_or_given_back(ports):
    before = json.loads(pathlib.Path("/share/out/held.json").read_text(encoding="utf-8"))
    runtime = Runtime().start()
    node = driver_pod.new_node(runtime)
    node.configure()
    with open(LOG, "ab") as log:
        log.write(b"--- after the power failed\n")
    held = {key: Claim(c["name"], c["uid"], c["devices"], Pod(*c["pod"])) for key, c in before["claims"].items()}
    assert node.records() == sorted(f"{claim.uid}.json" for claim in held.values())
    assert not [f for f in glob.glob(f"{DATA}/attached/*/*") if before["sandbox"] not in f]
    node.start()
    machine_as_booted = differences(vfs(PF0)[0])
    assert not machine_as_booted, "a record of another boot changed a VF"

    # Kubelet ends what is no more, and starts its pods again with the claims that they had.
    runtime.sandboxes.append(old := Sandbox(before["sandbox"], held["network"].pod, cri.PodSandboxConfig()))
    runtime.remove_sandbox(old)
    assert node.prepare(held["bound"]) == before["names"]["bound"]
    assert machine.driver(vfs(PF0)[0]) == "vfio-pci"
    assert container_edits(before["names"]["bound"])[1]
    said = machine.run("vfio_user", machine.group(vfs(PF0)[0]), vfs(PF0)[0])
    assert "reset: ok" in said
    assert node.prepare(held["network"]) == before["names"]["network"]
    sandbox = runtime.run_sandbox(held["network"].pod)
    runtime.run_container(sandbox, before["names"]["network"])
    link = runtime.links(sandbox)["net1"]
    assert [a["local"] for a in link["addr_info"] if a["family"] == "inet"][0].startswith("10.57.0.")
    # The DEL of before ran without a namespace, and host-device frees no address then.
    assert before["leases"] and set(before["leases"]) < set(leases())

    runtime.remove_sandbox(sandbox)
    for claim in held.values():  # the plain one was never asked for again: its pod is gone
        node.unprepare(claim)
    assert not node.records()
    assert leases() == before["leases"]
    node.stop()
    assert not differences()
    runtime.stop()
