# SPDX-License-Identifier: Apache-2.0
"""The driver's main job, narrated: called by demo/run, which has built the programs."""

from __future__ import annotations

import argparse
import json
import pathlib
import signal
import sys
import time

import yaml

from players import (
    HERE, PATIENCE, Machine, Programs, allocate, claim_status, expect, make_claim, own_attributes, perform, published, resolve, say,
    show_slices, wait_for,
)  # fmt: skip

def play(programs: Programs, machine: Machine) -> None:
    before = machine.fingerprint()

    say.step("The driver starts, registers with kubelet and publishes its devices")
    began = time.monotonic()
    process = programs.start()
    try:
        wait_for("a registration socket", lambda: process.poll() is not None or any(machine.registry.iterdir()))
        expect(process.poll() is None, f"the driver ended with status {process.returncode}")
        registered = programs.kubelet("register")
        say.fact("registered", f"{registered['name']} ({', '.join(registered['supportedVersions'])}), "
                               f"{(time.monotonic() - began) * 1000:.0f} ms after the start")  # fmt: skip
        slices = wait_for("ResourceSlices in the cluster", lambda: published(machine))
        show_slices(slices)
        run_claim(programs, machine)

        say.step("The driver is stopped")
        process.send_signal(signal.SIGTERM)
        expect(process.wait(PATIENCE) == 0, f"the driver's exit status is {process.returncode}")
        sockets = [p.name for folder in (machine.registry, machine.data) for p in folder.iterdir() if p.is_socket()]
        expect(not sockets, f"sockets are left: {', '.join(sockets)}")
        expect(machine.fingerprint() == before, "something was written into the machine's sysfs")
        say.good("exit status 0, no socket left, sysfs untouched")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_claim(programs: Programs, machine: Machine) -> None:
    pod = machine.object("Pod", "router")
    claim = make_claim(machine, pod, "router-vf")
    uid = claim["metadata"]["uid"]

    say.step("A pod asks for a VF; the scheduler picks one")
    [device] = allocate(machine, claim, pod)
    attributes = own_attributes(device)
    address = attributes["pciAddress"]["string"]
    say.fact("claim", f"default/router-vf, template one-vf, UID {uid}")
    say.fact("device", f"{device['name']}: VF {attributes['vfID']['int']} of {attributes['PFName']['string']}, "
                       f"resource {attributes['resourceName']['string']}")  # fmt: skip

    say.step("kubelet calls NodePrepareResources")
    answer = programs.kubelet("prepare", claim)
    prepared = answer["claims"][uid]
    expect(not prepared["error"], f"prepare: {prepared['error']}")
    expect([d["deviceName"] for d in prepared["devices"]] == [device["name"]], "another device was prepared")
    say.fact("answer", f"after {answer['milliseconds']:.1f} ms, with a new connection")
    say.block(json.dumps(prepared["devices"], indent=2))
    expect(programs.prepare(claim) == prepared["devices"], "a second call got another answer")
    say.good("a second call gets the same answer")

    say.step("The CDI specs from which the container runtime takes what a container gets")
    for path in sorted(machine.cdi.iterdir()):
        say.line(path.name)
        say.block(json.dumps(json.loads(path.read_text()), indent=2))
    ids = [name for entry in prepared["devices"] for name in entry["cdiDeviceIDs"]]
    environment = resolve(machine, ids)
    variable = "SRIOVNETWORK_VF_DEVICE_" + device["name"].replace("-", "_")
    expect(environment.get(variable) == address, f"the container's {variable} is {environment.get(variable)}")
    expect(environment.get("SRIOVNETWORK_PCI_ADDRESSES") == address, "SRIOVNETWORK_PCI_ADDRESSES is wrong")
    say.good(f"the {len(ids)} names of the answer resolve; the container sees {variable}={address}")

    say.step("The claim's status, and the machine's devices")
    status = wait_for("status.devices of the claim", lambda: claim_status(machine, claim))
    say.block(yaml.safe_dump(status, sort_keys=False))
    expect((status["pool"], status["device"]) == ("demo-node", device["name"]), "the status is about another device")
    ready = [c["status"] for c in status.get("conditions", []) if c["type"] == "Ready"]
    expect(ready == ["True"], "the status does not say Ready")
    table = programs.devices()
    expect(address in table, f"{address} is missing in the table of devices")
    say.block(table)

    say.step("While it is held, no other claim gets the device")
    second = make_claim(machine, pod, "second-vf")
    allocate(machine, second, pod, device["name"])
    refused = programs.kubelet("prepare", second)["claims"][second["metadata"]["uid"]]["error"]
    expect("router-vf" in refused, f"the second claim was answered with: {refused or 'success'}")
    say.good(f"refused: {refused}")

    say.step("The pod ends; kubelet calls NodeUnprepareResources")
    programs.unprepare(claim)
    programs.unprepare(claim)
    left = machine.leftovers()
    expect(not left, f"left behind: {', '.join(left)}")
    say.good("no CDI spec and no journal record is left; a second call is fine too")
    expect(programs.prepare(second)[0]["deviceName"] == device["name"], "the device is not free again")
    programs.unprepare(second)
    left = machine.leftovers()
    expect(not left, f"left behind: {', '.join(left)}")
    say.good(f"{device['name']} is free again: now the other claim gets it, and gives it back")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="build tree with the programs")
    parser.add_argument("--keep", action="store_true", help="keep the demo's folder")
    arguments = parser.parse_args()

    machine = Machine(*sorted((HERE / "cluster").glob("*.yaml")))

    def story() -> None:
        say.title("dra-driver-sriov: one VF for one pod, prepared and given back")
        say.fact("machine", "captured sysfs of two Intel 82576 ports with four VFs each")
        say.fact("cluster", f"a folder of YAML files, {machine.cluster}")
        play(Programs(arguments.build.resolve(), machine), machine)

    return perform(machine, arguments.keep, story)


if __name__ == "__main__":
    sys.exit(main())
