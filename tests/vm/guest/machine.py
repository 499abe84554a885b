# SPDX-License-Identifier: Apache-2.0
"""The guest's hardware: two ports (PFs) with up to seven VFs each."""
import glob
import json
import os
import subprocess
import time

PCI = "/sys/bus/pci/devices"
PF0, PF1 = "0000:11:00.0", "0000:41:00.0"
VFS = 4  # of each PF, between tests
PATIENCE = 300  # seconds; under TCG on a busy machine a second is little


def wait_for(condition, what, seconds=PATIENCE):
    """The first true value of condition(). What it waits for is polled from 5 ms to 100 ms."""
    until = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"timed out after {seconds} s waiting for {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def run(*words, check=True):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert not check or done.returncode == 0, f"{' '.join(str(w) for w in words)}: {done.stdout}{done.stderr}"
    return done.stdout


def ip(*words):
    return run("ip", *words)


def write(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{value}\n")


def read(*path):
    with open(os.path.join(*path), encoding="ascii") as file:
        return file.read().strip()


def driver(address):
    path = f"{PCI}/{address}/driver"
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None


def group(address):
    return os.path.basename(os.readlink(f"{PCI}/{address}/iommu_group"))


def netdev(address):
    """Name of the device's interface in this network namespace."""
    folder = f"{PCI}/{address}/net"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return names[0] if names else None


def vfs(pf):
    """PCI addresses by number."""
    links = glob.glob(f"{PCI}/{pf}/virtfn*")
    return [os.path.basename(os.readlink(l)) for l in sorted(links, key=lambda l: int(os.path.basename(l)[6:]))]


def device_name(address):
    return address.replace(":", "-").replace(".", "-")


def address_of(device):
    domain, bus, slot, function = device.split("-")
    return f"{domain}:{bus}:{slot}.{function}"


def set_numvfs(pf, number, bound=True):
    """Changes the number of VFs; comes back when their driver has them."""
    write(f"{PCI}/{pf}/sriov_numvfs", number)
    if bound:
        wait_for(lambda: all(netdev(vf) for vf in vfs(pf)) and len(vfs(pf)) == number, f"{number} VFs of {pf}")


def rebind(address, to):
    """By hand, as an administrator does it."""
    if driver(address):
        write(f"{PCI}/{address}/driver/unbind", address)
    write(f"{PCI}/{address}/driver_override", to or "")
    write("/sys/bus/pci/drivers_probe", address)
    if to:
        write(f"{PCI}/{address}/driver_override", "")
        wait_for(lambda: driver(address) == to, f"{address} on {to}")


def at_pf(pf, number):
    """What the PF says of its VF."""
    known = json.loads(ip("-json", "-details", "link", "show", "dev", netdev(pf)))[0]["vfinfo_list"]
    return next(entry for entry in known if entry["vf"] == number)


def prepare_ports():
    """Both PFs up, with VFS VFs each."""
    for pf in (PF0, PF1):
        wait_for(lambda pf=pf: netdev(pf), f"the interface of {pf}")
        ip("link", "set", netdev(pf), "up")
        write(f"{PCI}/{pf}/sriov_drivers_autoprobe", 1)
        if len(vfs(pf)) != VFS:
            set_numvfs(pf, 0)
            set_numvfs(pf, VFS)


def renew_ports():
    """As prepare_ports, with new VFs: nothing is left of what was set for the old ones."""
    for pf in (PF0, PF1):
        if netdev(pf):
            set_numvfs(pf, 0)
    prepare_ports()


def link_to_pf(vf):
    return os.path.basename(os.readlink(f"{PCI}/{vf}/physfn"))
