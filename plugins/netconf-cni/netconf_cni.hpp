// SPDX-License-Identifier: Apache-2.0
//
// NetconfCni: the module, capability netconf/1: runs the CNI plugins of a network through the host's
// exec service. Worker threads, never two for one sandbox; it holds no lock and has no thread.
#pragma once

#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/host.hpp>
#include <drasriov/sdk/netconf.hpp>
#include <drasriov/sdk/result.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "network.hpp"
#include "result_cache.hpp"
#include "settings.hpp"

namespace drasriov::netconf_cni {

class NetconfCni {
 public:
  static constexpr std::string_view config_schema = kConfigSchema;

  [[nodiscard]] static sdk::Result<std::unique_ptr<NetconfCni>> create(sdk::Host host,
                                                                       std::string_view instance,
                                                                       const sdk::Config& config);
  NetconfCni(sdk::Host host, Settings settings);

  [[nodiscard]] sdk::Status validate(const sdk::Call& call, const sdk::NetconfRequest& request);
  [[nodiscard]] sdk::Result<std::string> add(const sdk::Call& call,
                                             const sdk::NetconfRequest& request);
  [[nodiscard]] sdk::Status del(const sdk::Call& call, const sdk::NetconfRequest& request);
  [[nodiscard]] sdk::Status check(const sdk::Call& call, const sdk::NetconfRequest& request);
  [[nodiscard]] sdk::Status status(const sdk::Call& call, const sdk::NetconfRequest& request);
  [[nodiscard]] sdk::Status gc(const sdk::Call& call, std::string_view config_json,
                               sdk::AttachmentList alive);

 private:
  /// One operation on one network, for all of its plugins.
  struct Operation {
    std::string command;  ///< ADD, DEL, CHECK, STATUS, GC
    std::string container_id;
    std::string netns_path;
    std::string interface_name;
    std::string args;  ///< CNI_ARGS
    Additions additions;
  };

  [[nodiscard]] static sdk::Result<Operation> operation(std::string command,
                                                        const sdk::NetconfRequest& request);
  /// What the ADD answered, in the network's version, or null.
  [[nodiscard]] sdk::Result<Json> previous_result(const Network& network,
                                                  const sdk::NetconfRequest& request) const;
  /// All plugins in reverse order.
  [[nodiscard]] sdk::Status undo(const sdk::Call& call, const Network& network,
                                 const Operation& operation) const;
  /// Standard output of one plugin that ended well.
  [[nodiscard]] sdk::Result<std::string> run(const sdk::Call& call, const Network& network,
                                             std::size_t plugin, const Operation& operation,
                                             const Json& input) const;
  [[nodiscard]] sdk::Result<std::string> run(const sdk::Call& call, const Network& network,
                                             std::size_t plugin, const Operation& operation) const {
    return run(call, network, plugin, operation,
               plugin_input(network, plugin, operation.additions));
  }

  sdk::Host host_;
  Settings settings_;
  std::string root_;  ///< the directory that the plugins see as "/"; "" = our own
  ResultCache cache_;
};

}  // namespace drasriov::netconf_cni
