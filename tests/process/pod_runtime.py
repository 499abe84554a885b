# SPDX-License-Identifier: Apache-2.0
"""What a container runtime does around a pod, with the real parts where they decide: NRI by the adaptation package of
containerd and CRI-O (tests/nri), network namespaces, the edits of CDI documents, containers by runc. Needs root."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid

MOUNTS = ["/bin", "/lib", "/lib64", "/usr"]


NRI_BUILD = os.path.join(os.path.dirname(__file__), "..", "nri", "build")


def in_own_mounts():
    """Starts this program anew in a mount namespace of its own: no mount outlives it."""
    if os.geteuid() == 0 and "DRASRIOV_OWN_MOUNTS" not in os.environ:
        os.environ["DRASRIOV_OWN_MOUNTS"] = "yes"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])


def nri_runtime():
    """The program of tests/nri; empty when it was not built."""
    done = subprocess.run([NRI_BUILD, "--print"], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def missing():
    """Why this machine cannot run it; empty when it can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("runc", "unshare", "nsenter", "ip", "mount"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not os.path.exists("/usr/lib/cni/host-device"):
        return "there is no /usr/lib/cni/host-device (Debian: containernetworking-plugins)"
    if not nri_runtime():
        return "there is no runtime for NRI: tests/nri/build makes it"
    with tempfile.TemporaryDirectory(prefix="drasriov-", dir="/tmp") as folder:
        try:
            netns = NetworkNamespace(os.path.join(folder, "netns"))
            try:
                netns.run("ip", "link", "add", "vf0", "type", "veth", "peer", "name", "wire")
                runc(folder, "probe", "sandbox", netns.path, {})
            finally:
                netns.close()
        except (Refused, OSError, subprocess.CalledProcessError) as error:
            return f"no network namespaces or containers here: {error}"
    return ""


class NetworkNamespace:
    """One that its path holds, as those of container runtimes. With close() both are gone."""

    def __init__(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="ascii"):
            pass
        subprocess.run(["unshare", f"--net={path}", "true"], check=True, capture_output=True, text=True)
        self.path, self.open = path, True

    def bind(self, path):
        """It has this path as well from now on."""
        with open(path, "x", encoding="ascii"):
            pass
        subprocess.run(["mount", "--bind", self.path, path], check=True)

    def run(self, *command):
        return subprocess.run(["nsenter", f"--net={self.path}", *command], check=True, capture_output=True, text=True).stdout

    def interfaces(self):
        return interfaces_of(self.run("cat", "/proc/self/net/dev"))

    def close(self):
        if self.open:
            self.open = False
            subprocess.run(["umount", "--lazy", self.path], check=True)
            os.remove(self.path)


def interfaces_of(text):
    """Names in /proc/net/dev."""
    return {line.split(":")[0].strip() for line in text.splitlines()[2:]} - {"lo"}


class Refused(AssertionError):
    """What kubelet would write into an event of the pod."""


class Pod:
    def __init__(self, name, uid, folder):
        self.name, self.uid, self.folder = name, uid, folder
        self.new_sandbox()

    def new_sandbox(self):
        self.sandbox = uuid.uuid4().hex
        self.netns = NetworkNamespace(os.path.join(self.folder, self.sandbox))

    def message(self):
        return {"id": self.sandbox, "name": self.name, "uid": self.uid, "namespace": "default",
                "linux": {"namespaces": [{"type": "network", "path": self.netns.path}]}}


class Runtime:
    """NRI is off until start(). Pods that it was told of and that were not stopped are what it tells a plugin."""

    def __init__(self, folder, request_timeout):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.socket = os.path.join(folder, "nri.sock")
        self.pods, self.connections, self.containers = {}, 0, 0
        self.process = subprocess.Popen([nri_runtime(), "-socket", self.socket, "-request-timeout", request_timeout], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def close(self):
        self.process.communicate()
        for pod in self.pods.values():
            pod.netns.close()

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer["error"]:
            raise Refused(answer["error"])
        return answer["ms"]

    # -- NRI --------------------------------------------------------------------------------------------------------

    def start(self):
        self.tell_pods()
        self.ask(do="start")

    def end(self):
        self.ask(do="end")
        for path in (self.socket, self.socket + ".runtime"):
            if os.path.exists(path):
                os.remove(path)

    def await_driver(self):
        """Until one more connection than before has been told of all pods."""
        self.connections += 1
        self.ask(do="await", count=self.connections)

    def tell_pods(self):
        self.ask(do="pods", pods=[pod.message() for pod in self.pods.values()], containers=[])

    # -- pods -------------------------------------------------------------------------------------------------------

    def run_sandbox(self, pod):
        """Refused: the sandbox is taken down. Its namespace stays until the test ends: it would take the veth with it."""
        self.pods[pod.sandbox] = pod
        self.tell_pods()
        try:
            return self.ask(do="run", pod=pod.message())
        except Refused:
            self.pods.pop(pod.sandbox)
            self.tell_pods()
            raise

    def stop_sandbox(self, pod):
        self.ask(do="stop", pod=pod.message())
        self.forget(pod)

    def forget(self, pod):
        self.pods.pop(pod.sandbox)
        self.tell_pods()
        pod.netns.close()

    def run_container(self, pod, cdi_ids, cdi_folder):
        """The container's interfaces, if it ran. Refused: it never did."""
        self.containers += 1
        name = f"{pod.sandbox[:12]}-{self.containers}"
        self.ask(do="create", pod=pod.message(), container={"id": name, "pod_sandbox_id": pod.sandbox, "name": "app"})
        return runc(self.folder, name, pod.sandbox, pod.netns.path, cdi_edits(cdi_ids, cdi_folder))


def runc(folder, name, sandbox, netns, edits):
    """The interfaces that a container with these edits sees in the namespace."""
    bundle = os.path.join(folder, name)
    mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}]
    for path in MOUNTS:
        if os.path.exists(path):
            os.makedirs(bundle + "/rootfs" + path)
            mounts.append({"destination": path, "type": "bind", "source": os.path.realpath(path),
                           "options": ["rbind", "ro"]})
    os.makedirs(bundle + "/rootfs/proc")
    hooks = {}
    for hook in edits.get("hooks", []):
        hooks.setdefault(hook["hookName"], []).append({key: hook[key] for key in ("path", "args")})
    with open(bundle + "/config.json", "w", encoding="utf-8") as file:
        json.dump({
            "ociVersion": "1.0.2", "root": {"path": "rootfs"}, "mounts": mounts, "hooks": hooks,
            "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "cwd": "/",
                        "args": ["/bin/cat", "/proc/net/dev"], "env": ["PATH=/bin:/usr/bin", *edits.get("env", [])]},
            "annotations": {"io.kubernetes.cri.sandbox-id": sandbox},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": netns}]}}, file)
    done = subprocess.run(["runc", "--root", folder + "/runc", "run", "--bundle", bundle, name],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return interfaces_of(done.stdout)
    if "Inter-" in done.stdout:
        raise RuntimeError("runc reports an error of a container that ran: " + done.stderr)
    raise Refused(done.stderr)


def cdi_edits(ids, folder):
    """All edits that the documents of the folder have for the devices, as runtimes merge them."""
    edits, unknown = {}, []

    def merge(more):
        for key, entries in more.items():
            edits.setdefault(key, []).extend(entries)

    documents = {}
    for path in sorted(glob.glob(folder + "/*.json")):
        with open(path, encoding="utf-8") as file:
            documents[path] = json.load(file)
    touched = set()
    for wanted in ids:
        for path, document in documents.items():
            devices = {f"{document['kind']}={device['name']}": device for device in document["devices"]}
            if wanted in devices:
                if path not in touched:
                    merge(document.get("containerEdits", {}))
                touched.add(path)
                merge(devices[wanted]["containerEdits"])
                break
        else:
            unknown.append(wanted)
    if unknown:
        raise Refused("CDI device injection failed: unresolvable CDI devices " + ", ".join(unknown))
    return edits
