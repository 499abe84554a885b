// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/kube_cluster.hpp"

#include <atomic>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <utility>

#include "host/base/thread_annotations.hpp"
#include "host/cluster/kube/api_error.hpp"
#include "host/cluster/kube/request_target.hpp"
#include "host/cluster/kube/watch_stream.hpp"

namespace drasriov::cluster {
namespace {

using kube::CallName;
using kube::HttpRequest;
using kube::HttpResponse;

/// How long a watch goes on is chosen from here, so that those of a fleet do not end together.
constexpr int kShortestWatchSeconds = 300;
constexpr int kLongestWatchSeconds = 600;
/// For the end that the server owes after its timeoutSeconds.
constexpr std::chrono::seconds kWatchGrace{30};
/// A list that the server's compaction overtakes again and again.
constexpr int kListRestarts = 3;
/// Different warnings of the server that are written to the log, once each.
constexpr std::size_t kWarningsTold = 32;

ObjectKey key_of(const Json& object) {
  ObjectKey key;
  const auto metadata = object.find("metadata");
  if (metadata == object.end()) return key;
  key.namespace_ = metadata->value("namespace", std::string());
  key.name = metadata->value("name", std::string());
  return key;
}

/// Text that came from outside may be no UTF-8; the server would refuse it.
std::string to_text(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string metadata_text(const Json& object, const char* key) {
  const auto metadata = object.is_object() ? object.find("metadata") : object.end();
  if (metadata == object.end() || !metadata->is_object()) return {};
  const auto it = metadata->find(key);
  return it != metadata->end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string query_of(const Selector& selector) {
  const std::string fields = kube::field_selector(selector);
  return fields.empty() ? std::string() : "&fieldSelector=" + kube::percent_encode(fields);
}

std::string shown(const Selector& selector) {
  std::string text = selector.namespace_;
  const std::string fields = kube::field_selector(selector);
  if (!text.empty() && !fields.empty()) text += ' ';
  return text + fields;
}

class KubeWatch final : public Watch {
 public:
  KubeWatch(CallName call, std::string_view resource_version, WatchSink& sink)
      : events_(std::move(call), resource_version, sink) {}
  void begin(kube::HttpClient& client, HttpRequest request, std::chrono::milliseconds longest) {
    stream_ = client.stream(std::move(request), longest, events_);
  }

 private:
  kube::WatchStream events_;
  std::unique_ptr<kube::HttpStream> stream_;  ///< ends before the events
};

}  // namespace

class KubeCluster::Impl {
 public:
  Impl(KubeSettings settings, telemetry::Log& log) : settings_(std::move(settings)), log_(log) {}

  Status start(const kube::Connection& connection) {
    auto client = kube::HttpClient::start(connection, settings_.http, log_);
    if (!client) return client.error();
    client_ = *std::move(client);
    return {};
  }

  Result<Json> get(const Resource& resource, const ObjectKey& key, Deadline deadline) {
    const CallName call{"get", resource, "", key.to_string()};
    HttpRequest request;
    request.target = kube::object_path(resource, key);
    request.accept = accepted(resource, false);
    request.rate_limited =
        resource != resource_claims() && resource != network_attachment_definitions();
    return object(call, std::move(request), deadline);
  }

  Result<ObjectList> list(const Resource& resource, const Selector& selector, Deadline deadline) {
    const CallName call{"list", resource, "", shown(selector)};
    for (int attempt = 1;; ++attempt) {
      // A list that was overtaken by the compaction of its version comes in one piece the next time.
      auto found = pages(call, selector, attempt == 1 ? settings_.page_size : 0, deadline);
      if (found || found.error().code() != Code::kOutOfRange || attempt == kListRestarts) {
        return found;
      }
    }
  }

  Result<std::unique_ptr<Watch>> watch(const Resource& resource, const Selector& selector,
                                       std::string_view resource_version, WatchSink& sink) {
    const CallName call{"watch", resource, "", shown(selector)};
    const std::chrono::seconds length(watch_seconds());
    HttpRequest request;
    request.name = call.to_string();
    request.accept = accepted(resource, false);
    request.target =
        kube::collection_path(resource, selector.namespace_) +
        "?watch=1&allowWatchBookmarks=true&timeoutSeconds=" + std::to_string(length.count()) +
        "&resourceVersion=" + kube::percent_encode(resource_version) + query_of(selector);
    auto watch = std::make_unique<KubeWatch>(call, resource_version, sink);
    watch->begin(*client_, std::move(request), length + kWatchGrace);
    return std::unique_ptr<Watch>(std::move(watch));
  }

  Result<Json> create(const Resource& resource, const Json& value, Deadline deadline) {
    const ObjectKey key = key_of(value);
    const std::string generated = metadata_text(value, "generateName");
    const CallName call{
        "create", resource, "",
        ObjectKey{key.namespace_, key.name.empty() ? generated + "…" : key.name}.to_string()};
    HttpRequest request;
    request.method = "POST";
    request.target = kube::collection_path(resource, key.namespace_) + manager_query();
    request.body = to_text(value);
    request.content_type = "application/json";
    request.idempotent = false;
    return object(call, std::move(request), deadline);
  }

  Result<Json> update(const Resource& resource, const Json& value, Deadline deadline) {
    const ObjectKey key = key_of(value);
    const CallName call{"update", resource, "", key.to_string()};
    HttpRequest request;
    request.method = "PUT";
    request.target = kube::object_path(resource, key) + manager_query();
    request.body = to_text(value);
    request.content_type = "application/json";
    // With a version the repeated request would meet its own first success as a conflict.
    request.idempotent = metadata_text(value, "resourceVersion").empty();
    return object(call, std::move(request), deadline);
  }

  Status remove(const Resource& resource, const ObjectKey& key, const Preconditions& preconditions,
                Deadline deadline) {
    const CallName call{"delete", resource, "", key.to_string()};
    Json options{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
    if (!preconditions.uid.empty()) options["preconditions"]["uid"] = preconditions.uid;
    if (!preconditions.resource_version.empty()) {
      options["preconditions"]["resourceVersion"] = preconditions.resource_version;
    }
    HttpRequest request;
    request.method = "DELETE";
    request.target = kube::object_path(resource, key);
    request.body = to_text(options);
    request.content_type = "application/json";
    request.idempotent = false;  // the second one would say NOT_FOUND
    auto answer = success(call, std::move(request), deadline);
    if (!answer) return answer.error();
    return {};
  }

  Result<Json> apply_status(const Resource& resource, const Json& value,
                            std::string_view field_manager, Deadline deadline) {
    const ObjectKey key = key_of(value);
    const CallName call{"patch", resource, "status", key.to_string()};
    HttpRequest request;
    request.method = "PATCH";
    request.target = kube::object_path(resource, key) +
                     "/status?fieldManager=" + kube::percent_encode(field_manager) + "&force=true";
    request.body = to_text(value);
    request.content_type = "application/apply-patch+yaml";  // JSON is YAML
    return object(call, std::move(request), deadline);
  }

  void end_calls_by(Deadline deadline) { client_->end_by(deadline); }

 private:
  Result<HttpResponse> success(const CallName& call, HttpRequest request, Deadline deadline) {
    request.name = call.to_string();
    auto answer = client_->perform(std::move(request), deadline);
    if (!answer) return answer.error();
    tell_warning(call, answer->warning);
    if (answer->code < 200 || answer->code > 299) {
      return kube::http_error(call, answer->code, answer->body);
    }
    return answer;
  }

  static Result<Json> parsed(const CallName& call, const std::string& body) {
    Json value = Json::parse(body, nullptr, false);
    if (!value.is_object()) {
      return Error(
          Code::kUnavailable,
          call.to_string() + ": the answer is no JSON object, so it is not of an API server",
          "is there a proxy between the driver and the API server?");
    }
    return value;
  }

  Result<Json> object(const CallName& call, HttpRequest request, Deadline deadline) {
    auto answer = success(call, std::move(request), deadline);
    if (!answer) return answer.error();
    auto value = parsed(call, answer->body);
    if (value) kube::complete_object(call.resource, *value);
    return value;
  }

  Result<ObjectList> pages(const CallName& call, const Selector& selector, int page_size,
                           Deadline deadline) {
    ObjectList list;
    std::string next;
    do {
      HttpRequest request;
      request.accept = accepted(call.resource, true);
      // Always a query, so that what follows can begin with "&".
      request.target = kube::collection_path(call.resource, selector.namespace_) + "?" +
                       (page_size > 0 ? "limit=" + std::to_string(page_size) : "limit=0") +
                       query_of(selector);
      if (!next.empty()) request.target += "&continue=" + kube::percent_encode(next);
      auto answer = success(call, std::move(request), deadline);
      if (!answer) return answer.error();
      auto page = parsed(call, answer->body);
      if (!page) return page.error();
      const auto items = page->find("items");
      if (items == page->end() || !(items->is_array() || items->is_null())) {
        return Error(Code::kUnavailable, call.to_string() + ": the answer is no list");
      }
      for (Json& item : *items) {
        kube::complete_object(call.resource, item);
        list.items.push_back(std::move(item));
      }
      list.resource_version = metadata_text(*page, "resourceVersion");
      next = metadata_text(*page, "continue");
    } while (!next.empty());
    return list;
  }

  std::string accepted(const Resource& resource, bool list) const {
    if (settings_.whole_nodes || resource != nodes()) return "application/json";
    return std::string("application/json;as=PartialObjectMetadata") + (list ? "List" : "") +
           ";g=meta.k8s.io;v=v1,application/json";
  }

  std::string manager_query() const {
    return settings_.field_manager.empty()
               ? std::string()
               : "?fieldManager=" + kube::percent_encode(settings_.field_manager);
  }

  int watch_seconds() {
    const MutexLock lock(mutex_);
    std::uniform_int_distribution<int> pick(kShortestWatchSeconds, kLongestWatchSeconds);
    return pick(random_);
  }

  /// Deprecations and the like, once each.
  void tell_warning(const CallName& call, const std::string& warning) {
    if (warning.empty()) return;
    {
      const MutexLock lock(mutex_);
      if (told_.size() >= kWarningsTold || !told_.insert(warning).second) return;
    }
    log_.warning("the API server warns: " + call.to_string() + ": " + warning);
  }

  const KubeSettings settings_;
  telemetry::Log& log_;
  std::unique_ptr<kube::HttpClient> client_;

  Mutex mutex_;
  std::minstd_rand random_ DRASRIOV_GUARDED_BY(mutex_){std::random_device()()};
  std::set<std::string> told_ DRASRIOV_GUARDED_BY(mutex_);
};

KubeCluster::KubeCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

KubeCluster::~KubeCluster() = default;

Result<std::unique_ptr<KubeCluster>> KubeCluster::open(const kube::Connection& connection,
                                                       KubeSettings settings, telemetry::Log& log) {
  auto impl = std::make_unique<Impl>(std::move(settings), log);
  if (auto started = impl->start(connection); !started) return started.error();
  return std::unique_ptr<KubeCluster>(new KubeCluster(std::move(impl)));
}

Result<Json> KubeCluster::get(const Resource& resource, const ObjectKey& key, Deadline deadline) {
  return impl_->get(resource, key, deadline);
}

Result<ObjectList> KubeCluster::list(const Resource& resource, const Selector& selector,
                                     Deadline deadline) {
  return impl_->list(resource, selector, deadline);
}

Result<std::unique_ptr<Watch>> KubeCluster::watch(const Resource& resource,
                                                  const Selector& selector,
                                                  std::string_view resource_version,
                                                  WatchSink& sink) {
  return impl_->watch(resource, selector, resource_version, sink);
}

Result<Json> KubeCluster::create(const Resource& resource, const Json& object, Deadline deadline) {
  return impl_->create(resource, object, deadline);
}

Result<Json> KubeCluster::update(const Resource& resource, const Json& object, Deadline deadline) {
  return impl_->update(resource, object, deadline);
}

Status KubeCluster::remove(const Resource& resource, const ObjectKey& key,
                           const Preconditions& preconditions, Deadline deadline) {
  return impl_->remove(resource, key, preconditions, deadline);
}

Result<Json> KubeCluster::apply_status(const Resource& resource, const Json& object,
                                       std::string_view field_manager, Deadline deadline) {
  return impl_->apply_status(resource, object, field_manager, deadline);
}

void KubeCluster::end_calls_by(Deadline deadline) {
  impl_->end_calls_by(deadline);
}

}  // namespace drasriov::cluster
