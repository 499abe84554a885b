// SPDX-License-Identifier: Apache-2.0
//
// collect(): looks at the node once and writes down what it sees. It only reads: no lock is taken, nothing is created, no
// kernel module loaded; of the programs on the host the OCI hook is run. Blocks on files and on the API server; one thread.
#pragma once

#include <filesystem>

#include "host/base/deadline.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/config/configuration.hpp"
#include "host/doctor/facts.hpp"
#include "host/module/verify.hpp"

namespace drasriov::doctor {

struct CollectOptions {
  /// Where the host's root directory is seen; empty = <roots.proc>/1/root.
  std::filesystem::path host_root;
  std::filesystem::path builtin_directory;  ///< of modules "builtin:NAME"
  module::VerifyOptions verify;
};

/// All facts but those of the cluster. What cannot be read is a fact too, never an error.
[[nodiscard]] Facts collect(const config::Configuration& configuration,
                            const CollectOptions& options);

/// Reads one object of each kind that the driver needs, asks an API server for the rights to all else that it does
/// (SelfSubjectAccessReview), and takes the versions of kubelet and runtime from the Node,
/// which the cluster is to give whole.
void collect_cluster(cluster::ClusterApi& cluster, Deadline deadline, Facts& facts);

/// The cluster could not even be opened.
void note_unreachable_cluster(const Error& error, Facts& facts);

}  // namespace drasriov::doctor
