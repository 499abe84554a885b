// SPDX-License-Identifier: Apache-2.0
//
// Followers: keeps the control thread told about the node's labels and the filter objects, and the slice writer about
// its slices. Owned by app/; each observer runs on its collection's thread.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/app/control.hpp"
#include "host/cluster/cluster_api.hpp"
#include "host/cluster/reflector.hpp"
#include "host/publish/event_object.hpp"
#include "host/publish/filter_status.hpp"
#include "host/publish/slice_writer.hpp"
#include "host/telemetry/log.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::app {

/// metadata.labels of an object; entries that are no text are left out.
[[nodiscard]] policy::Labels labels_of(const cluster::Json& object);

/// The Node object of this machine.
class NodeFollower final : public cluster::ReflectorObserver {
 public:
  NodeFollower(Control& control, telemetry::Log& log, std::string node_name)
      : control_(control),
        log_(log),
        node_name_(std::move(node_name)) {}

  void replaced(const std::vector<cluster::Json>& objects) override;
  void changed(const cluster::Json& object) override;
  void removed(const cluster::Json& object) override;
  void failed(const Error& error) override;
  void resumed() override;

 private:
  Control& control_;
  telemetry::Log& log_;
  std::string node_name_;
  std::string last_failure_;
};

/// All SriovResourceFilters of the driver's namespace. One that cannot be read is told on the object and in the log; it
/// stays in force as it was before, if it was. Without the kind or the right to read it the driver serves without filters.
class FilterFollower final : public cluster::ReflectorObserver {
 public:
  struct Voices {
    telemetry::Log& log;
    telemetry::Metrics& metrics;
    publish::EventSink events;
    /// Told the state of all filters at each change of one.
    std::function<void(std::vector<publish::FilterState>)> filters;
  };
  FilterFollower(Control& control, Voices voices, std::string driver_name, std::string node_name)
      : control_(control),
        voices_(std::move(voices)),
        driver_name_(std::move(driver_name)),
        node_name_(std::move(node_name)) {}

  void replaced(const std::vector<cluster::Json>& objects) override;
  void changed(const cluster::Json& object) override;
  void removed(const cluster::Json& object) override;
  void failed(const Error& error) override;
  void resumed() override;

 private:
  using Filters = std::map<std::string, policy::ResourceFilter>;  ///< by name

  /// Takes `object` over into `filters`; in its place what `known` has of it when it cannot be read.
  void put(const cluster::Json& object, const Filters& known, Filters& filters);
  void hand_over();
  void followed(bool holds);

  Control& control_;
  const Voices voices_;
  const std::string driver_name_;
  const std::string node_name_;
  Filters filters_;
  std::map<std::string, publish::FilterState> states_;  ///< by name
  bool handed_over_ = false;
  std::string last_failure_;
};

class Followers {
 public:
  struct Names {
    std::string driver;
    std::string node;
    std::string filter_namespace;
  };
  /// All but `names` outlive this.
  Followers(cluster::ClusterApi& api, Control& control, publish::SliceWriter& slices,
            FilterFollower::Voices voices, const Names& names);
  void start() { reflector_.start(); }
  void stop() { reflector_.stop(); }

 private:
  NodeFollower node_;
  FilterFollower filters_;
  cluster::Reflector reflector_;
};

}  // namespace drasriov::app
