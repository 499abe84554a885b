// SPDX-License-Identifier: Apache-2.0
#include "host/app/node_report.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "host/app/builtin_directory.hpp"
#include "host/app/claim_report.hpp"
#include "host/app/device_report.hpp"
#include "host/app/discover.hpp"
#include "host/app/followers.hpp"
#include "host/app/open_cluster.hpp"
#include "host/cluster/directory/block_yaml.hpp"
#include "host/module/entry_file.hpp"
#include "host/module/module_registry.hpp"
#include "host/status/status_client.hpp"
#include "host/telemetry/metrics.hpp"

namespace drasriov::app {
namespace {

using nlohmann::json;

/// The driver makes its document in milliseconds; it may be serving a reader that does not read.
constexpr std::chrono::seconds kAnswerBudget{8};
constexpr std::chrono::seconds kScanBudget{60};
constexpr std::chrono::seconds kClusterBudget{5};

/// `reason` names the object.
std::string invalid_filter(const std::string& reason) {
  return "a filter that cannot be read: " + reason;
}

/// True: `member` of the running driver's document is in report.items.
bool ask_driver(const config::Configuration& configuration, const char* member,
                NodeReport& report) {
  auto document =
      status::read_status(configuration.data_directory(), Deadline::after(kAnswerBudget));
  if (!document) {
    report.driver_running = document.error().code() != Code::kNotFound;
    report.why = document.error().to_string();
    return false;
  }
  report.driver_running = true;
  const auto items = document->find(member);
  if (items == document->end() || !items->is_array()) {
    report.why = "the driver is not serving yet or any more (phase " +
                 document->value("phase", std::string("unknown")) + ")";
    return false;
  }
  report.from_driver = true;
  report.items = std::move(*items);
  const json slices = document->value("slices", json::object());
  if (slices.is_object()) {
    const std::string error = slices.value("lastError", std::string());
    if (!error.empty()) report.notes.push_back("what is published is not up to date: " + error);
  }
  for (const json& filter : document->value("/filters/invalid"_json_pointer, json::array()))
    report.notes.push_back(invalid_filter(filter.value("reason", std::string())));
  return true;
}

struct JournalView {
  std::vector<claim::JournalEntry> entries;
  std::string boot_id;  ///< empty = unknown
};

Result<JournalView> read_journal(const config::Configuration& configuration, NodeReport& report) {
  auto entries = claim::read_journal_files(configuration.data_directory() / "claims");
  if (!entries) return std::move(entries).error();
  JournalView view{*std::move(entries), {}};
  auto boot_id = claim::read_boot_id(configuration.roots.proc);
  if (boot_id) {
    view.boot_id = *std::move(boot_id);
  } else {
    report.notes.push_back("whether a record is of this boot is not known: " +
                           boot_id.error().to_string());
  }
  return view;
}

/// Every discovery module of the configuration, asked once. Modules of other kinds are not even mapped.
Result<module::Discovery::Scan> scan(const config::Configuration& configuration,
                                     telemetry::Log& log, NodeReport& report) {
  auto executable = own_executable();
  if (!executable) return executable.error();
  module::LoadOptions options;
  options.files.insecure_dev = configuration.insecure_dev;
  if (auto directory = builtin_directory(configuration.module_directory, *executable))
    options.files.builtin_directory = *directory;

  std::vector<config::ModuleEntry> entries;
  for (const config::ModuleEntry& entry : configuration.modules) {
    if (!entry.enabled) continue;
    const auto file = module::open_entry_file(entry, options.files);
    if (!file) {
      report.notes.push_back("module " + entry.name + ": " + file.error().to_string());
      continue;
    }
    const bool discovers = std::ranges::any_of(
        file->manifest.capabilities,
        [](const std::string& capability) { return capability.starts_with("discovery/"); });
    if (discovers) entries.push_back(entry);
  }
  module::MachinePaths paths;  // no data directory: a module that wants one would make it
  paths.roots = configuration.roots;
  paths.cdi = configuration.cdi_root;
  telemetry::Metrics metrics(log);
  const module::HostServices services(paths, log, metrics);
  auto registry = module::ModuleRegistry::load(entries, services, options);
  if (!registry) return registry.error();
  module::Call call;
  call.deadline = Deadline::after(kScanBudget);
  call.id = "explain";
  return discover((*registry)->modules().discovery, call);
}

Result<policy::NodeFilters> read_filters(const config::Configuration& configuration,
                                         const config::Environment& environment,
                                         telemetry::Log& log, NodeReport& report) {
  auto cluster = open_cluster(configuration, environment, log);
  if (!cluster) return std::move(cluster).error();
  const auto deadline = Deadline::after(kClusterBudget);
  policy::Labels labels;
  const std::string& name = configuration.node_name;
  const auto node =
      name.empty()
          ? Result<json>(Error(Code::kInvalidArgument, "the node has no name",
                               "set NODE_NAME, the flag --node-name or nodeName in the file"))
          : (*cluster)->get(cluster::nodes(), {"", name}, deadline);
  if (node) {
    labels = labels_of(*node);
  } else if (node.error().code() == Code::kUnavailable ||
             node.error().code() == Code::kDeadlineExceeded) {
    return node.error();  // the filters are no nearer
  } else {
    report.notes.push_back("no filter with a nodeSelector applies: " + node.error().to_string());
  }
  const auto list =
      (*cluster)->list(cluster::resource_filters(configuration.driver_name),
                       {.namespace_ = configuration.namespace_, .fields = {}}, deadline);
  if (!list && list.error().code() == Code::kNotFound)
    return policy::NodeFilters();  // without the CRD there are none
  if (!list) return list.error();
  std::vector<policy::ResourceFilter> filters;
  for (const json& object : list->items) {
    auto filter = policy::decode_resource_filter(object, configuration.driver_name);
    if (filter) {
      filters.push_back(*std::move(filter));
    } else {
      report.notes.push_back(invalid_filter(filter.error().to_string()));
    }
  }
  return policy::filters_of_node(std::move(filters), labels);
}

}  // namespace

Result<NodeReport> report_devices(const config::Configuration& configuration,
                                  const config::Environment& environment, telemetry::Log& log) {
  NodeReport report;
  if (ask_driver(configuration, "devices", report)) return report;
  auto found = scan(configuration, log, report);
  if (!found) return std::move(found).error();

  JournalView journal;
  if (auto read = read_journal(configuration, report)) {
    journal = *std::move(read);
  } else {
    report.notes.push_back("who holds a device is not known: " + read.error().to_string());
  }
  NodeView view;
  view.inventory = std::make_shared<const device::Inventory>(1, std::move(found->devices),
                                                             std::move(found->problems));
  view.held = std::make_shared<const claim::HeldDevices>(
      claim::held_devices(journal.entries, journal.boot_id));
  std::string filters_unknown;
  if (auto filters = read_filters(configuration, environment, log, report)) {
    view.filters = *std::move(filters);
  } else {
    filters_unknown = filters.error().to_string();
  }
  report.items = device_report({view, filters_unknown, journal.entries, configuration});
  return report;
}

Result<NodeReport> report_claims(const config::Configuration& configuration) {
  NodeReport report;
  if (ask_driver(configuration, "claims", report)) return report;
  const auto journal = read_journal(configuration, report);
  if (!journal) return journal.error();
  report.items = claim_report({journal->entries, journal->boot_id, /*inventory=*/nullptr,
                               std::chrono::system_clock::now()});
  return report;
}

std::string print_report(const NodeReport& report, const char* kind, const char* member,
                         OutputFormat format) {
  const json document = {{"apiVersion", status::kApiVersion},
                         {"kind", kind},
                         {"driverRunning", report.driver_running},
                         {"source", report.from_driver ? "driver" : "files"},
                         {"sourceReason", report.why},
                         {"notes", report.notes},
                         {member, report.items}};
  if (format == OutputFormat::kYaml) return cluster::print_block_yaml(document);
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string report_preface(const NodeReport& report) {
  std::string text;
  if (!report.from_driver) {
    text += report.driver_running ? "The driver does not tell: " : "The driver is not running: ";
    text += report.why + ". This is from its files and the machine.\n";
  }
  for (const std::string& note : report.notes) text += "Note: " + note + "\n";
  if (!text.empty()) text += "\n";
  return text;
}

}  // namespace drasriov::app
