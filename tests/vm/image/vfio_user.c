// SPDX-License-Identifier: Apache-2.0
//
// vfio_user GROUP PCI-ADDRESS [SECONDS]: what a program does that drives a device itself (DPDK, a virtual machine): opens the
// group, maps memory for DMA, opens the device, reads its identity, resets it. Prints a line for each, "ready" at the end, and
// with SECONDS keeps the device open that long. Exit status 0 only if everything worked.
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kDmaBytes = 1 << 20 };

static void done(const char* what, int ok) {
  if (!ok) {
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
  }
  printf("%s: ok\n", what);
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: vfio_user GROUP PCI-ADDRESS [SECONDS]\n");
    return 2;
  }
  char path[64];
  snprintf(path, sizeof path, "/dev/vfio/%s", argv[1]);
  const int container = open("/dev/vfio/vfio", O_RDWR);
  done("open container", container >= 0);
  const int group = open(path, O_RDWR);
  done("open group", group >= 0);
  struct vfio_group_status status = {.argsz = sizeof status};
  done("group status", ioctl(group, VFIO_GROUP_GET_STATUS, &status) == 0);
  if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) {
    printf("the group is not viable\n");
    return 1;
  }
  done("set container", ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0);
  done("set iommu", ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);

  void* memory = mmap(NULL, kDmaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  done("memory", memory != MAP_FAILED);
  struct vfio_iommu_type1_dma_map map = {.argsz = sizeof map,
                                         .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
                                         .vaddr = (uintptr_t)memory,
                                         .iova = 0,
                                         .size = kDmaBytes};
  done("map dma", ioctl(container, VFIO_IOMMU_MAP_DMA, &map) == 0);

  const int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
  done("open device", device >= 0);
  struct vfio_region_info region = {.argsz = sizeof region, .index = VFIO_PCI_CONFIG_REGION_INDEX};
  done("config region", ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region) == 0);
  uint16_t identity[2];
  done("read config",
       pread(device, identity, sizeof identity, (off_t)region.offset) == sizeof identity);
  printf("identity %04x:%04x\n", identity[0], identity[1]);
  done("reset", ioctl(device, VFIO_DEVICE_RESET) == 0);
  printf("ready\n");
  fflush(stdout);
  if (argc > 3) sleep((unsigned)atoi(argv[3]));
  return 0;
}
