# SPDX-License-Identifier: Apache-2.0
"""The processes of one cluster: containerd, and `testcluster up` with etcd, API server, scheduler, controller manager and
kubelet. Runs inside `node/isolated`; everything written lies below one short-named folder."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from kubernetes.client.exceptions import ApiException

NODE = "127.0.0.1"
HERE = Path(__file__).resolve().parent.parent
# A loaded machine needs many times what an idle one does.
PATIENCE = float(os.environ.get("DRASRIOV_E2E_PATIENCE", "90"))

CNI = {"cniVersion": "1.0.0", "name": "e2e", "plugins": [
    {"type": "bridge", "bridge": "e2e0", "isGateway": True, "ipMasq": False,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]]}}]}

CONTAINERD = """\
version = 3
root = '{0}/root'
state = '{0}/state'
[grpc]
  address = '{0}/containerd.sock'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'test.local/pause:1'
[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE runc may not lower oom_score_adj.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_cdi = true
  cdi_spec_dirs = ['/var/run/cdi']
  enable_unprivileged_ports = false
  enable_unprivileged_icmp = false
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '{1}/runc'
      Root = '{0}/runc'
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{1}']
    conf_dir = '{0}/cni'
[plugins.'io.containerd.nri.v1.nri']
  disable = false
  # What the driver asks for on loaded nodes.
  plugin_request_timeout = '10s'
  socket_path = '/var/run/nri/nri.sock'
  plugin_path = '{0}/nri-plugins'
  plugin_config_path = '{0}/nri-conf'
[plugins.'io.containerd.internal.v1.opt']
  path = '{0}/opt'
"""


def wait_for(condition, what, seconds=PATIENCE, interval=0.05):
    """The first true value of condition(); an AssertionError or ApiException of it counts as not yet."""
    until = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (AssertionError, ApiException) as error:
            last = error
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds:.0f} s for {what}; last: {last}")
        time.sleep(interval)


class ControlPlane:
    """state: a scratch folder; testcluster: the program; runtime: folder of node/get-runtime, or None for a control plane
    without a node."""

    def __init__(self, state, testcluster, runtime=None, controllers=True):
        self.state = Path(state)
        self.dir = self.state / "k"
        self.testcluster = testcluster
        self.runtime = Path(runtime) if runtime else None
        self.controllers = controllers
        self.processes = []

    def start(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        flags = [f"--dir={self.dir}", f"--node={NODE}", f"--ready-file={self.state}/ready"]
        if self.runtime:
            flags += ["--kubelet", f"--cri=unix://{self._containerd()}"]
        if not self.controllers:
            flags += ["--controllers=false"]
        self._start("up", [self.testcluster, "up", *flags])
        ready = self.state / "ready"
        wait_for(lambda: ready.exists() or self._gone("up"), "the control plane", 3 * PATIENCE)
        return self

    def _containerd(self):
        base = self.state / "n"
        shutil.rmtree(base, ignore_errors=True)
        for name in ("root", "state", "cni", "nri-plugins", "nri-conf"):
            (base / name).mkdir(parents=True)
        (base / "cni/10-bridge.conflist").write_text(json.dumps(CNI), encoding="utf-8")
        (base / "containerd.toml").write_text(CONTAINERD.format(base, self.runtime), encoding="utf-8")
        subprocess.run([sys.executable, HERE / "node/make_image.py", self.runtime / "busybox", base / "images.tar"], check=True)
        self._start_containerd()
        self.import_images(base / "images.tar")
        return base / "containerd.sock"

    def import_images(self, archive):
        """The images of an OCI archive are on the node from now on, under the archive's names."""
        subprocess.run([*self._ctr(), "images", "import", archive], check=True, capture_output=True)

    def _start_containerd(self):
        self._start("containerd", [self.runtime / "containerd", "-c", self.state / "n/containerd.toml"],
                    PATH=f"{self.runtime}:{os.environ['PATH']}")
        wait_for(lambda: subprocess.run([*self._ctr(), "version"], capture_output=True, check=False).returncode == 0
                 or self._gone("containerd"), "containerd")

    def _ctr(self):
        return [self.runtime / "ctr", "-a", self.state / "n/containerd.sock", "-n", "k8s.io"]

    def _start(self, name, command, **environment):
        with open(self.state / f"{name}.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, env={**os.environ, **environment})
        self.processes.append((name, process))

    def _gone(self, name):
        for known, process in self.processes:
            if known == name and process.poll() is not None:
                text = (self.state / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                raise SystemExit(f"{name} ended with status {process.returncode}:\n{text[-4000:]}")
        return False

    def stop(self):
        for _, process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def sandboxes(self, pod_uid):
        """A pod's sandboxes, id → process, those that the runtime has not yet removed included: process None."""
        listed = subprocess.run([*self._ctr(), "containers", "ls", "-q",
                                 f'labels."io.kubernetes.pod.uid"=={pod_uid},labels."io.cri-containerd.kind"==sandbox'],
                                check=True, capture_output=True, text=True)
        tasks = subprocess.run([*self._ctr(), "tasks", "ls"], check=True, capture_output=True, text=True)
        # TASK PID STATUS
        running = {words[0]: int(words[1]) for words in map(str.split, tasks.stdout.splitlines()) if words[2:] == ["RUNNING"]}
        return {sandbox: running.get(sandbox) for sandbox in listed.stdout.split()}

    def kill_sandbox(self, pod_uid):
        """Kills a pod's sandbox as a crash of its shim would."""
        for sandbox in self.sandboxes(pod_uid):
            subprocess.run([*self._ctr(), "tasks", "kill", "-s", "KILL", sandbox], check=True, capture_output=True)

    def in_sandbox(self, pod_uid, *command):
        """Runs a program of the node in the network of a pod; its output."""
        [process] = [one for one in self.sandboxes(pod_uid).values() if one]
        return subprocess.run(["nsenter", f"--net=/proc/{process}/ns/net", *command], check=True, capture_output=True,
                              text=True).stdout

    @contextlib.contextmanager
    def frozen_containerd(self):
        """The runtime neither answers nor does anything until the end of the block."""
        [process] = [process for name, process in self.processes if name == "containerd"]
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def restart_containerd(self):
        """Kills the runtime and starts it again; pods go on."""
        [(at, process)] = [(i, process) for i, (name, process) in enumerate(self.processes) if name == "containerd"]
        process.kill()
        process.wait()
        del self.processes[at]
        self._start_containerd()
        self.processes.insert(0, self.processes.pop())  # stopped last

    @property
    def kubeconfig(self):
        return str(self.dir / "admin.kubeconfig")

    @property
    def server(self):
        """URL of the API server; the same after a restart."""
        import yaml
        text = Path(self.kubeconfig).read_text(encoding="utf-8")
        return yaml.safe_load(text)["clusters"][0]["cluster"]["server"]

    @property
    def ca_file(self):
        return str(self.dir / "pki/ca.crt")

    def admin_token(self):
        return (self.dir / "admin.token").read_text(encoding="utf-8")

    def log(self, component):
        return (self.dir / f"logs/{component}.log").read_text(encoding="utf-8", errors="replace")

    def pid(self, component):
        return int((self.dir / f"{component}.pid").read_text(encoding="utf-8"))

    def timings(self):
        return json.loads((self.dir / "up.json").read_text(encoding="utf-8"))

    @contextlib.contextmanager
    def without(self, component):
        """The component is killed, and started again at the end of the block."""
        hold, pid_file = self.dir / f"{component}.hold", self.dir / f"{component}.pid"
        hold.touch()
        os.kill(self.pid(component), signal.SIGKILL)
        wait_for(lambda: not pid_file.exists(), f"the end of {component}")
        try:
            yield
        finally:
            hold.unlink()
            wait_for(pid_file.exists, f"{component} again")
