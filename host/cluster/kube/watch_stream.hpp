// SPDX-License-Identifier: Apache-2.0
//
// WatchStream: the body of a watch as calls of a WatchSink. All on the client's I/O thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "host/cluster/cluster_api.hpp"
#include "host/cluster/kube/api_error.hpp"
#include "host/cluster/kube/http_client.hpp"
#include "host/cluster/kube/object_framer.hpp"

namespace drasriov::cluster::kube {

class WatchStream final : public StreamSink {
 public:
  /// An API server stores no object of this size, so nothing real is lost; the list that follows has a limit of its own.
  static constexpr std::size_t kLargestEvent = 4U << 20U;

  /// `sink` outlives the stream.
  WatchStream(CallName call, std::string_view resource_version, WatchSink& sink);

  Result<bool> data(std::string_view bytes) override;
  void closed(const Status& status, const HttpResponse* refusal) override;

 private:
  Status event(std::string_view text);
  /// Versions of one watch only grow (https://kubernetes.io/docs/reference/using-api/api-concepts/, resource versions):
  /// a step back is a server whose history cannot be trusted.
  Status check_order(const nlohmann::json& object);

  const CallName call_;
  WatchSink& sink_;
  ObjectFramer framer_{kLargestEvent};
  std::uint64_t newest_ = 0;  ///< 0 = not known, or not a number
};

/// What the list of a kind leaves out of its items.
void complete_object(const Resource& resource, nlohmann::json& object);

}  // namespace drasriov::cluster::kube
