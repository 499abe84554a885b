/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability discovery/1: which devices this node has.
 */
#ifndef DRASRIOV_ABI_DISCOVERY_H
#define DRASRIOV_ABI_DISCOVERY_H

#include "base.h"

DRASRIOV_EXTERN_C_BEGIN

/* Kinds of an attribute's value (resource.k8s.io/v1 DeviceAttribute). Lists need Kubernetes 1.36's
 * DRAListTypeAttributes. */
#define DRASRIOV_VALUE_INT 1
#define DRASRIOV_VALUE_BOOL 2
#define DRASRIOV_VALUE_STRING 3  /* at most 64 bytes */
#define DRASRIOV_VALUE_VERSION 4 /* semantic version 2.0.0, at most 64 bytes */
#define DRASRIOV_VALUE_INTS 5
#define DRASRIOV_VALUE_BOOLS 6
#define DRASRIOV_VALUE_STRINGS 7
#define DRASRIOV_VALUE_VERSIONS 8

/* The one tagged value of the ABI. Never grows; a new kind needs a new minor. */
typedef struct drasriov_value {
  uint32_t kind;
  uint32_t count; /* elements of a list kind, else 0 */
  union {
    int64_t integer;
    int64_t boolean;        /* 0 or 1 */
    drasriov_string string; /* also version */
    const int64_t* integers;
    const uint8_t* booleans;        /* 0 or 1 each */
    const drasriov_string* strings; /* also versions */
  } as;
} drasriov_value;

/* key: "domain/name", or "name" for the driver's own domain (the host knows the driver's name).
 * Never grows. */
typedef struct drasriov_attribute {
  drasriov_string key;
  drasriov_value value;
} drasriov_attribute;

/* Kinds of device. Only VFs are advertised; a PF is reported for its facts. */
#define DRASRIOV_DEVICE_VF "vf"
#define DRASRIOV_DEVICE_PF "pf"

/* Facts: not published; text. Keys that the host and the in-tree modules know; own keys carry a
 * domain prefix. */
#define DRASRIOV_FACT_PCI_ADDRESS "pciAddress"      /* "0000:08:00.2" */
#define DRASRIOV_FACT_SYSFS_PATH "sysfsPath"        /* absolute, below the `sys` root */
#define DRASRIOV_FACT_NETDEV "netdev"               /* absent: in another netns, or no net driver */
#define DRASRIOV_FACT_DRIVER "driver"               /* bound kernel driver; absent when unbound */
#define DRASRIOV_FACT_IOMMU_GROUP "iommuGroup"      /* decimal */
#define DRASRIOV_FACT_PF_PCI_ADDRESS "pfPciAddress" /* of a VF */
#define DRASRIOV_FACT_PF_NETDEV "pfNetdev"          /* absent for a PF without netdev */
#define DRASRIOV_FACT_VF_INDEX "vfIndex"            /* N of virtfnN, decimal */
#define DRASRIOV_FACT_INCARNATION "incarnation"     /* opaque; another device, another value */

typedef struct drasriov_device {
  uint32_t struct_size;
  drasriov_string name;   /* DNS label, unique on the node: PCI address, '-' for ':' and '.' */
  drasriov_string kind;   /* DRASRIOV_DEVICE_… */
  drasriov_string parent; /* name of the PF's device, or empty */
  const drasriov_attribute* attributes;
  size_t attribute_count;
  const drasriov_pair* capacities; /* value: canonical Kubernetes quantity */
  size_t capacity_count;
  const drasriov_pair* facts;
  size_t fact_count;
} drasriov_device;

typedef struct drasriov_discovery_sink {
  uint32_t struct_size;
  void* context;
  /* One device. A refused one (bad name, duplicate in this scan, too many attributes) becomes a
   * problem; go on. */
  void (*device)(void* context, const drasriov_device* device);
  /* Something had to be skipped: object (PCI address or path) and a sentence. Not a failure of the
   * scan. */
  void (*problem)(void* context, drasriov_string object, drasriov_string message);
} drasriov_discovery_sink;

/* Only scan is mandatory. */
typedef struct drasriov_discovery_v1 {
  uint32_t struct_size;

  /* [control] Reports all devices of the machine as they are now. A device that vanishes or cannot
   * be read on the way is a problem, not an error; an error means that nothing is known (sysfs not
   * mounted) and the last inventory stays. */
  drasriov_status (*scan)(drasriov_module* module, const drasriov_call* call,
                          const drasriov_discovery_sink* sink, drasriov_error* error);

  /* [control] Called for each device that an earlier module of the list found: report it again
   * (same name) with more attributes, capacities or facts only. They are merged, and earlier keys
   * win. */
  drasriov_status (*enrich)(drasriov_module* module, const drasriov_call* call,
                            const drasriov_device* device, const drasriov_discovery_sink* sink,
                            drasriov_error* error);

  /* [control] From now until stop(): call changed(context) [note] once whenever a scan may give
   * something new, after the burst has settled. Called after start(). UNIMPLEMENTED = this machine
   * cannot be watched; the host then scans only when asked. */
  drasriov_status (*watch)(drasriov_module* module, void (*changed)(void* context), void* context,
                           drasriov_error* error);
} drasriov_discovery_v1;

DRASRIOV_EXTERN_C_END

#endif /* DRASRIOV_ABI_DISCOVERY_H */
