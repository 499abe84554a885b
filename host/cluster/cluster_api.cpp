// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/cluster_api.hpp"

namespace drasriov::cluster {

const Resource& nodes() {
  static const Resource resource{"", "v1", "nodes", "Node", false};
  return resource;
}

const Resource& resource_claims() {
  static const Resource resource{"resource.k8s.io", "v1", "resourceclaims", "ResourceClaim", true};
  return resource;
}

const Resource& resource_slices() {
  static const Resource resource{"resource.k8s.io", "v1", "resourceslices", "ResourceSlice", false};
  return resource;
}

const Resource& network_attachment_definitions() {
  static const Resource resource{"k8s.cni.cncf.io", "v1", "network-attachment-definitions",
                                 "NetworkAttachmentDefinition", true};
  return resource;
}

const Resource& events() {
  static const Resource resource{"events.k8s.io", "v1", "events", "Event", true};
  return resource;
}

Resource resource_filters(std::string_view driver_name) {
  return {std::string(driver_name), "v1alpha1", "sriovresourcefilters", "SriovResourceFilter",
          true};
}

}  // namespace drasriov::cluster
