# SPDX-License-Identifier: Apache-2.0
"""The driver as a process on the node: default paths, a captured or made sysfs tree, and its service account's token."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import yaml

from harness.api import DRIVER, NAMESPACE
from harness.control_plane import NODE, PATIENCE, wait_for

TESTS = Path(__file__).resolve().parents[2]
PLUGIN_DATA = Path("/var/lib/kubelet/plugins") / DRIVER
CDI = Path("/var/run/cdi")


def make_tree(folder, vfs):
    """A sysfs tree with that many VFs below `folder`; 8 VFs are a captured machine."""
    if folder.exists():
        shutil.rmtree(folder)
    if vfs == 8:
        with tarfile.open(TESTS / "fixtures/sysfs/b-vfs-igbvf.tar.gz") as archive:
            archive.extractall(folder)
        return folder / "sys"
    ports = -(-vfs // 64)
    if vfs % ports:
        ports = 1
    command = [sys.executable, TESTS / "fixtures/mksysfs.py", "--pfs", str(ports), "--vfs", str(vfs // ports), "--totalvfs",
               str(max(64, vfs // ports)), "--out", folder]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return folder / "sys"


def journal_files():
    """Names of the journal's files; the record before one (*.previous) counts with it."""
    files = {file.name for file in (PLUGIN_DATA / "claims").glob("*")}
    return sorted(name for name in files if name.removesuffix(".previous") + ".json" not in files)


class Driver:
    """Made by the fixture `driver`; `start()` comes back when the kubelet has registered it."""

    def __init__(self, plane, api, folder, vfs, config="", server=None):
        self.plane, self.api, self.folder = plane, api, Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.sys = make_tree(self.folder / "machine", vfs)
        self.process = None
        self._removed = []
        self.log_path = self.folder / "driver.log"
        self.log_path.touch()
        self.write_token()
        cluster = {"server": server or plane.server} | ({} if server else {"certificate-authority": plane.ca_file})
        self.write("kubeconfig", yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "node",
            "clusters": [{"name": "node", "cluster": cluster}],
            "users": [{"name": "node", "user": {"tokenFile": str(self.folder / "token")}}],
            "contexts": [{"name": "node", "context": {"cluster": "node", "user": "node"}}]}))
        self.write("config.yaml", yaml.safe_dump({
            "nodeName": NODE, "namespace": NAMESPACE, "kubeconfig": str(self.folder / "kubeconfig"), "verbosity": 4,
            "roots": {"sys": str(self.sys)},
            "modules": [{"name": "discovery-sysfs", "module": "builtin:discovery-sysfs"},
                        {"name": "cdi", "module": "builtin:cdi"}]}) + config)

    def write(self, name, text):
        # As the kubelet renews a projected token: nobody sees half of it.
        new = self.folder / f".{name}.new"
        new.write_text(text, encoding="utf-8")
        new.rename(self.folder / name)

    def write_token(self):
        """A new pod's token; the one before it stops working when its pod is deleted."""
        self.pod = self.api.driver_pod(f"driver-{os.urandom(4).hex()}")
        self.write("token", self.api.driver_token(self.pod))
        return self.pod

    def launch(self, faults=False, **environment):
        binary = os.environ["DRASRIOV_FAULTS_BINARY" if faults else "DRASRIOV_BINARY"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DRASRIOV_")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([binary, "run", "--config", self.folder / "config.yaml", "--insecure-dev"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**clean, **environment})

    def start(self, faults=False, **environment):
        seen = self.log().count("kubelet registered the driver")
        self.launch(faults, **environment)
        def registered():
            if self.process.poll() is not None:
                raise SystemExit(f"the driver ended with status {self.process.returncode}\n{self.log()[-4000:]}")
            return self.log().count("kubelet registered the driver") > seen
        wait_for(registered, "the driver's registration")
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM, which must end it cleanly."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self.log()[-4000:]

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def expected_devices(self):
        """VF name → attributes, read from the tree by a second reader that shares no code with the driver."""
        done = subprocess.run([sys.executable, TESTS / "plugins/discovery-sysfs/expected_devices.py", self.sys],
                              check=True, capture_output=True, text=True)
        return {name: device["attributes"] for name, device in json.loads(done.stdout).items() if device["kind"] == "vf"}

    def remove_vf(self, device):
        """Takes a VF out of the tree, as the kernel would: out of the bus, then its PF's link to it."""
        address = device.replace("-", ":", 2).replace("-", ".")
        entry = self.sys / "bus/pci/devices" / address
        home = entry.resolve()
        [link] = [one for one in (home / "physfn").resolve().glob("virtfn*") if one.resolve() == home]
        self._removed = [(one, os.readlink(one)) for one in (entry, link)]
        for one, _ in self._removed:
            one.unlink()

    def put_vf_back(self):
        for one, target in reversed(self._removed):
            one.symlink_to(target)

    def cdi_files(self):
        return sorted(os.path.basename(f) for f in glob.glob(str(CDI / "*.json")))

    def claim_records(self):
        return journal_files()

    def dispose(self):
        if self.alive():
            self.kill()
        for place in (PLUGIN_DATA, CDI):
            for entry in place.glob("*") if place.exists() else ():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
