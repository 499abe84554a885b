# SPDX-License-Identifier: Apache-2.0
"""Captures of sysfs as tests/fixtures/sysfs has them (its README.md says what is in one). Made only when DRASRIOV_VM_CAPTURES is
set."""
import errno
import io
import os
import tarfile

from machine import run

FOLDERS = ("bus/pci/devices", "bus/pci/drivers/igb", "bus/pci/drivers/igbvf", "bus/pci/drivers/vfio-pci",
           "bus/pci/drivers/pcieport", "class/net", "class/vfio", "devices/virtual/net", "devices/virtual/vfio",
           "kernel/iommu_groups", "devices/system/node")
FILES = ("bus/pci/drivers_probe", "bus/pci/drivers_autoprobe", "bus/pci/rescan")
ATTRIBUTES = set("""vendor device subsystem_vendor subsystem_device class revision numa_node driver_override uevent modalias
    local_cpulist local_cpus max_link_speed current_link_speed max_link_width current_link_width enable ari_enabled power_state
    reset_method dma_mask_bits msi_bus resource address mtu operstate type speed duplex flags ifindex iflink phys_port_name
    phys_port_id phys_switch_id dev_port dev_id carrier name_assign_type addr_assign_type addr_len link_mode broadcast ifalias
    reserved_regions name drivers_autoprobe dev online possible has_cpu cpulist cpumap distance index label""".split())
WRITE_ONLY = {"bind", "unbind", "new_id", "remove_id", "drivers_probe", "remove", "rescan", "reset"}
LEFT_OUT = {"power", "statistics", "queues", "msi_irqs", "wakeup", "hwmon", "ptp", "pps", "i2c", "firmware_node", "tty",
            "hugepages", "threaded", "memory_failure", "aer_stats", "iommu", "dma"}


class Capture:
    def __init__(self, archive):
        self.archive, self.unreadable, self.write_only = archive, [], []

    def add(self, name, content=b"", kind=tarfile.REGTYPE, link="", mode=0o644):
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode, entry.size = kind, link, mode, len(content)
        self.archive.addfile(entry, io.BytesIO(content))

    def file(self, path):
        name = os.path.basename(path)
        if name in WRITE_ONLY:
            self.write_only.append(path)
            self.add(path[1:])
        elif name in ATTRIBUTES or name.startswith("sriov_"):
            try:
                with open(path, "rb") as file:
                    self.add(path[1:], file.read())
            except OSError as error:
                self.unreadable.append(f"{path} {errno.errorcode[error.errno]}")

    def walk(self, path):
        if not os.path.isdir(path):
            return
        self.add(path[1:], kind=tarfile.DIRTYPE, mode=0o755)
        for entry in sorted(os.scandir(path), key=lambda e: e.name):
            if entry.is_symlink():
                self.add(entry.path[1:], kind=tarfile.SYMTYPE, link=os.readlink(entry.path), mode=0o777)
            elif not entry.is_dir():
                self.file(entry.path)
            elif entry.name not in LEFT_OUT and not entry.name.startswith(("ata", "usb", "i2c-")):
                self.walk(entry.path)


def capture(name):
    folder = "/share/out/captures"
    if not os.environ.get("DRASRIOV_VM_CAPTURES"):
        return
    os.makedirs(folder, exist_ok=True)
    with tarfile.open(f"{folder}/{name}.tar.gz", "w:gz") as archive:
        made = Capture(archive)
        for path in FOLDERS:
            made.walk(f"/sys/{path}")
        for path in FILES:
            made.file(f"/sys/{path}")
        for entry in sorted(os.listdir("/sys/devices")):
            if entry.startswith("pci"):
                made.walk(f"/sys/devices/{entry}")
        texts = {"unreadable.txt": "\n".join(made.unreadable), "writeonly.txt": "\n".join(made.write_only),
                 "dev-vfio.txt": run("ls", "-lR", "/dev/vfio", check=False), "ip-link.txt": run("ip", "-d", "link", "show"),
                 "uname.txt": run("uname", "-a"), "cmdline.txt": run("cat", "/proc/cmdline")}
        for file, text in texts.items():
            made.add(file, text.encode())
