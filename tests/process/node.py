# SPDX-License-Identifier: Apache-2.0
"""A node for tests of the whole program: a captured sysfs, a folder as the cluster, kubelet's directories, the real
driver process and kubelet's calls over the real sockets. Everything is below one temporary folder."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import zlib

DRIVER = "sriovnetwork.openshift.io"
NODE = "node-1"
PATIENCE = 60  # seconds; a slow machine needs many of them


def environment(name):
    """A path that the build hands to the tests."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set: run this through ctest, or see tests/process/README.md")
    return value


def wait_for(condition, what, seconds=PATIENCE):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"timed out waiting for {what}")


def run_tests():
    """unittest's main program. Where a test could not run here, ctest counts the file as skipped (77), not as passed."""
    result = unittest.main(module="__main__", verbosity=2, exit=False).result
    sys.exit(1 if not result.wasSuccessful() else 77 if result.skipped else 0)


class Node:
    def __init__(self, capture="b-vfs-igbvf", modules=(), config=""):
        self.root = tempfile.mkdtemp(prefix="drasriov-", dir="/tmp")
        self.processes = []
        self.prefix = []  # of the driver's command line
        with tarfile.open(os.path.join(environment("DRASRIOV_FIXTURES_DIR"), "sysfs", capture + ".tar.gz")) as archive:
            archive.extractall(self.path("machine"))
        for name in ("cluster", "plugins", "registry", "cdi", "proc/sys/kernel/random"):
            os.makedirs(self.path(name))
        self.write("proc/sys/kernel/random/boot_id", "11111111-1111-4111-8111-111111111111\n")
        self.write("cluster/node.yaml", f"apiVersion: v1\nkind: Node\nmetadata: {{name: {NODE}, uid: node-uid}}\n")
        self.configure(modules, config)

    def configure(self, modules, config=""):
        """Each module: name, file, and maybe its configuration."""
        lines = [f"nodeName: {NODE}", f"cluster: dir:{self.path('cluster')}",
                 f"roots: {{sys: {self.path('machine/sys')}, proc: {self.path('proc')}}}", "modules:"]
        for name, module, *more in [("discovery-sysfs", "builtin:discovery-sysfs"), *modules, ("cdi", "builtin:cdi")]:
            lines += [f"- name: {name}", f"  module: {module}", *(f"  config: {json.dumps(c)}" for c in more)]
        self.write("config.yaml", "\n".join(lines) + "\n" + config)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, name, text):
        # As an editor saves: nobody sees half of it.
        with open(self.path(name + ".new~"), "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(self.path(name + ".new~"), self.path(name))

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    @property
    def data(self):
        return self.path("plugins", DRIVER)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    # -- the cluster ------------------------------------------------------------------------------------------------

    def claim(self, name, device, driver="", uid=None, pods=("pod-1",), config=None, pool=NODE):
        """Writes an allocated ResourceClaim; returns NAMESPACE/NAME/UID."""
        uid = uid or f"00000000-0000-4000-8000-{zlib.crc32(name.encode()):012d}"
        devices = device if isinstance(device, (list, tuple)) else [device]
        parameters = config
        if parameters is None and driver:
            parameters = {"apiVersion": f"{DRIVER}/v1alpha1", "kind": "VfConfig", "driver": driver}
        claim = {
            "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
            "metadata": {"name": name, "namespace": "default", "uid": uid},
            "spec": {"devices": {"requests": [{"name": "vf", "exactly": {"deviceClassName": DRIVER}}]}},
            "status": {
                "allocation": {"devices": {
                    "results": [{"request": "vf", "driver": DRIVER, "pool": pool, "device": d} for d in devices],
                    "config": [] if parameters is None else [
                        {"source": "FromClaim", "requests": [],
                         "opaque": {"driver": DRIVER, "parameters": parameters}}]}},
                "reservedFor": [{"resource": "pods", "name": p, "uid": f"uid-{p}"} for p in pods]}}
        self.write(f"cluster/claim-{name}.yaml", json.dumps(claim))
        return f"default/{name}/{uid}"

    def slices(self):
        """The driver's ResourceSlices, parsed."""
        import yaml  # only where it is needed: Debian's python3-yaml
        return [yaml.safe_load(open(f, encoding="utf-8"))
                for f in sorted(glob.glob(self.path("cluster/resourceslices/*.yaml")))]

    # -- the driver and kubelet -------------------------------------------------------------------------------------

    def start(self, faults=False, extra_environment=None, wait=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("DRASRIOV_")}
        env.update(CDI_ROOT=self.path("cdi"), KUBELET_REGISTRAR_DIRECTORY_PATH=self.path("registry"),
                   KUBELET_PLUGINS_DIRECTORY_PATH=self.path("plugins"), V="4")
        env.update(extra_environment or {})
        binary = environment("DRASRIOV_FAULTS_BINARY" if faults else "DRASRIOV_BINARY")
        with open(self.path("driver.log"), "ab") as log:
            process = subprocess.Popen([*self.prefix, binary, "run", "--config", self.path("config.yaml"), "--insecure-dev"],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self.processes.append(process)
        if wait:
            code, _ = self.kubelet("register")
            if code != 0:
                raise AssertionError(f"the driver did not come up\n{self.log()}")
        return process

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
        if code != 0:
            raise AssertionError(f"exit status {code} after SIGTERM\n{self.log()}")

    def log(self):
        with open(self.path("driver.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def kubelet(self, *words, timeout=PATIENCE):
        """Exit status and answer of one action of kubelet_player."""
        done = subprocess.run([environment("DRASRIOV_KUBELET_PLAYER"), "--registry", self.path("registry"),
                               "--timeout", str(timeout), *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * PATIENCE, check=False)
        answer = json.loads(done.stdout) if done.stdout else {"message": done.stderr}
        return done.returncode, answer

    def prepare(self, *claims):
        return self.kubelet("prepare", *claims)

    def unprepare(self, *claims):
        return self.kubelet("unprepare", *claims)

    # -- what must not differ ---------------------------------------------------------------------------------------

    def state(self):
        """Everything that a claim may leave on the node: sysfs content, journal, CDI files, anything else in the
        driver's folder. The answer of a claim is part of its journal record."""
        found = {}
        for base in ("machine/sys/bus/pci/devices",):
            for device in sorted(os.listdir(self.path(base))):
                name = os.path.join(base, device, "driver_override")
                if os.path.exists(self.path(name)):
                    found[name] = self.read(name)
        for base in (self.path("cdi"), self.data, self.path("registry")):
            for folder, _, files in os.walk(base):
                for file in files:
                    full = os.path.join(folder, file)
                    name = os.path.relpath(full, self.root)
                    if file == "owner.lock":
                        continue  # the file stays, the lock on it does not
                    # Private socket names end in six random digits; a stale one beside a live one must show.
                    name = re.sub(r"(/\.(?:dra|st|reg-[0-9a-f]{6})-)[0-9a-f]{6}$", r"\1", name)
                    while name in found:
                        name += "+"
                    found[name] = self.comparable(full)
        return found

    def comparable(self, path):
        """A file's content without what is this node's only: its folder, inodes, and the checksum over them."""
        if not os.path.isfile(path):
            return "socket"
        with open(path, encoding="utf-8", errors="surrogateescape") as file:  # the hook is a program
            text = file.read().replace(self.root, "ROOT")
        return re.sub(r'"(incarnation|sha256)":"[^"]*"', r'"\1":""', text)
