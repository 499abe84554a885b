# SPDX-License-Identifier: Apache-2.0
"""The driver's main job, narrated: called by demo/run, which has built the programs.

Everything real is real: the driver, its modules, the gRPC calls over unix sockets, the CDI files. Played
are kubelet (tests/tools/kubelet_player), the scheduler (allocate() below) and the container runtime
(resolve() below). The machine is a captured sysfs, the cluster a folder of YAML files.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CAPTURE = HERE.parent / "tests/fixtures/sysfs/b-vfs-igbvf.tar.gz"
DRIVER = "sriovnetwork.openshift.io"
PATIENCE = 10.0  # seconds for anything that the driver does by itself


class Wrong(Exception):
    """Something is not as it should be: the demo fails with this sentence."""


def expect(condition: object, sentence: str) -> None:
    if not condition:
        raise Wrong(sentence)


# ---- what the reader sees ----


class Narrator:
    def __init__(self) -> None:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.bold, self.dim, self.green, self.red, self.plain = (
            ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if colour else ("",) * 5
        )
        self._steps = 0

    def title(self, text: str) -> None:
        print(f"\n{self.bold}{text}{self.plain}")

    def step(self, text: str) -> None:
        self._steps += 1
        print(f"\n{self.bold}{self._steps}  {text}{self.plain}")

    def line(self, text: str) -> None:
        print(f"   {text}")

    def fact(self, key: str, value: object) -> None:
        print(f"   {self.dim}{key:<12}{self.plain}{value}")

    def block(self, text: str) -> None:
        for line in text.rstrip("\n").split("\n"):
            print(f"     {line}")

    def good(self, text: str) -> None:
        print(f"   {self.green}ok{self.plain}  {text}")


say = Narrator()


# ---- the machine and the cluster ----


class Machine:
    """A temporary folder with all that a node has. Short, because a socket's path has at most 107 bytes."""

    def __init__(self) -> None:
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="dsd-", dir="/tmp"))
        self.sysfs = self.root / "machine/sys"
        self.cluster = self.root / "cluster"
        self.cdi = self.root / "cdi"
        self.registry = self.root / "registry"
        self.data = self.root / "plugins" / DRIVER
        self.log = self.root / "driver.log"
        self.config = self.root / "config.yaml"
        with tarfile.open(CAPTURE) as capture:
            capture.extractall(self.root / "machine")
        for folder in ("dev", "netns", "registry", "plugins"):
            (self.root / folder).mkdir()
        shutil.copytree(HERE / "cluster", self.cluster)
        self.config.write_text(
            yaml.safe_dump(
                {
                    "nodeName": "demo-node",
                    "cluster": f"dir:{self.cluster}",
                    "roots": {
                        "sys": str(self.sysfs),
                        "dev": str(self.root / "dev"),
                        "netns": str(self.root / "netns"),
                    },
                    "kubeletPluginsDirectory": str(self.root / "plugins"),
                    "kubeletRegistrarDirectory": str(self.registry),
                    "cdiRoot": str(self.cdi),
                    "modules": [
                        {"name": "discovery-sysfs", "module": "builtin:discovery-sysfs"},
                        {"name": "vf-state", "module": "builtin:vf-state"},
                        {"name": "binding-vfio", "module": "builtin:binding-vfio"},
                        {"name": "mount-vhost", "module": "builtin:mount-vhost"},
                        {"name": "cdi", "module": "builtin:cdi"},
                    ],
                },
                sort_keys=False,
            )
        )

    def fingerprint(self) -> str:
        """Of every file, link and folder of the captured sysfs."""
        digest = hashlib.sha256()
        for folder, folders, files in os.walk(self.sysfs):
            folders.sort()
            for name in sorted(folders + files):
                path = os.path.join(folder, name)
                digest.update(path.encode() + b"\0")
                if os.path.islink(path):
                    digest.update(os.readlink(path).encode())
                elif os.path.isfile(path):
                    digest.update(pathlib.Path(path).read_bytes())
        return digest.hexdigest()

    # Objects of the cluster.

    def objects(self, kind: str) -> list[dict]:
        found = []
        for path in sorted(self.cluster.rglob("*.yaml")):
            with contextlib.suppress(FileNotFoundError):  # the driver may be replacing it
                documents = yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
                found += [o for o in documents if o and o["kind"] == kind]
        return found

    def object(self, kind: str, name: str) -> dict:
        return next(o for o in self.objects(kind) if o["metadata"]["name"] == name)

    def store(self, value: dict) -> None:
        """As an editor should: the whole file at once."""
        path = self.cluster / f"{value['kind'].lower()}_{value['metadata']['name']}.yaml"
        path.with_suffix(".tmp").write_text(yaml.safe_dump(value, sort_keys=False))
        path.with_suffix(".tmp").rename(path)

    def leftovers(self) -> list[str]:
        """Whatever a prepared claim may leave on the machine."""
        found = []
        for folder in (self.cdi, self.data / "claims"):
            if folder.exists():
                found += [str(path) for path in sorted(folder.rglob("*"))]
        return found


def wait_for(what: str, attempt):
    """The first true value that attempt() returns."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if value := attempt():
            return value
        time.sleep(0.002)
    raise Wrong(f"{what}: not within {PATIENCE:.0f} s")


# ---- the scheduler and the claim controller, as far as the demo needs them ----

DRIVER_TERM = re.compile(r'device\.driver == "([^"]+)"')
ATTRIBUTE_TERM = re.compile(r'device\.attributes\["([^"]+)"\]\.(\w+) == "([^"]+)"')


def matches(expression: str, device: dict) -> bool:
    """The two forms of CEL expression that the demo's objects use; anything else is an error."""
    if term := DRIVER_TERM.fullmatch(expression):
        return term[1] == DRIVER
    term = ATTRIBUTE_TERM.fullmatch(expression)
    expect(term, f"the demo's scheduler does not know the expression {expression}")
    # A name without a domain stands for the driver's own.
    attributes = device.get("attributes", {})
    name = term[2] if term[1] == DRIVER and term[2] in attributes else f"{term[1]}/{term[2]}"
    return attributes.get(name, {}).get("string") == term[3]


def make_claim(machine: Machine, pod: dict, name: str) -> dict:
    """The controller's part: a claim from the template that the pod names."""
    reference = pod["spec"]["resourceClaims"][0]["resourceClaimTemplateName"]
    template = machine.object("ResourceClaimTemplate", reference)
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {
            "namespace": pod["metadata"]["namespace"],
            "name": name,
            "uid": str(uuid.uuid4()),
        },
        "spec": template["spec"]["spec"],
    }


def allocate(machine: Machine, claim: dict, pod: dict, device_name: str | None = None) -> dict:
    """The scheduler's part: the first published device that the request's class and selectors admit (or
    the one given) becomes the claim's, and the claim the pod's."""
    request = claim["spec"]["devices"]["requests"][0]
    wanted = request["exactly"]
    device_class = machine.object("DeviceClass", wanted["deviceClassName"])
    selectors = device_class["spec"].get("selectors", []) + wanted.get("selectors", [])
    candidates = [
        (piece["spec"]["pool"]["name"], device)
        for piece in machine.objects("ResourceSlice")
        for device in piece["spec"]["devices"]
        if all(matches(selector["cel"]["expression"], device) for selector in selectors)
        and device_name in (None, device["name"])
    ]
    expect(candidates, "no published device matches the claim")
    pool, device = candidates[0]
    claim["status"] = {
        "allocation": {
            "devices": {
                "results": [
                    {"request": request["name"], "driver": DRIVER, "pool": pool, "device": device["name"]}
                ],
                "config": [
                    {"source": "FromClaim", **entry} for entry in claim["spec"]["devices"]["config"]
                ],
            }
        },
        "reservedFor": [
            {"resource": "pods", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        ],
    }
    machine.store(claim)
    return device


# ---- kubelet and the container runtime ----


class Programs:
    def __init__(self, build: pathlib.Path, machine: Machine) -> None:
        self.driver = build / "bin/dra-driver-sriov"
        self.player = build / "tests/tools/kubelet_player"
        self.machine = machine

    def start(self) -> subprocess.Popen:
        with open(self.machine.log, "ab") as log:
            return subprocess.Popen(
                [self.driver, "--config", self.machine.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kubelet(self, action: str, *claims: dict) -> dict:
        names = ["/".join(c["metadata"][key] for key in ("namespace", "name", "uid")) for c in claims]
        done = subprocess.run(
            [self.player, "--registry", self.machine.registry, "--driver", DRIVER, "--timeout", "10", action, *names],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        # 1: a claim's answer is an error, which is an answer too.
        expect(done.returncode in (0, 1), f"kubelet: {action}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def prepare(self, claim: dict) -> list[dict]:
        answer = self.kubelet("prepare", claim)["claims"][claim["metadata"]["uid"]]
        expect(not answer["error"], f"prepare: {answer['error']}")
        return answer["devices"]

    def unprepare(self, claim: dict) -> None:
        answer = self.kubelet("unprepare", claim)["claims"][claim["metadata"]["uid"]]
        expect(not answer["error"], f"unprepare: {answer['error']}")

    def devices(self) -> str:
        done = subprocess.run(
            [self.driver, "devices", "--sysfs-root", self.machine.sysfs], capture_output=True, text=True, check=False
        )
        expect(done.returncode == 0, f"dra-driver-sriov devices: {done.stderr.strip()}")
        return done.stdout


def resolve(machine: Machine, names: list[str]) -> dict[str, str]:
    """The container runtime's part: finds each CDI device by name and returns the environment that a
    container gets. A name in no file, or in two, stops the container."""
    known: dict[str, list[dict]] = {}
    for path in machine.cdi.glob("*.json"):
        spec = json.loads(path.read_text())
        for device in spec["devices"]:
            known.setdefault(f"{spec['kind']}={device['name']}", []).append(device)
    environment = {}
    for name in names:
        expect(len(known.get(name, [])) == 1, f"CDI device {name} is in {len(known.get(name, []))} files")
        variables = known[name][0]["containerEdits"].get("env", [])
        environment.update(variable.split("=", 1) for variable in variables)
    return environment


# ---- the story ----


def published(machine: Machine) -> list[dict]:
    """The pool once it is complete, else nothing."""
    slices = [s for s in machine.objects("ResourceSlice") if s["spec"]["driver"] == DRIVER]
    complete = slices and len(slices) == slices[0]["spec"]["pool"]["resourceSliceCount"]
    return slices if complete else []


def claim_status(machine: Machine, claim: dict) -> dict | None:
    status = machine.object("ResourceClaim", claim["metadata"]["name"]).get("status", {})
    return next((entry for entry in status.get("devices", []) if entry["driver"] == DRIVER), None)


def own_attributes(device: dict) -> dict:
    return {key.removeprefix(DRIVER + "/"): value for key, value in device["attributes"].items()}


def show_slices(slices: list[dict]) -> None:
    for piece in slices:
        spec = piece["spec"]
        pool = spec["pool"]
        say.fact("slice", f"{piece['metadata']['name']}: pool {pool['name']}, generation {pool['generation']}, "
                          f"{len(spec['devices'])} devices")  # fmt: skip
    counts: dict[str, int] = {}
    for piece in slices:
        for device in piece["spec"]["devices"]:
            name = own_attributes(device).get("resourceName", {}).get("string", "no resource name")
            counts[name] = counts.get(name, 0) + 1
    say.fact("resources", ", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))


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
    device = allocate(machine, claim, pod)
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

    began = time.monotonic()
    machine = Machine()
    keep = arguments.keep
    try:
        say.title("dra-driver-sriov: one VF for one pod, prepared and given back")
        say.fact("machine", "captured sysfs of two Intel 82576 ports with four VFs each")
        say.fact("cluster", f"a folder of YAML files, {machine.cluster}")
        play(Programs(arguments.build.resolve(), machine), machine)
        print(f"\n{say.green}Done{say.plain} in {time.monotonic() - began:.2f} s: everything as it should be.")
        return 0
    except Wrong as wrong:
        keep = True
        print(f"\n{say.red}FAILED{say.plain}: {wrong}", file=sys.stderr)
        if machine.log.exists():
            print("The driver's log ends with:", file=sys.stderr)
            print("\n".join(machine.log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
        return 1
    finally:
        if keep:
            print(f"Kept: {machine.root}")
        else:
            shutil.rmtree(machine.root)


if __name__ == "__main__":
    sys.exit(main())
