# SPDX-License-Identifier: Apache-2.0
"""A machine whose VFs have interfaces: a made sysfs tree over /sys/bus/pci, /sys/class/net and beside what /sys/devices
has, where the driver and CNI plugins find each VF with one end of a veth pair as its interface. The PF's interface is a
bridge that the other ends are ports of, so that pods reach each other as through a card. It needs root, and mount and
network namespaces of its own. A VF's interface comes back when its namespace ends; a veth ends too, and who wants it
back calls bring_back()."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

OVER = ("bus/pci", "class/net", "devices")


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


class LiveMachine:
    def __init__(self, folder, vfs):
        self.folder, self.sys, self.count = Path(folder), Path(folder) / "sys", vfs
        self.names = {}  # device name of the driver → interface
        self.pf = None

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        run(sys.executable, Path(__file__).resolve().parents[1] / "fixtures/mksysfs.py", "--pfs", 1, "--vfs", self.count, "--numa", 0, "--no-iommu",
            "--out", self.folder)
        # A sysfs shows the interfaces of the namespace that it was mounted in; that of /sys is the machine's.
        fresh = self.folder / "fresh"
        fresh.mkdir()
        run("mount", "-t", "sysfs", "sysfs", fresh)
        for device in sorted((self.sys / "bus/pci/devices").iterdir()):
            for interface in (device / "net").glob("*"):
                shutil.rmtree(interface)
                interface.symlink_to(f"/sys/devices/virtual/net/{interface.name}")
                if (device / "physfn").exists():
                    self.names[device.name.replace(":", "-").replace(".", "-")] = interface.name
                else:
                    self.pf = interface.name
        assert len(self.names) == self.count and self.pf
        self._make_interfaces()
        shutil.rmtree(self.sys / "devices/virtual")
        (self.sys / "devices/virtual").mkdir()
        run("mount", "--rbind", fresh / "devices/virtual", self.sys / "devices/virtual")
        for real in Path("/sys/devices").iterdir():
            if not (self.sys / "devices" / real.name).exists():
                (self.sys / "devices" / real.name).mkdir()
                run("mount", "--rbind", real, self.sys / "devices" / real.name)
            elif real.name == "system":
                run("mount", "--rbind", real, self.sys / "devices/system")
        for part in OVER:
            run("mount", "--rbind", self.sys / part, f"/sys/{part}")
        return self

    def _make_interfaces(self):
        run("ip", "link", "add", self.pf, "type", "bridge")
        run("ip", "link", "set", self.pf, "up")
        self.bring_back()

    def bring_back(self):
        """Makes the interfaces that have ended with their namespace, for the kernel gives a VF's back to the node."""
        links, lines = self.links(), []
        for number, name in enumerate(self.names.values()):
            if f"wire{number}" not in links:
                lines += [f"link add {name} address {self.mac(name)} type veth peer name wire{number}",
                          f"link set wire{number} master {self.pf} up"]
        if lines:
            subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)

    def mac(self, name):
        return f"02:00:00:00:01:{list(self.names.values()).index(name):02x}"

    def links(self):
        """Interface → what `ip -j link` says of it, on the node."""
        return {link["ifname"]: link for link in json.loads(run("ip", "-j", "link", "show"))}

    def at_home(self):
        """Asserts that every VF's interface is on the node as it was made."""
        links = self.links()
        for name in self.names.values():
            assert name in links, f"{name} is away"
            assert (links[name]["address"], links[name]["mtu"]) == (self.mac(name), 1500), links[name]
        return True

    def stop(self):
        for part in reversed(OVER):
            subprocess.run(["umount", "-R", "-l", f"/sys/{part}"], check=False)
        for place in [*(self.sys / "devices").iterdir(), self.folder / "fresh"]:
            if os.path.ismount(place):
                subprocess.run(["umount", "-R", "-l", place], check=False)
        for name in [self.pf, *self.names.values()]:
            subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)
