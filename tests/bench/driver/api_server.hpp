// SPDX-License-Identifier: Apache-2.0
//
// ApiServer: as much of an API server as a driver asks of it, on loopback, in the memory of this
// process: get, list, watch, create, replace, apply and delete of any kind. It refuses nothing and
// selects nothing: all that it holds concerns the one node. Methods: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "tests/cluster/kube/fake_server.hpp"

namespace drasriov::bench {

class ApiServer {
 public:
  /// A kind that exists, as discovery tells it.
  struct Kind {
    std::string group;  ///< empty = core
    std::string version;
    std::string plural;
    std::string kind;
    bool namespaced = false;
  };

  explicit ApiServer(std::vector<Kind> kinds);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  /// The object is at `collection`, for example "/api/v1/nodes", under its metadata.name.
  void put(const std::string& collection, nlohmann::json object);
  void remove_all(const std::string& collection);
  /// The objects of `collection`.
  [[nodiscard]] std::vector<nlohmann::json> objects(const std::string& collection) const;

  /// A kubeconfig for it.
  [[nodiscard]] std::string kubeconfig() const;
  struct Requests {
    int reads = 0;  ///< without watches
    int writes = 0;
  };
  /// So far.
  [[nodiscard]] Requests requests() const;

 private:
  using Request = cluster::kube::testing::Request;
  using Reply = cluster::kube::testing::Reply;
  struct Change {
    std::string type;  ///< "ADDED", "MODIFIED", "DELETED"
    std::string collection;
    std::string object;  ///< JSON
  };

  void answer(const Request& request, Reply& reply);
  void get(const Request& request, Reply& reply);
  void watch(const Request& request, Reply& reply);
  void create(const Request& request, Reply& reply);
  void change(const Request& request, Reply& reply);
  void remove(const Request& request, Reply& reply);
  [[nodiscard]] std::string discovery(const std::string& path) const;
  void store(const std::string& type, const std::string& path, nlohmann::json& object)
      DRASRIOV_REQUIRES(mutex_);

  const std::vector<Kind> kinds_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool stopping_ DRASRIOV_GUARDED_BY(mutex_) = false;
  Requests requests_ DRASRIOV_GUARDED_BY(mutex_);
  /// Path of the object → object.
  std::map<std::string, nlohmann::json> objects_ DRASRIOV_GUARDED_BY(mutex_);
  /// The version of an object is the number of changes up to it.
  std::vector<Change> history_ DRASRIOV_GUARDED_BY(mutex_);
  std::unique_ptr<cluster::kube::testing::FakeServer> server_;  ///< ends first
};

}  // namespace drasriov::bench
