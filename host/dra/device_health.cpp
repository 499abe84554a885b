// SPDX-License-Identifier: Apache-2.0
#include "host/dra/device_health.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace drasriov::dra {

/// One open stream; keeps itself alive until gRPC's OnDone. gRPC allows one write at a time and
/// none after Finish, so both happen only while `writing_` is false, or in OnWriteDone.
class DeviceHealthService::Stream final
    : public grpc::ServerWriteReactor<v1alpha1::NodeWatchResourcesResponse> {
 public:
  void keep(std::shared_ptr<Stream> self) { self_ = std::move(self); }

  void send(const Message& message) {
    {
      const MutexLock lock(mutex_);
      if (finishing_) return;
      next_ = message;
      if (writing_) return;
      writing_ = true;
      current_ = std::exchange(next_, nullptr);
    }
    StartWrite(current_.get());
  }

  void finish(const grpc::Status& status) {
    {
      const MutexLock lock(mutex_);
      if (std::exchange(finishing_, true) || writing_) return;
    }
    Finish(status);
  }

  void OnWriteDone(bool ok) override {
    bool end = false;
    bool more = false;
    {
      const MutexLock lock(mutex_);
      finishing_ = finishing_ || !ok;
      end = finishing_;
      more = !end && next_ != nullptr;
      writing_ = more || end;
      if (more) current_ = std::exchange(next_, nullptr);
    }
    if (end) {
      Finish(grpc::Status::CANCELLED);
    } else if (more) {
      StartWrite(current_.get());
    }
  }

  void OnCancel() override { finish(grpc::Status::CANCELLED); }

  void OnDone() override { const auto last = std::move(self_); }

 private:
  std::shared_ptr<Stream> self_;
  Message current_;  ///< alive while it is written; touched by whoever set writing_
  Mutex mutex_;
  Message next_ DRASRIOV_GUARDED_BY(mutex_);
  bool writing_ DRASRIOV_GUARDED_BY(mutex_) = false;
  bool finishing_ DRASRIOV_GUARDED_BY(mutex_) = false;
};

DeviceHealthService::DeviceHealthService()
    : message_(std::make_shared<const v1alpha1::NodeWatchResourcesResponse>()) {}

DeviceHealthService::~DeviceHealthService() = default;

void DeviceHealthService::publish(const std::vector<DeviceHealth>& devices) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  auto message = std::make_shared<v1alpha1::NodeWatchResourcesResponse>();
  for (const DeviceHealth& device : devices) {
    auto& entry = *message->add_devices();
    entry.mutable_device()->set_pool_name(device.pool);
    entry.mutable_device()->set_device_name(device.device);
    entry.set_health(device.healthy ? v1alpha1::HEALTHY : v1alpha1::UNHEALTHY);
    entry.set_last_updated_time(now.count());
    entry.set_message(device.message);
  }
  {
    const MutexLock lock(mutex_);
    if (devices_ == devices) return;
    devices_ = devices;
    message_ = std::move(message);
  }
  send_to_all();
}

void DeviceHealthService::repeat() {
  send_to_all();
}

void DeviceHealthService::send_to_all() {
  std::vector<std::shared_ptr<Stream>> streams;
  Message message;
  {
    const MutexLock lock(mutex_);
    // A stream that only this list still holds has ended.
    std::erase_if(streams_, [](const auto& stream) { return stream.use_count() == 1; });
    streams = streams_;
    message = message_;
  }
  for (const auto& stream : streams) stream->send(message);
}

void DeviceHealthService::close() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    streams.swap(streams_);
  }
  for (const auto& stream : streams)
    stream->finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the driver stops"));
}

void DeviceHealthService::open() {
  const MutexLock lock(mutex_);
  closed_ = false;
}

grpc::ServerWriteReactor<v1alpha1::NodeWatchResourcesResponse>*
DeviceHealthService::NodeWatchResources(grpc::CallbackServerContext* /*context*/,
                                        const v1alpha1::NodeWatchResourcesRequest* /*request*/) {
  const auto stream = std::make_shared<Stream>();
  stream->keep(stream);
  Message message;
  bool closed = false;
  {
    const MutexLock lock(mutex_);
    closed = closed_;
    message = message_;
    if (!closed) streams_.push_back(stream);
  }
  closed ? stream->finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the driver stops"))
         : stream->send(message);
  return stream.get();
}

}  // namespace drasriov::dra
