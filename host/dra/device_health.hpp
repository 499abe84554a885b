// SPDX-License-Identifier: Apache-2.0
//
// v1alpha1.DRAResourceHealth: kubelet keeps one stream open and shows the health of a pod's devices
// in its status (KEP-4680). Each message is the complete list; it goes out when the stream opens,
// at every change, and at repeat(), which the endpoint calls every 10 s: a third of the time after
// which kubelet calls a silent device Unknown. gRPC threads; publish(), repeat() and close() from
// any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "dra_proto/dra_health.grpc.pb.h"
#include "host/base/thread_annotations.hpp"

namespace drasriov::dra {

struct DeviceHealth {
  std::string pool;
  std::string device;
  bool healthy = true;
  std::string message;  ///< why not; kubelet shows the first 1,021 bytes
  friend bool operator==(const DeviceHealth&, const DeviceHealth&) = default;
};

class DeviceHealthService final : public v1alpha1::DRAResourceHealth::CallbackService {
 public:
  DeviceHealthService();
  ~DeviceHealthService() override;

  /// The complete list from now on; sent only when it differs from the last.
  void publish(const std::vector<DeviceHealth>& devices);

  /// Sends the list again to every stream.
  void repeat();

  /// Ends all streams and refuses new ones until open(), so that the server can shut down.
  void close();
  void open();

  grpc::ServerWriteReactor<v1alpha1::NodeWatchResourcesResponse>* NodeWatchResources(
      grpc::CallbackServerContext* context,
      const v1alpha1::NodeWatchResourcesRequest* request) override;

 private:
  class Stream;
  using Message = std::shared_ptr<const v1alpha1::NodeWatchResourcesResponse>;

  void send_to_all();

  Mutex mutex_;
  std::vector<DeviceHealth> devices_ DRASRIOV_GUARDED_BY(mutex_);
  Message message_ DRASRIOV_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Stream>> streams_ DRASRIOV_GUARDED_BY(mutex_);
  bool closed_ DRASRIOV_GUARDED_BY(mutex_) = false;
};

}  // namespace drasriov::dra
