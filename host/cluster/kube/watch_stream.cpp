// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/watch_stream.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace drasriov::cluster::kube {
namespace {

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size() ? number : 0;
}

std::uint64_t version_of(const Json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return 0;
  const auto version = metadata->find("resourceVersion");
  if (version == metadata->end() || !version->is_string()) return 0;
  return number_of(version->get_ref<const std::string&>());
}

}  // namespace

WatchStream::WatchStream(CallName call, std::string_view resource_version, WatchSink& sink)
    : call_(std::move(call)),
      sink_(sink),
      newest_(number_of(resource_version)) {}

Result<bool> WatchStream::data(std::string_view bytes) {
  auto pushed = framer_.push(bytes, [this](std::string_view text) { return event(text); });
  if (!pushed) return pushed.error();
  return framer_.pending() > 0;
}

void WatchStream::closed(const Status& status, const HttpResponse* refusal) {
  if (refusal != nullptr) {
    sink_.closed(http_error(call_, refusal->code, refusal->body));
    return;
  }
  sink_.closed(status);
}

Status WatchStream::event(std::string_view text) {
  Json event = Json::parse(text, nullptr, false);
  const auto type = event.is_object() ? event.find("type") : event.end();
  const auto object = event.is_object() ? event.find("object") : event.end();
  if (type == event.end() || !type->is_string() || object == event.end() || !object->is_object()) {
    return Error(Code::kInvalidArgument, call_.to_string() + ": an event that is none came");
  }
  const auto& name = type->get_ref<const std::string&>();
  if (name == "ERROR") return status_error(call_, *object);
  WatchEventType known{};
  if (name == "ADDED") {
    known = WatchEventType::kAdded;
  } else if (name == "MODIFIED") {
    known = WatchEventType::kModified;
  } else if (name == "DELETED") {
    known = WatchEventType::kDeleted;
  } else if (name == "BOOKMARK") {
    known = WatchEventType::kBookmark;
  } else {
    return {};  // of a newer server; what it means for us comes as one of the others, too
  }
  if (auto ordered = check_order(*object); !ordered) return ordered;
  complete_object(call_.resource, *object);
  sink_.event(known, *object);
  return {};
}

Status WatchStream::check_order(const Json& object) {
  const std::uint64_t version = version_of(object);
  if (version == 0) return {};
  if (version < newest_) {
    return Error(Code::kOutOfRange, call_.to_string() + ": version " + std::to_string(version) +
                                        " came after version " + std::to_string(newest_));
  }
  newest_ = version;
  return {};
}

void complete_object(const Resource& resource, Json& object) {
  if (!object.is_object()) return;
  object["apiVersion"] = resource.api_version();
  object["kind"] = resource.kind;
}

}  // namespace drasriov::cluster::kube
