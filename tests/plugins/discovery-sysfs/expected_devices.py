#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What discovery has to report for a sysfs tree, as JSON: a second reading of the tree.

    expected_devices.py ROOT          (ROOT/bus/pci/devices; prints to stdout)

Written to differ from the module in every way that the kernel allows: it starts from the PFs instead of from the devices, takes
driver from the `driver` link instead of from uevent, ids and class from their own files, interfaces from the device's net/
folder instead of from class/net, the bridge and the root complex from the resolved path. So where both agree, either the tree
says it or both are wrong in the same way. Covers legacy eswitch mode and one interface for each function, which is what the
captures and mksysfs.py have. The golden files beside this script are its output on the captures, checked by hand against
README.md of the captures; sysfs paths are relative to the root, incarnations are left out (they differ at each unpacking).
"""
import json
import os
import sys


def read(*path):
    with open(os.path.join(*path), encoding="ascii") as file:
        return file.read().strip()


def entries(*path):
    folder = os.path.join(*path)
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def link_name(*path):
    path = os.path.join(*path)
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None


class Function:
    def __init__(self, root, address):
        self.path = os.path.join(root, "bus/pci/devices", address)
        self.relative = "bus/pci/devices/" + address
        self.address = address
        self.name = address.replace(":", "-").replace(".", "-")
        self.vendor = read(self.path, "vendor")[2:]
        self.device = read(self.path, "device")[2:]
        self.driver = link_name(self.path, "driver")
        self.group = link_name(self.path, "iommu_group")
        self.node = int(read(self.path, "numa_node"))
        net = entries(self.path, "net")
        self.netdev = net[0] if net else None
        self.rdma = os.path.isdir(os.path.join(self.path, "infiniband"))

    def link_type(self):
        if self.netdev:
            return {"1": "ethernet", "32": "infiniband"}[read(self.path, "net", self.netdev, "type")]
        return {"0x0200": "ethernet", "0x0207": "infiniband"}[read(self.path, "class")[:6]]


def describe(function, pf):
    below_devices = os.path.realpath(pf.path).split("/devices/", 1)[1].split("/")
    attributes = {
        "EswitchMode": "legacy",
        "PFName": pf.netdev,
        "deviceID": function.device,
        "driver": function.driver,
        "linkType": pf.link_type(),
        "parentPciAddress": below_devices[-2] if len(below_devices) > 2 else None,
        "pciAddress": function.address,
        "rdmaCapable": pf.rdma or function.rdma,
        "resource.kubernetes.io/numaNode": function.node if function.node >= 0 else None,
        "resource.kubernetes.io/pciBusID": function.address,
        "resource.kubernetes.io/pcieRoot": below_devices[0],
        "vendor": pf.vendor,
    }
    facts = {
        "driver": function.driver,
        "iommuGroup": function.group,
        "netdev": function.netdev,
        "pciAddress": function.address,
        "sysfsPath": function.relative,
    }
    return attributes, facts


def device(kind, parent, attributes, facts):
    def present(table):
        return {key: value for key, value in table.items() if value is not None}
    return {"attributes": present(attributes), "facts": present(facts), "kind": kind, "parent": parent}


def main(root):
    devices = {}
    for address in entries(root, "bus/pci/devices"):
        path = os.path.join(root, "bus/pci/devices", address)
        if not os.path.exists(os.path.join(path, "sriov_totalvfs")) or read(path, "class")[:4] != "0x02":
            continue
        pf = Function(root, address)
        devices[pf.name] = device("pf", "", *describe(pf, pf))
        for entry in entries(path):
            if not entry.startswith("virtfn"):
                continue
            index = int(entry[len("virtfn"):])
            vf = Function(root, link_name(path, entry))
            attributes, facts = describe(vf, pf)
            attributes |= {"k8s.cni.cncf.io/deviceID": vf.address, "pfDeviceID": pf.device,
                           "pfPciAddress": pf.address, "vfID": index}
            facts |= {"pfNetdev": pf.netdev, "pfPciAddress": pf.address, "vfIndex": str(index)}
            devices[vf.name] = device("vf", pf.name, attributes, facts)
    print(json.dumps(devices, indent=2, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1])
