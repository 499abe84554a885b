# SPDX-License-Identifier: Apache-2.0
"""containerd with NRI and CDI, and kubelet's part towards it: sandboxes and containers through CRI."""
import json
import os
import subprocess

import grpc

import cri_pb2 as cri
from machine import PATIENCE, run, wait_for
from node import Unreachable, call

SOCKET = "/run/containerd/containerd.sock"
LOG = "/share/out/containerd.log"
POD_LOGS = "/run/pod-logs"
IMAGE = "test.local/busybox:1"
# The cluster's own network: an interface eth0 in each pod.
CLUSTER_NETWORK = {"cniVersion": "1.0.0", "name": "cluster", "plugins": [
    {"type": "bridge", "bridge": "cluster0", "isGateway": True, "ipMasq": False,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]]}}]}
CONFIG = """\
version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'test.local/pause:1'
[plugins.'io.containerd.cri.v1.runtime']
  cdi_spec_dirs = ['/var/run/cdi']
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['/opt/cni/bin']
    conf_dir = '/etc/cni/net.d'
# Containerd's own 2 s and 5 s are too short for a guest without KVM.
[plugins.'io.containerd.nri.v1.nri']
  plugin_registration_timeout = '60s'
  plugin_request_timeout = '60s'
"""


class Refused(Exception):
    """The runtime's own words."""


class Sandbox:
    def __init__(self, id_, pod, config):
        self.id, self.pod, self.config = id_, pod, config
        self.containers = []
        self.tries = 0  # containers that were asked for: a name is used once


class Runtime:
    def __init__(self):
        self.process = None
        self.sandboxes = []

    def start(self):
        os.makedirs("/etc/cni/net.d", exist_ok=True)
        with open("/etc/cni/net.d/10-cluster.conflist", "w", encoding="utf-8") as file:
            json.dump(CLUSTER_NETWORK, file)
        with open("/run/containerd.toml", "w", encoding="utf-8") as file:
            file.write(CONFIG)
        with open(LOG, "ab") as log:
            self.process = subprocess.Popen(["containerd", "-c", "/run/containerd.toml"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

        def ready():
            assert self.process.poll() is None, f"containerd ended with status {self.process.returncode}"
            try:
                conditions = self.call("Status", cri.Nothing(), cri.StatusResponse, 30).status.conditions
            except Refused:
                return False
            return conditions and all(c.status for c in conditions)
        wait_for(lambda: os.path.exists(SOCKET), "containerd's socket")
        wait_for(ready, "containerd to be ready")
        if IMAGE not in run("ctr", "-n", "k8s.io", "images", "ls", "-q"):
            run("ctr", "-n", "k8s.io", "images", "import", "/opt/busybox.tar")
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()
        os.unlink(SOCKET)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def name_image(self, name):
        """Another name for the only image, so that a manifest can be taken as it is."""
        run("ctr", "-n", "k8s.io", "images", "tag", "--force", IMAGE, f"docker.io/library/{name}")
        self.wait_for_image(name)

    def import_image(self, archive, name):
        run("ctr", "-n", "k8s.io", "images", "import", archive)
        self.wait_for_image(name)

    def wait_for_image(self, name):
        request = cri.ImageStatusRequest(image=cri.ImageSpec(image=name))
        wait_for(lambda: self.call("ImageStatus", request, cri.ImageStatusResponse, service="ImageService").HasField("image"),
                 f"the runtime to know the image {name}")

    def call(self, method, request, response, timeout=300, service="RuntimeService"):
        with grpc.insecure_channel(f"unix:{SOCKET}") as channel:
            try:
                return call(channel, f"/runtime.v1.{service}/{method}", request, response, timeout)
            except Unreachable as error:
                raise Refused(str(error)) from error

    def run_sandbox(self, pod, attempt=0):
        config = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name=pod.name, uid=pod.uid, namespace=pod.namespace, attempt=attempt),
            hostname=pod.name,
            log_directory=POD_LOGS, linux=cri.LinuxPodSandboxConfig(),
            labels={"io.kubernetes.pod.name": pod.name, "io.kubernetes.pod.namespace": pod.namespace,
                    "io.kubernetes.pod.uid": pod.uid})
        answer = self.call("RunPodSandbox", cri.RunPodSandboxRequest(config=config), cri.RunPodSandboxResponse)
        sandbox = Sandbox(answer.pod_sandbox_id, pod, config)
        self.sandboxes.append(sandbox)
        return sandbox

    def sandboxes_of(self, pod):
        """IDs of those that the runtime knows, also of those that did not start."""
        known = self.call("ListPodSandbox", cri.Nothing(), cri.ListPodSandboxResponse).items
        return [sandbox.id for sandbox in known if sandbox.metadata.uid == pod.uid]

    def sandboxes_named(self, pod):
        """The same, of each pod that has had this name."""
        known = self.call("ListPodSandbox", cri.Nothing(), cri.ListPodSandboxResponse).items
        return [s.id for s in known if (s.metadata.namespace, s.metadata.name) == (pod.namespace, pod.name)]

    def run_container(self, sandbox, cdi_names=(), image=IMAGE, command=("/bin/sleep", "100000")):
        sandbox.tries += 1
        os.makedirs(POD_LOGS, exist_ok=True)
        config = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name=f"c{sandbox.tries}"), image=cri.ImageSpec(image=image),
            command=command, linux=cri.LinuxContainerConfig(), log_path=f"{sandbox.id}-{sandbox.tries}.log",
            mounts=[cri.Mount(container_path="/bin/vfio_user", host_path="/usr/bin/vfio_user", readonly=True)],
            cdi_devices=[cri.CdiDevice(name=name) for name in cdi_names])
        created = self.call("CreateContainer", cri.CreateContainerRequest(
            pod_sandbox_id=sandbox.id, config=config, sandbox_config=sandbox.config), cri.CreateContainerResponse)
        self.call("StartContainer", cri.ContainerRequest(container_id=created.container_id), cri.Nothing)
        sandbox.containers.append(created.container_id)
        return created.container_id

    def log(self, sandbox):
        """What the newest container has written: each line comes after a time, a stream and a tag."""
        with open(f"{POD_LOGS}/{sandbox.id}-{sandbox.tries}.log", encoding="utf-8") as file:
            return "".join(line.split(" ", 3)[3] for line in file if line.endswith("\n"))

    def execute(self, container, *words):
        """What it writes; it must end with 0."""
        done = self.call("ExecSync", cri.ExecSyncRequest(container_id=container, cmd=words, timeout=120),
                          cri.ExecSyncResponse)
        assert done.exit_code == 0, f"{words}: {done.exit_code}: {done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode()

    def remove_sandbox(self, sandbox):
        """As kubelet ends a pod: stop, which must succeed, then remove."""
        self.remove_sandbox_by_id(sandbox.id)
        self.sandboxes.remove(sandbox)

    def remove_sandbox_by_id(self, sandbox_id):
        for method in ("StopPodSandbox", "RemovePodSandbox"):
            self.call(method, cri.PodSandboxRequest(pod_sandbox_id=sandbox_id), cri.Nothing)

    def in_network_of(self, sandbox, *words):
        """What a program of the guest says in the network namespace of the sandbox's first process."""
        return run("nsenter", f"--net=/proc/{self.pid(sandbox.id)}/ns/net", *words)

    def pid(self, container):
        return json.loads(run("runc", "--root", "/run/containerd/runc/k8s.io", "state", container))["pid"]

    def links(self, sandbox):
        """Interface name → what iproute2 says, inside the pod."""
        shown = self.in_network_of(sandbox, "ip", "-json", "-details", "address", "show")
        return {entry["ifname"]: entry for entry in json.loads(shown)}
