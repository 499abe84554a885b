# SPDX-License-Identifier: Apache-2.0
"""What the demos share: the machine, the cluster, and those who are played.

Everything real is real: the driver, its modules, the gRPC calls over unix sockets, the CDI files. Played
are kubelet (tests/tools/kubelet_player), the scheduler (allocate() below) and the container runtime
(edits() below). The machine is a captured sysfs, the cluster a folder of YAML files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
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


class Cluster:
    """The objects in a folder of YAML files, as the driver's directory cluster has them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.cluster = folder

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


class Machine(Cluster):
    """A temporary folder with all that a node has. Short, because a socket's path has at most 107 bytes."""

    def __init__(self, *manifests: pathlib.Path) -> None:
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="dsd-", dir="/tmp"))
        super().__init__(self.root / "cluster")
        self.sysfs = self.root / "machine/sys"
        self.cdi = self.root / "cdi"
        self.registry = self.root / "registry"
        self.data = self.root / "plugins" / DRIVER
        self.log = self.root / "driver.log"
        self.config = self.root / "config.yaml"
        with tarfile.open(CAPTURE) as capture:
            capture.extractall(self.root / "machine")
        for folder in ("dev", "netns", "registry", "plugins"):
            (self.root / folder).mkdir()
        self.cluster.mkdir()
        for file in manifests:
            shutil.copy(file, self.cluster / f"{file.parent.name}-{file.name}")
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


# ---- the scheduler and the claim controller, as far as the demos need them ----

DRIVER_TERM = re.compile(r'device\.driver == "([^"]+)"')
ATTRIBUTE_TERM = re.compile(r'device\.attributes\["([^"]+)"\]\.(\w+) == "([^"]+)"')


def attribute(driver: str, device: dict, name: str) -> object:
    """The value under a qualified name; a name without a domain stands for the driver's own."""
    attributes = device.get("attributes", {})
    found = attributes.get(name) or (attributes.get(name.removeprefix(driver + "/")) if name.startswith(driver + "/") else None)
    return next(iter(found.values())) if found else None


def matches(expression: str, driver: str, device: dict) -> bool:
    """The two forms of CEL expression that the demos' objects use; anything else is an error."""
    if term := DRIVER_TERM.fullmatch(expression):
        return term[1] == driver
    term = ATTRIBUTE_TERM.fullmatch(expression)
    expect(term, f"the demo's scheduler does not know the expression {expression}")
    return attribute(driver, device, f"{term[1]}/{term[2]}") == term[3]


def make_claim(cluster: Cluster, pod: dict, name: str) -> dict:
    """The controller's part: a claim from the template that the pod names."""
    reference = pod["spec"]["resourceClaims"][0]["resourceClaimTemplateName"]
    template = cluster.object("ResourceClaimTemplate", reference)
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


def aligned(constraints: list[dict], chosen: list[tuple]) -> bool:
    """Whether the devices chosen so far have what matchAttribute asks for: one value, which each has."""
    for constraint in constraints:
        among = constraint.get("requests", [])
        values = {attribute(driver, device, constraint["matchAttribute"])
                  for request, driver, _, device in chosen if not among or request in among}  # fmt: skip
        if len(values) > 1 or None in values:
            return False
    return True


def allocate(cluster: Cluster, claim: dict, pod: dict, device_name: str | None = None) -> list[dict]:
    """The scheduler's part: the first published devices that the requests' classes and selectors and the constraints admit
    (or the one given) become the claim's, and the claim the pod's."""
    wanted = claim["spec"]["devices"]
    published = [(piece["spec"]["driver"], piece["spec"]["pool"]["name"], device)
                 for piece in cluster.objects("ResourceSlice") for device in piece["spec"]["devices"]]  # fmt: skip
    places, from_classes = [], []
    for request in wanted["requests"]:
        exactly = request["exactly"]
        device_class = cluster.object("DeviceClass", exactly["deviceClassName"])["spec"]
        selectors = device_class.get("selectors", []) + exactly.get("selectors", [])
        fitting = [
            (request["name"], *one)
            for one in published
            if all(matches(selector["cel"]["expression"], one[0], one[2]) for selector in selectors)
            and device_name in (None, one[2]["name"])
        ]
        places += [fitting] * exactly.get("count", 1)
        from_classes += [{"source": "FromClass", "requests": [request["name"]], **entry} for entry in device_class.get("config", [])]

    def choose(chosen: list[tuple]) -> list[tuple] | None:
        if not aligned(wanted.get("constraints", []), chosen):
            return None
        if len(chosen) == len(places):
            return chosen
        taken = [one[1:] for one in chosen]
        tries = (choose([*chosen, one]) for one in places[len(chosen)] if one[1:] not in taken)
        return next((found for found in tries if found), None)

    chosen = choose([])
    expect(chosen, "no published devices fit the claim")
    claim["status"] = {
        "allocation": {
            "devices": {
                "results": [{"request": request, "driver": driver, "pool": pool, "device": device["name"]}
                            for request, driver, pool, device in chosen],
                "config": from_classes + [{"source": "FromClaim", **entry} for entry in wanted.get("config", [])],
            }
        },
        "reservedFor": [
            {"resource": "pods", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        ],
    }  # fmt: skip
    cluster.store(claim)
    return [device for _, driver, _, device in chosen if driver == DRIVER]


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


def edits(machine: Machine, names: list[str]) -> list[dict]:
    """The container runtime's part: what a container gets for each CDI device. A name in no file, or in two,
    stops the container."""
    known: dict[str, list[dict]] = {}
    for path in machine.cdi.glob("*.json"):
        spec = json.loads(path.read_text())
        for device in spec["devices"]:
            known.setdefault(f"{spec['kind']}={device['name']}", []).append(device["containerEdits"])
    for name in names:
        expect(len(known.get(name, [])) == 1, f"CDI device {name} is in {len(known.get(name, []))} files")
    return [known[name][0] for name in names]


def resolve(machine: Machine, names: list[str]) -> dict[str, str]:
    """The environment of a container with these CDI devices."""
    return dict(variable.split("=", 1) for edit in edits(machine, names) for variable in edit.get("env", []))


# ---- what everybody may look at ----


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


def perform(machine: Machine, keep: bool, story) -> int:
    """Runs story(); returns the exit status. The folder stays if something was wrong."""
    began = time.monotonic()
    try:
        story()
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
