# SPDX-License-Identifier: Apache-2.0
"""The driver as a process of the guest, a folder as its cluster, and kubelet's part over the real sockets."""
import glob
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
import uuid

import grpc
import yaml

import dra_v1_pb2 as dra
import registration_pb2 as registration
from machine import PATIENCE, address_of, device_name, wait_for

DRIVER = "sriovnetwork.openshift.io"
NODE = "vm"
REGISTRY = "/var/lib/kubelet/plugins_registry"
DATA = f"/var/lib/kubelet/plugins/{DRIVER}"
CDI = "/var/run/cdi"
CLUSTER = "/data/cluster"
LOG = "/share/out/driver.log"
KUBELET_PATIENCE = 45  # seconds, kubelet's own for a DRA call
names = itertools.count(1)


class Claim:
    def __init__(self, name, uid, devices, pod):
        self.name, self.uid, self.devices, self.pod = name, uid, devices, pod
        self.file = f"resourceclaim_{name}"


class Pod:
    def __init__(self, name=None, uid=None, namespace="default"):
        self.name = name or f"pod-{next(names)}-{os.urandom(2).hex()}"
        self.uid = uid or str(uuid.uuid4())
        self.namespace = namespace


class Unreachable(Exception):
    """The driver did not answer: it is not there, or it died."""


class Node:
    def __init__(self):
        self.process = None
        self.claims = {}
        os.makedirs(REGISTRY, exist_ok=True)
        os.makedirs(CDI, exist_ok=True)

    # -- the cluster -----------------------------------------------------------------------------------------------------

    def new_cluster(self):
        shutil.rmtree(CLUSTER, ignore_errors=True)
        os.makedirs(CLUSTER)
        self.store("node", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "uid": "node-uid"}})

    def store(self, name, value):
        """As an editor saves: nobody sees half of it."""
        path = f"{CLUSTER}/{name}.yaml"
        with open(path + ".new~", "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.rename(path + ".new~", path)

    def remove(self, name):
        os.unlink(f"{CLUSTER}/{name}.yaml")

    def filter(self, *configs):
        self.store("filter", {
            "apiVersion": f"{DRIVER}/v1alpha1", "kind": "SriovResourceFilter",
            "metadata": {"name": "filter", "namespace": "dra-sriov-driver", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"configs": list(configs)}})

    def network(self, name, *plugins):
        config = {"cniVersion": "1.0.0", "name": name, "plugins": list(plugins)}
        self.store(f"network-{name}", {
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": name, "namespace": "default"}, "spec": {"config": json.dumps(config)}})

    def claim(self, *addresses, pod=None, **config):
        """An allocated claim for these VFs, reserved for the pod. `config` are fields of VfConfig."""
        pod = pod or Pod()
        claim = Claim(f"claim-{next(names)}", str(uuid.uuid4()), [device_name(a) for a in addresses], pod)
        parameters = {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "VfConfig", **config}
        self.store(claim.file, {
            "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
            "metadata": {"name": claim.name, "namespace": pod.namespace, "uid": claim.uid},
            "spec": {"devices": {"requests": [{"name": "vf", "exactly": {"deviceClassName": DRIVER}}]}},
            "status": {
                "allocation": {"devices": {
                    "results": [{"request": "vf", "driver": DRIVER, "pool": NODE, "device": d} for d in claim.devices],
                    "config": [{"source": "FromClaim", "requests": [],
                                "opaque": {"driver": DRIVER, "parameters": parameters}}]}},
                "reservedFor": [{"resource": "pods", "name": pod.name, "uid": pod.uid}]}})
        self.claims[claim.uid] = claim
        return claim

    def forget(self, claim):
        self.claims.pop(claim.uid, None)
        self.remove(claim.file)

    def devices(self):
        """Published devices by PCI address: their attributes. Empty until the pool is complete."""
        slices = []
        for path in sorted(glob.glob(f"{CLUSTER}/resourceslices/*.yaml")):
            try:
                with open(path, encoding="utf-8") as file:
                    slices += [s for s in yaml.load_all(file, Loader=yaml.CSafeLoader) if s]
            except FileNotFoundError:  # it is being replaced
                return {}
        newest = max((s["spec"]["pool"]["generation"] for s in slices), default=0)
        slices = [s for s in slices if s["spec"]["pool"]["generation"] == newest]
        if slices and len(slices) != slices[0]["spec"]["pool"]["resourceSliceCount"]:
            return {}
        return {address_of(d["name"]): {key.removeprefix(DRIVER + "/"): next(iter(value.values()))
                                        for key, value in d["attributes"].items()}
                for s in slices for d in s["spec"].get("devices") or []}

    # -- the driver ------------------------------------------------------------------------------------------------------

    def configure(self, **changes):
        text = {"nodeName": NODE, "cluster": f"dir:{CLUSTER}", "verbosity": 4, **changes}
        with open("/data/config.yaml", "w", encoding="utf-8") as file:
            yaml.safe_dump(text, file)

    def launch(self, faults=False, **environment):
        binary = "/data/driver/bin/dra-driver-sriov" + ("-faults" if faults else "")
        with open(LOG, "ab") as log:
            self.process = subprocess.Popen([binary, "run", "--config", "/data/config.yaml", "--insecure-dev"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **environment})

    def start(self, faults=False, **environment):
        self.launch(faults, **environment)
        self.register()

    def register(self):
        def registered():
            assert self.alive(), f"the driver ended with status {self.process.returncode}\n{self.log()[-3000:]}"
            try:
                with grpc.insecure_channel(f"unix:{REGISTRY}/{DRIVER}-reg.sock") as channel:
                    info = call(channel, "/pluginregistration.Registration/GetInfo", registration.InfoRequest(),
                                registration.PluginInfo, 10)
                    call(channel, "/pluginregistration.Registration/NotifyRegistrationStatus",
                         registration.RegistrationStatus(plugin_registered=True),
                         registration.RegistrationStatusResponse, 10)
            except Unreachable:
                return False
            assert (info.type, info.name) == ("DRAPlugin", DRIVER)
            self.endpoint = info.endpoint
            return True
        wait_for(registered, lambda: f"the driver's registration\n{self.log()[-3000:]}")

    def kill(self):
        process = self.process  # another thread may start the next one at once
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self):
        """SIGTERM, which must end it cleanly."""
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        assert status == 0, f"exit status {status} after SIGTERM\n{self.log()[-3000:]}"

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        with open(LOG, encoding="utf-8", errors="replace") as file:
            return file.read()

    # -- kubelet ---------------------------------------------------------------------------------------------------------

    def dra(self, method, claims, timeout=KUBELET_PATIENCE):
        request = {"Prepare": dra.NodePrepareResourcesRequest, "Unprepare": dra.NodeUnprepareResourcesRequest}[method]()
        response = {"Prepare": dra.NodePrepareResourcesResponse, "Unprepare": dra.NodeUnprepareResourcesResponse}[method]
        for claim in claims:
            request.claims.add(namespace=claim.pod.namespace, name=claim.name, uid=claim.uid)
        with grpc.insecure_channel(f"unix:{self.endpoint}") as channel:
            answer = call(channel, f"/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/Node{method}Resources", request, response,
                          timeout)
        assert set(answer.claims) == {claim.uid for claim in claims}
        return answer.claims

    def prepare(self, claim):
        """CDI names. A refusal is an AssertionError with the driver's sentence."""
        answer = self.dra("Prepare", [claim])[claim.uid]
        assert not answer.error, f"prepare: {answer.error}"
        assert [d.device_name for d in answer.devices] == claim.devices
        return [name for device in answer.devices for name in device.cdi_device_ids]

    def refusal(self, claim, method="Prepare"):
        """The sentence with which the driver refuses."""
        error = self.dra(method, [claim])[claim.uid].error
        assert error, f"{method} of {claim.devices} was not refused"
        return error

    def unprepare(self, claim):
        error = self.dra("Unprepare", [claim])[claim.uid].error
        assert not error, f"unprepare: {error}"
        self.forget(claim)

    def container_may_start(self, claim):
        """What the OCI hook of the claim's containers looks for."""
        return bool(glob.glob(f"{DATA}/attached/{claim.uid}/*"))

    def records(self):
        """Names of the journal's files; the record before one (*.previous) counts with it."""
        files = {os.path.basename(path) for path in glob.glob(f"{DATA}/claims/*")}
        return sorted(name for name in files if name.removesuffix(".previous") + ".json" not in files)


def call(channel, path, request, response, timeout):
    method = channel.unary_unary(path, request_serializer=lambda r: r.SerializeToString(),
                                 response_deserializer=response.FromString)
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        raise Unreachable(f"{path}: {error.code().name}: {error.details()}") from error


def container_edits(cdi_names):
    """What a runtime makes of the names of an answer: environment, device nodes (host path by container path), mounts. A name
    that no document has, or two, stops a container."""
    known = {}
    for path in glob.glob(f"{CDI}/*.json"):
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        for device in document["devices"]:
            known.setdefault(f"{document['kind']}={device['name']}", []).append(device["containerEdits"])
    environment, nodes = {}, {}
    for name in cdi_names:
        assert len(known.get(name, [])) == 1, f"CDI device {name} is in {len(known.get(name, []))} documents of {list(known)}"
        edits = known[name][0]
        environment.update(variable.split("=", 1) for variable in edits.get("env", []))
        nodes.update((node["path"], node.get("hostPath", node["path"])) for node in edits.get("deviceNodes", []))
    return environment, nodes


def seconds_until(condition, what):
    begin = time.monotonic()
    wait_for(condition, what)
    return time.monotonic() - begin
