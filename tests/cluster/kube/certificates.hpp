// SPDX-License-Identifier: Apache-2.0
//
// Certificates of a test: an authority and what it signs.
#pragma once

#include <string>

#include "tests/cluster/kube/fake_server.hpp"

namespace drasriov::cluster::kube::testing {

/// Days from now.
struct Validity {
  int from = -1;
  int to = 1;
};

class Authority {
 public:
  explicit Authority(const std::string& name);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  /// PEM.
  [[nodiscard]] std::string certificate() const;
  /// `alternative`: subjectAltName, "IP:127.0.0.1"; empty for a client's certificate.
  [[nodiscard]] TlsIdentity sign(const std::string& name, const std::string& alternative,
                                 Validity validity = {}) const;

 private:
  EVP_PKEY* key_;
  X509* certificate_;
};

}  // namespace drasriov::cluster::kube::testing
