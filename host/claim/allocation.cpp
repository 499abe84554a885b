// SPDX-License-Identifier: Apache-2.0
#include "host/claim/allocation.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "host/base/names.hpp"

namespace drasriov::claim {
namespace {

using Json = nlohmann::json;

Error malformed(const std::string& path, std::string_view want) {
  return Error(Code::kInvalidArgument, path + ": malformed, want " + std::string(want));
}

/// The member, or nullptr when it is absent or null. REQUIRES: object.is_object().
const Json* member(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

/// The member as an object or list; nullptr when absent.
Result<const Json*> structure(const Json& object, std::string_view key, Json::value_t type,
                              const std::string& path) {
  const Json* found = member(object, key);
  if (found != nullptr && found->type() != type) {
    return malformed(path + "." + std::string(key),
                     type == Json::value_t::object ? "an object" : "a list");
  }
  return found;
}

Result<std::string> text(const Json& object, std::string_view key, const std::string& path) {
  const Json* found = member(object, key);
  if (found == nullptr) return std::string();
  if (!found->is_string()) return malformed(path + "." + std::string(key), "a string");
  return found->get<std::string>();
}

/// Reads string members of one object; the first error stays.
class Reader {
 public:
  Reader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object()) status_ = malformed(path_, "an object");
  }
  void read(std::string_view key, std::string& out) {
    if (!status_) return;
    auto value = text(object_, key, path_);
    if (value) {
      out = std::move(*value);
    } else {
      status_ = std::move(value).error();
    }
  }
  void read_required(std::string_view key, std::string& out) {
    read(key, out);
    if (status_ && out.empty())
      status_ = malformed(path_ + "." + std::string(key), "a value, it is empty or missing");
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const Json& object_;
  std::string path_;
  Status status_;
};

Result<std::vector<AllocatedDevice>> decode_results(const Json& results,
                                                    std::string_view driver_name,
                                                    const std::string& path,
                                                    std::set<std::string>& other_drivers) {
  std::vector<AllocatedDevice> devices;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::string at = path + "[" + std::to_string(i) + "]";
    std::string driver;
    Reader reader(results[i], at);
    reader.read_required("driver", driver);
    if (reader.status() && driver != driver_name) {
      other_drivers.insert(driver);
      continue;
    }
    AllocatedDevice device;
    std::string share_id;
    reader.read_required("request", device.request);
    reader.read_required("pool", device.pool);
    reader.read_required("device", device.device);
    reader.read("shareID", share_id);
    if (!reader.status()) return reader.status().error();
    if (!share_id.empty()) device.share_id = std::move(share_id);
    if (const Json* admin = member(results[i], "adminAccess")) {
      if (!admin->is_boolean()) return malformed(at + ".adminAccess", "true or false");
      device.admin_access = admin->get<bool>();
    }
    devices.push_back(std::move(device));
  }
  return devices;
}

Result<std::vector<std::string>> decode_requests(const Json& entry, const std::string& path) {
  std::vector<std::string> requests;
  const auto list = structure(entry, "requests", Json::value_t::array, path);
  if (!list) return list.error();
  if (*list == nullptr) return requests;
  for (const Json& name : **list) {
    if (!name.is_string()) return malformed(path + ".requests", "a list of strings");
    requests.push_back(name.get<std::string>());
  }
  return requests;
}

/// Entries of this driver: class entries first, each group in the order of the object.
Result<std::vector<ConfigEntry>> decode_config_list(const Json& entries,
                                                    std::string_view driver_name,
                                                    const ModuleFields& module_fields,
                                                    const std::string& path) {
  std::vector<ConfigEntry> of_class;
  std::vector<ConfigEntry> of_claim;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string at = path + "[" + std::to_string(i) + "]";
    const Json& entry = entries[i];
    if (!entry.is_object()) return malformed(at, "an object");
    const auto opaque = structure(entry, "opaque", Json::value_t::object, at);
    if (!opaque) return opaque.error();
    if (*opaque == nullptr) continue;
    const auto driver = text(**opaque, "driver", at + ".opaque");
    if (!driver) return driver.error();
    if (*driver != driver_name) continue;

    const auto source = text(entry, "source", at);
    if (!source) return source.error();
    if (*source != "FromClass" && *source != "FromClaim")
      return malformed(at + ".source", "FromClass or FromClaim");
    auto requests = decode_requests(entry, at);
    if (!requests) return std::move(requests).error();
    const std::string parameters_path = at + ".opaque.parameters";
    const Json* parameters = member(**opaque, "parameters");
    if (parameters == nullptr) return malformed(parameters_path, "an object, it is missing");
    auto patch = decode_vf_config(*parameters, driver_name, module_fields, parameters_path);
    if (!patch) return std::move(patch).error();
    (*source == "FromClass" ? of_class : of_claim)
        .push_back({std::move(*requests), std::move(*patch)});
  }
  std::ranges::move(of_claim, std::back_inserter(of_class));
  return of_class;
}

Result<std::vector<module::Consumer>> decode_consumers(const Json& list, const std::string& path) {
  std::vector<module::Consumer> consumers;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = path + "[" + std::to_string(i) + "]";
    module::Consumer consumer;
    std::string group;
    Reader reader(list[i], at);
    reader.read("apiGroup", group);
    reader.read_required("resource", consumer.resource);
    reader.read_required("name", consumer.name);
    reader.read_required("uid", consumer.uid);
    if (!reader.status()) return reader.status().error();
    // The UID names the pod's CDI document, hence a file.
    if (!is_object_uid(consumer.uid)) return malformed(at + ".uid", "a UID");
    if (!group.empty()) consumer.resource += "." + group;
    consumers.push_back(std::move(consumer));
  }
  return consumers;
}

const std::string kDevicesPath = "status.allocation.devices";

/// status.allocation.devices of the claim.
Result<const Json*> allocated_devices(const Json& object) {
  if (!object.is_object()) return malformed("the claim", "an object");
  const Error not_allocated(
      Code::kFailedPrecondition, "it is not allocated",
      "the scheduler allocates a claim when it places the first pod that uses it");
  auto status = structure(object, "status", Json::value_t::object, "claim");
  if (!status) return status;
  if (*status == nullptr) return not_allocated;
  auto allocation = structure(**status, "allocation", Json::value_t::object, "status");
  if (!allocation) return allocation;
  if (*allocation == nullptr) return not_allocated;
  auto devices = structure(**allocation, "devices", Json::value_t::object, "status.allocation");
  if (!devices) return devices;
  if (*devices == nullptr) return not_allocated;
  return devices;
}

}  // namespace

std::optional<std::string> ClaimObject::pod_uid() const {
  if (consumers.size() != 1 || consumers.front().resource != "pods") return std::nullopt;
  return consumers.front().uid;
}

Status check_claim_ref(const ClaimRef& ref) {
  const auto refuse = [](std::string_view what, std::string_view want) {
    return Error(Code::kInvalidArgument,
                 "the " + std::string(what) + " of the claim is not " + std::string(want));
  };
  if (!is_object_uid(ref.uid)) return refuse("UID", "a UID");
  if (!is_dns_label(ref.namespace_)) return refuse("namespace", "an RFC 1123 label");
  if (!is_dns_subdomain(ref.name)) return refuse("name", "an RFC 1123 subdomain");
  return {};
}

std::string_view base_request(std::string_view request) {
  return request.substr(0, request.find('/'));
}

Result<ClaimObject> decode_claim(const Json& object, const ClaimRef& ref,
                                 std::string_view driver_name) {
  if (!object.is_object()) return malformed("the claim", "an object");
  const auto metadata = structure(object, "metadata", Json::value_t::object, "claim");
  if (!metadata) return metadata.error();
  const auto uid = *metadata == nullptr ? Result<std::string>(std::string())
                                        : text(**metadata, "uid", "metadata");
  if (!uid) return uid.error();
  if (*uid != ref.uid) {
    return Error(
        Code::kNotFound,
        "its UID is " + (uid->empty() ? "missing" : *uid) + ", kubelet asks for " + ref.uid,
        "the claim was deleted and made anew; kubelet comes again with the new one");
  }

  const auto devices = allocated_devices(object);
  if (!devices) return devices.error();
  ClaimObject claim;
  claim.ref = ref;
  std::set<std::string> other_drivers;
  const auto results = structure(**devices, "results", Json::value_t::array, kDevicesPath);
  if (!results) return results.error();
  if (*results != nullptr) {
    auto decoded = decode_results(**results, driver_name, kDevicesPath + ".results", other_drivers);
    if (!decoded) return std::move(decoded).error();
    claim.devices = std::move(*decoded);
  }
  if (claim.devices.empty()) {
    std::string others;
    for (const std::string& other : other_drivers) others += (others.empty() ? "" : ", ") + other;
    return Error(Code::kFailedPrecondition,
                 "no device of driver " + std::string(driver_name) + " is allocated to it" +
                     (others.empty() ? "" : ", only devices of " + others),
                 "let a request's DeviceClass select device.driver == \"" +
                     std::string(driver_name) + "\", or correct driverName of the driver");
  }

  // allocated_devices() has seen that status is an object.
  const auto reserved =
      structure(*member(object, "status"), "reservedFor", Json::value_t::array, "status");
  if (!reserved) return reserved.error();
  if (*reserved == nullptr) return claim;
  auto consumers = decode_consumers(**reserved, "status.reservedFor");
  if (!consumers) return std::move(consumers).error();
  claim.consumers = std::move(*consumers);
  return claim;
}

Result<std::vector<ConfigEntry>> decode_configs(const Json& object, std::string_view driver_name,
                                                const ModuleFields& module_fields) {
  const auto devices = allocated_devices(object);
  if (!devices) return devices.error();
  const auto configs = structure(**devices, "config", Json::value_t::array, kDevicesPath);
  if (!configs) return configs.error();
  if (*configs == nullptr) return std::vector<ConfigEntry>();
  return decode_config_list(**configs, driver_name, module_fields, kDevicesPath + ".config");
}

}  // namespace drasriov::claim
