// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/api_error.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/cluster/kube/request_target.hpp"

namespace drasriov::cluster::kube {
namespace {

constexpr std::size_t kLongestMessage = 1000;

std::string text_at(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string shown(std::string_view text) {
  const bool cut = text.size() > kLongestMessage;
  std::string line(text.substr(0, kLongestMessage));
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  return cut ? line + " …" : line;
}

/// A 422 because the object was deleted and made anew under its name: a race, and nobody's mistake.
bool is_of_another_object(const Json& status) {
  const Json::json_pointer path("/details/causes");
  if (!status.is_object() || !status.contains(path) || !status[path].is_array()) return false;
  return std::ranges::any_of(
      status[path], [](const Json& cause) { return text_at(cause, "field") == "metadata.uid"; });
}

Code code_of(long http_code, std::string_view reason, const Json& status) {
  switch (http_code) {
    case 401: return Code::kUnauthenticated;
    case 403: return Code::kPermissionDenied;
    case 404: return Code::kNotFound;
    case 409: return reason == "AlreadyExists" ? Code::kAlreadyExists : Code::kAborted;
    case 410: return Code::kOutOfRange;
    case 422: return is_of_another_object(status) ? Code::kAborted : Code::kInvalidArgument;
    case 429: return Code::kResourceExhausted;
    default: break;
  }
  return http_code >= 400 && http_code < 500 ? Code::kInvalidArgument : Code::kUnavailable;
}

/// A 404 that names no object is about the kind itself.
bool kind_is_missing(const Json& status) {
  const Json details = status.is_object() ? status.value("details", Json()) : Json();
  return text_at(details, "name").empty();
}

std::string hint_for(const CallName& call, long http_code, const Json& status,
                     std::string_view message) {
  const std::string name = resource_name(call.resource);
  const std::string full =
      call.subresource.empty() ? name : call.resource.plural + "/" + call.subresource;
  switch (http_code) {
    case 401:
      return "the API server does not know this token or certificate: is it of this cluster, and "
             "is it still valid?";
    case 403:
      return "the driver's ClusterRole must grant verb " + call.verb + " on " + full +
             " (apiGroup \"" + call.resource.group + "\")";
    case 404:
      return kind_is_missing(status) ? "the API server does not serve " + name +
                                           ": is its CRD installed, or the API group enabled?"
                                     : std::string();
    case 422:
      if (message.find("resourceclaims/driver") != std::string_view::npos) {
        return "the driver's ClusterRole must grant associated-node:" + call.verb +
               " on resourceclaims/driver (Kubernetes 1.36 and later)";
      }
      // The server compares the text of opaque parameters, and writes what it read in its own way.
      if (message.find("status.allocation") != std::string_view::npos &&
          message.find("field is immutable") != std::string_view::npos) {
        return "the opaque parameters of the claim were stored as JSON with spaces or out of "
               "order; "
               "make the object with kubectl, Helm or as compact JSON";
      }
      return {};
    default: return {};
  }
}

Error make_error(const CallName& call, long http_code, const Json& status,
                 std::string_view plain_body) {
  const std::string reason = text_at(status, "reason");
  std::string message = text_at(status, "message");
  if (message.empty()) message = plain_body;
  std::string text = call.to_string() + ": HTTP " + std::to_string(http_code);
  if (!reason.empty()) text += " " + shown(reason);
  if (!message.empty()) text += ": " + shown(message);
  return {code_of(http_code, reason, status), std::move(text),
          hint_for(call, http_code, status, message)};
}

}  // namespace

std::string CallName::to_string() const {
  std::string text = verb + " " + resource_name(resource);
  if (!subresource.empty()) text += "/" + subresource;
  if (!object.empty()) text += " " + object;
  return text;
}

Error http_error(const CallName& call, long http_code, std::string_view body) {
  const Json status = Json::parse(body, nullptr, false);
  const bool is_status = status.is_object() && text_at(status, "kind") == "Status";
  return make_error(call, http_code, is_status ? status : Json(),
                    is_status ? std::string_view() : body);
}

Error status_error(const CallName& call, const Json& status) {
  long code = 500;
  if (status.is_object()) {
    const auto it = status.find("code");
    if (it != status.end() && it->is_number_integer()) code = it->get<long>();
    const std::string reason = text_at(status, "reason");
    if (reason == "Expired" || reason == "Gone") code = 410;
  }
  return make_error(call, code, status, {});
}

}  // namespace drasriov::cluster::kube
