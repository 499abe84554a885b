# SPDX-License-Identifier: Apache-2.0
"""The driver in a container of the node's own containerd: image, securityContext, environment and mounts are those of the
DaemonSet that the chart renders, with kubelet's way of saying it to the runtime."""
import contextlib
import os
import signal

import yaml

import cri_pb2 as cri
from containers import Sandbox
from machine import PATIENCE, read, wait_for
from node import CLUSTER, LOG, NODE, Node, Pod

RENDERED, IMAGE = "/share/chart.yaml", "/share/image.tar"
CONFIG = "/data/config"
FAULTS = "/data/driver/bin/dra-driver-sriov-faults"
FIELDS = {"spec.nodeName": NODE, "status.hostIP": "127.0.0.1"}


def is_wanted():
    return os.path.exists(RENDERED)


def rendered():
    """The chart's objects by kind."""
    with open(RENDERED, encoding="utf-8") as file:
        return {o["kind"]: o for o in yaml.safe_load_all(file) if o}


def config_of(objects):
    return yaml.safe_load(objects["ConfigMap"]["data"]["config.yaml"])


def missing_modules(wanted):
    """Those that the chart's values leave out. The driver without a pod has all."""
    if not is_wanted():
        return set()
    return set(wanted) - {m["module"].removeprefix("builtin:") for m in config_of(rendered())["modules"] if m["enabled"]}


def new_node(runtime):
    """A node, with --profile one whose driver is in the chart's pod."""
    return PodNode(DriverPod(runtime)) if is_wanted() else Node()


class DriverPod:
    """The sandbox, for as long as the runtime lives; each start of the driver is a container in it, as kubelet's restarts are."""

    def __init__(self, runtime):
        self.runtime = runtime
        objects = rendered()
        self.config = config_of(objects)
        self.spec = objects["DaemonSet"]["spec"]["template"]["spec"]
        [self.container] = self.spec["containers"]
        self.context = self.container["securityContext"]
        self.namespaces = cri.NamespaceOption(
            network=cri.NODE if self.spec["hostNetwork"] else cri.POD, pid=cri.NODE if self.spec["hostPID"] else cri.CONTAINER)
        runtime.import_image(IMAGE, self.container["image"])
        pod = Pod("driver", namespace="dra-sriov-driver")
        for left in runtime.sandboxes_named(pod):  # of another boot, or of the tests before these
            runtime.remove_sandbox_by_id(left)
        config = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=pod.name, uid=pod.uid, namespace=pod.namespace), log_directory=os.path.dirname(LOG),
            linux=cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(
                namespace_options=self.namespaces, privileged=self.context.get("privileged", False))))
        answer = runtime.call("RunPodSandbox", cri.RunPodSandboxRequest(config=config), cri.RunPodSandboxResponse)
        self.sandbox = Sandbox(answer.pod_sandbox_id, pod, config)

    def mounts(self, faults):
        """Volumes as kubelet mounts them; beside them what the guest has in the place of an API server."""
        volumes = {volume["name"]: volume for volume in self.spec["volumes"]}
        propagation = {None: cri.PROPAGATION_PRIVATE, "HostToContainer": cri.PROPAGATION_HOST_TO_CONTAINER}
        found = [cri.Mount(container_path=CLUSTER, host_path=CLUSTER)]
        if faults:
            found.append(cri.Mount(container_path="/usr/bin/dra-driver-sriov", host_path=FAULTS, readonly=True))
        for mount in self.container["volumeMounts"]:
            volume = volumes[mount["name"]]
            path = volume["hostPath"]["path"] if "hostPath" in volume else CONFIG
            if volume.get("hostPath", {}).get("type") == "DirectoryOrCreate":
                os.makedirs(path, exist_ok=True)
            found.append(cri.Mount(container_path=mount["mountPath"], host_path=path, readonly=mount.get("readOnly", False),
                                   propagation=propagation[mount.get("mountPropagation")]))
        return found

    def security(self):
        capabilities = self.context.get("capabilities", {})
        context = cri.LinuxContainerSecurityContext(
            privileged=self.context.get("privileged", False), namespace_options=self.namespaces,
            readonly_rootfs=self.context["readOnlyRootFilesystem"],
            no_new_privs=not self.context.get("allowPrivilegeEscalation", True),
            capabilities=cri.Capability(add_capabilities=capabilities.get("add", ()), drop_capabilities=capabilities.get("drop", ())),
            seccomp=cri.SecurityProfile(profile_type=self.context.get("seccompProfile", {}).get("type", "Unconfined")))
        if "runAsUser" in self.context:
            context.run_as_user.value = self.context["runAsUser"]
        return context

    def start(self, faults, environment):
        self.sandbox.tries += 1
        while len(self.sandbox.containers) > 1:  # kubelet keeps the last one that has ended
            self.runtime.call("RemoveContainer", cri.ContainerRequest(container_id=self.sandbox.containers.pop(0)), cri.Nothing)
        given = {e["name"]: FIELDS[e["valueFrom"]["fieldRef"]["fieldPath"]] for e in self.container["env"]} | environment
        config = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name="plugin", attempt=self.sandbox.tries), image=cri.ImageSpec(image=self.container["image"]),
            args=self.container["args"], envs=[cri.KeyValue(key=key, value=value) for key, value in given.items()],
            mounts=self.mounts(faults), log_path=os.path.basename(LOG),
            linux=cri.LinuxContainerConfig(security_context=self.security()))
        created = self.runtime.call("CreateContainer", cri.CreateContainerRequest(
            pod_sandbox_id=self.sandbox.id, config=config, sandbox_config=self.sandbox.config), cri.CreateContainerResponse)
        self.sandbox.containers.append(created.container_id)
        self.runtime.call("StartContainer", cri.ContainerRequest(container_id=created.container_id), cri.Nothing)
        process = Process(self.runtime, created.container_id)
        self.check(process.pid)
        return process

    def check(self, pid):
        """That the container has no more than the profile says."""
        status = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
        if not self.context.get("privileged"):
            given = int(status["CapBnd"], 16).bit_count()
            assert given == len(self.context["capabilities"]["add"]), f"{given} capabilities are given"
            assert status["Seccomp"].strip() == "2", "there is no seccomp filter"


class Process:
    """A container, with what Node wants of a subprocess.Popen."""

    def __init__(self, runtime, container):
        self.runtime, self.container = runtime, container
        self.pid = runtime.pid(container)
        assert self.pid, "the driver's container has ended at once"
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            status = self.runtime.call("ContainerStatus", cri.ContainerRequest(container_id=self.container),
                                       cri.ContainerStatusResponse).status
            if status.state == cri.CONTAINER_EXITED:
                self.returncode = status.exit_code
        return self.returncode

    def wait(self, seconds=PATIENCE):
        wait_for(lambda: self.poll() is not None, "the end of the driver's container", seconds)
        return self.returncode

    def send_signal(self, number):
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)


class PodNode(Node):
    """A node whose driver is in that pod."""

    def __init__(self, pod):
        super().__init__()
        self.pod = pod

    def configure(self, **changes):
        os.makedirs(CONFIG, exist_ok=True)
        with open(f"{CONFIG}/config.yaml", "w", encoding="utf-8") as file:
            yaml.safe_dump(self.pod.config | {"cluster": f"dir:{CLUSTER}", "verbosity": 4, "advertise": "all"} | changes, file)

    def launch(self, faults=False, **environment):
        self.process = self.pod.start(faults, environment)
