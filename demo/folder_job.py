# SPDX-License-Identifier: Apache-2.0
"""One of the demos for clusters, played on this machine with the same manifests: called by demo/run NAME.

Without a container runtime nobody asks for the interface of a pod: claims with a netAttachDefName are played without it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

from players import (
    DRIVER, HERE, PATIENCE, Machine, Programs, allocate, claim_status, edits, expect, make_claim, matches, own_attributes, perform,
    published, resolve, say, show_slices, wait_for,
)  # fmt: skip

POD_UID = "9b0d2e51-7c11-4a04-8b55-0e6f3a9c4d22"


def names_of(devices: list[dict]) -> str:
    return ", ".join(f"{d['name']} (VF {own_attributes(d)['vfID']['int']} of {own_attributes(d)['PFName']['string']})" for d in devices)


def driver_of(machine: Machine, address: str) -> str:
    link = machine.sysfs / "bus/pci/devices" / address / "driver"
    return os.path.basename(os.readlink(link)) if link.is_symlink() else "none"


def address_of(device: dict) -> str:
    return own_attributes(device)["pciAddress"]["string"]


# ---- what is special about each demo ----


class Demo:
    title = ""
    devices = 1
    kernel = False  # whether something writes into the machine's sysfs

    def prepare_machine(self, machine: Machine) -> None:
        """Before the driver starts."""

    def allocated(self, machine: Machine, claim: dict, devices: list[dict]) -> None:
        """After the scheduler."""

    def prepared(self, machine: Machine, devices: list[dict], answer: list[dict]) -> None:
        """After NodePrepareResources."""

    def given_back(self, machine: Machine, devices: list[dict]) -> None:
        """After NodeUnprepareResources."""


class SingleVfClaim(Demo):
    title = "one VF for one pod"


class MultipleVfClaim(Demo):
    title = "two VFs in one claim"
    devices = 2


class ResourceFiltering(Demo):
    title = "a VF by the name that a filter gave it"

    def allocated(self, machine: Machine, claim: dict, devices: list[dict]) -> None:
        every = [d for piece in published(machine) for d in piece["spec"]["devices"]]
        names = {own_attributes(d).get("resourceName", {}).get("string") for d in every}
        expect(names == {"eth0_resource", "eth1_resource"}, f"the names are {names}")
        [selector] = claim["spec"]["devices"]["requests"][0]["exactly"]["selectors"]
        admitted = [d for d in every if matches(selector["cel"]["expression"], DRIVER, d)]
        ports = {own_attributes(d)["PFName"]["string"] for d in admitted}
        expect(ports == {"eth1"} and devices[0] in admitted, f"the claim may have VFs of {ports}")
        say.good(f"of {len(every)} VFs the claim may have {len(admitted)}, all of eth1")


class VfioDriver(Demo):
    title = "a VF for user space, with vhost"
    kernel = True

    def prepare_machine(self, machine: Machine) -> None:
        for module in ("tun", "vhost_net"):
            (machine.sysfs / "module" / module).mkdir(parents=True)
        for node in ("vhost-net", "net/tun"):
            (machine.root / "dev" / node).parent.mkdir(exist_ok=True)
            (machine.root / "dev" / node).touch()

    def allocated(self, machine: Machine, claim: dict, devices: list[dict]) -> None:
        sources = [entry["source"] for entry in claim["status"]["allocation"]["devices"]["config"]]
        expect(sources == ["FromClass", "FromClaim"], f"the configuration comes from {sources}")
        say.fact("driver", f"{driver_of(machine, address_of(devices[0]))}; the class wants the default one, the claim vfio-pci")

    def prepared(self, machine: Machine, devices: list[dict], answer: list[dict]) -> None:
        address = address_of(devices[0])
        expect(driver_of(machine, address) == "vfio-pci", f"{address} is bound to {driver_of(machine, address)}")
        given = edits(machine, [name for entry in answer for name in entry["cdiDeviceIDs"]])
        nodes = [node["path"] for edit in given for node in edit.get("deviceNodes", [])]
        variable = f"SRIOVNETWORK_{devices[0]['name'].replace('-', '_')}_VFIO_DEVICE"
        environment = resolve(machine, [name for entry in answer for name in entry["cdiDeviceIDs"]])
        expect(environment.get(variable) in nodes, f"{variable} names none of {nodes}")
        expect({"/dev/vfio/vfio", "/dev/vhost-net", "/dev/net/tun"} < set(nodes), f"the device nodes are {nodes}")
        say.good(f"{address} is bound to vfio-pci; the container gets {', '.join(nodes)}")

    def given_back(self, machine: Machine, devices: list[dict]) -> None:
        address = address_of(devices[0])
        wait_for(f"{address} with its former driver", lambda: driver_of(machine, address) == "igbvf")
        say.good(f"{address} has its former driver igbvf again")


class ResourceAlignment(Demo):
    title = "a VF beside a GPU"

    def allocated(self, machine: Machine, claim: dict, devices: list[dict]) -> None:
        results = {r["request"]: r["device"] for r in claim["status"]["allocation"]["devices"]["results"]}
        attributes = devices[0]["attributes"]
        place = (attributes["resource.kubernetes.io/numaNode"]["int"], attributes["resource.kubernetes.io/pcieRoot"]["string"])
        expect(results["gpu"] == "gpu-1" and place == (1, "pci0000:40"), f"{results} are not aligned, the VF is at {place}")
        say.good(f"{results['vf']} and {results['gpu']} are both on NUMA node {place[0]}, below {place[1]}")


DEMOS = {
    "single-vf-claim": SingleVfClaim(),
    "multiple-vf-claim": MultipleVfClaim(),
    "resource-filtering": ResourceFiltering(),
    "vfio-driver": VfioDriver(),
    "resource-alignment": ResourceAlignment(),
}


# ---- the story that they share ----


@contextlib.contextmanager
def kernel(build: pathlib.Path, machine: Machine):
    """Who reacts to writes into the captured sysfs, as Linux would (tests/fake_kernel)."""
    player = subprocess.Popen([build / "tests/tools/kernel_player", machine.sysfs, machine.root / "dev"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)  # fmt: skip
    try:
        expect(player.stdout.readline() == b"ready\n", "the kernel's player did not start")
        yield
    finally:
        player.stdin.close()
        player.wait()


def without_network(claim: dict) -> bool:
    """Takes out what only a container runtime can lead to; returns whether there was anything."""
    parameters = [entry["opaque"]["parameters"] for entry in claim["spec"]["devices"].get("config", [])]
    return any([p.pop("netAttachDefName", None) for p in parameters])


def play(demo: Demo, programs: Programs, machine: Machine) -> None:
    before = machine.fingerprint()
    say.step("The driver starts and publishes its devices")
    process = programs.start()
    try:
        wait_for("a registration socket", lambda: process.poll() is not None or any(machine.registry.iterdir()))
        expect(process.poll() is None, f"the driver ended with status {process.returncode}")
        show_slices(wait_for("ResourceSlices in the cluster", lambda: published(machine)))
        run_pod(demo, programs, machine)
        say.step("The driver is stopped")
        process.send_signal(signal.SIGTERM)
        expect(process.wait(PATIENCE) == 0, f"the driver's exit status is {process.returncode}")
        expect(demo.kernel or machine.fingerprint() == before, "something was written into the machine's sysfs")
        say.good("exit status 0")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_pod(demo: Demo, programs: Programs, machine: Machine) -> None:
    [pod] = machine.objects("Pod")
    pod["metadata"]["uid"] = POD_UID
    claim = make_claim(machine, pod, "pod0-claim")
    say.step(f"Pod {pod['metadata']['namespace']}/{pod['metadata']['name']} comes; the scheduler picks")
    if without_network(claim):
        say.line("Not shown: the interface in the pod. It is made when a container runtime starts the pod's sandbox and calls")
        say.line("the CNI plugin; here is none. The claim is played without its netAttachDefName.")
    devices = allocate(machine, claim, pod)
    expect(len(devices) == demo.devices, f"{len(devices)} devices were allocated")
    say.fact("devices", names_of(devices))
    demo.allocated(machine, claim, devices)

    say.step("kubelet calls NodePrepareResources")
    answer = programs.prepare(claim)
    expect(sorted(d["deviceName"] for d in answer) == sorted(d["name"] for d in devices), "other devices were prepared")
    environment = resolve(machine, [name for entry in answer for name in entry["cdiDeviceIDs"]])
    for name, value in sorted(environment.items()):
        say.line(f"{name}={value}")
    addresses = {address_of(device) for device in devices}
    expect(set(environment["SRIOVNETWORK_PCI_ADDRESSES"].split(",")) == addresses, "SRIOVNETWORK_PCI_ADDRESSES is wrong")
    say.good("that is what the container sees")
    demo.prepared(machine, devices, answer)
    wait_for("status.devices of the claim", lambda: claim_status(machine, claim))

    say.step("The pod ends; kubelet calls NodeUnprepareResources")
    programs.unprepare(claim)
    left = machine.leftovers()
    expect(not left, f"left behind: {', '.join(left)}")
    say.good("no CDI spec and no journal record is left")
    demo.given_back(machine, devices)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=DEMOS, help="the demo's folder")
    parser.add_argument("--build", type=pathlib.Path, required=True, help="build tree with the programs")
    parser.add_argument("--keep", action="store_true", help="keep the demo's folder")
    arguments = parser.parse_args()

    demo, build = DEMOS[arguments.name], arguments.build.resolve()
    manifests = [HERE / "cluster/device-class.yaml", HERE / "cluster/node.yaml", *sorted((HERE / arguments.name).glob("*.yaml"))]
    played = HERE / "played" / f"{arguments.name}.yaml"
    machine = Machine(*manifests, *([played] if played.exists() else []))

    def story() -> None:
        say.title(f"{arguments.name}: {demo.title}")
        say.fact("machine", "captured sysfs of two Intel 82576 ports with four VFs each")
        say.fact("manifests", f"demo/{arguments.name}" + (f" and demo/played/{played.name}" if played.exists() else ""))
        demo.prepare_machine(machine)
        with kernel(build, machine) if demo.kernel else contextlib.nullcontext():
            play(demo, Programs(build, machine), machine)

    return perform(machine, arguments.keep, story)


if __name__ == "__main__":
    sys.exit(main())
