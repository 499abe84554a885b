// SPDX-License-Identifier: Apache-2.0
#include "api_server.hpp"

#include <chrono>
#include <cstdlib>
#include <set>

namespace drasriov::bench {
namespace {

using nlohmann::json;

constexpr const char* kNotFound =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found","details":{"name":"x"}})";

constexpr const char* kOnlyJson =
    R"({"kind":"Status","apiVersion":"v1","status":"Failure","reason":"UnsupportedMediaType","code":415,"message":"the body is no JSON object"})";

std::string collection_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

/// Whether an object of `collection` is among those that `asked` names, which may leave the
/// namespace out.
bool belongs(const std::string& collection, const std::string& asked) {
  if (collection == asked) return true;
  const auto space = collection.find("/namespaces/");
  if (space == std::string::npos) return false;
  const auto plural = collection.rfind('/');
  return collection.substr(0, space) + collection.substr(plural) == asked;
}

std::string event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

bool is_true(const std::map<std::string, std::string>& query, const char* name) {
  const auto found = query.find(name);
  return found != query.end() && (found->second == "1" || found->second == "true");
}

}  // namespace

ApiServer::ApiServer(std::vector<Kind> kinds)
    : kinds_(std::move(kinds)),
      server_(std::make_unique<cluster::kube::testing::FakeServer>(
          [this](const Request& request, Reply& reply) { answer(request, reply); })) {}

ApiServer::~ApiServer() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  server_.reset();
}

void ApiServer::store(const std::string& type, const std::string& path, json& object) {
  json& metadata = object["metadata"];
  const std::string version = std::to_string(history_.size() + 1);
  metadata["resourceVersion"] = version;
  if (!metadata.contains("uid"))
    metadata["uid"] = "00000000-0000-4000-8000-" + std::string(12 - version.size(), '0') + version;
  history_.push_back({type, collection_of(path), object.dump()});
  if (type == "DELETED") {
    objects_.erase(path);
  } else {
    objects_[path] = object;
  }
  changed_.notify_all();
}

void ApiServer::put(const std::string& collection, json object) {
  const MutexLock lock(mutex_);
  const std::string path = collection + "/" + object["metadata"]["name"].get<std::string>();
  store("ADDED", path, object);
}

void ApiServer::remove_all(const std::string& collection) {
  const MutexLock lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, object] : objects_) {
    if (collection_of(path) == collection) paths.push_back(path);
  }
  for (const std::string& path : paths) {
    json object = objects_[path];
    store("DELETED", path, object);
  }
}

std::vector<json> ApiServer::objects(const std::string& collection) const {
  const MutexLock lock(mutex_);
  std::vector<json> found;
  for (const auto& [path, object] : objects_) {
    if (belongs(collection_of(path), collection)) found.push_back(object);
  }
  return found;
}

std::string ApiServer::kubeconfig() const {
  return "apiVersion: v1\nkind: Config\ncurrent-context: bench\n"
         "clusters: [{name: bench, cluster: {server: '" +
         server_->url() +
         "'}}]\ncontexts: [{name: bench, context: {cluster: bench, user: bench}}]\n"
         "users: [{name: bench, user: {}}]\n";
}

ApiServer::Requests ApiServer::requests() const {
  const MutexLock lock(mutex_);
  return requests_;
}

void ApiServer::answer(const Request& request, Reply& reply) {
  const bool watches = is_true(request.query, "watch");
  if (watches) return watch(request, reply);
  {
    const MutexLock lock(mutex_);
    ++(request.method == "GET" ? requests_.reads : requests_.writes);
  }
  if (request.method == "GET") return get(request, reply);
  if (request.method == "POST") return create(request, reply);
  if (request.method == "DELETE") return remove(request, reply);
  change(request, reply);
}

void ApiServer::get(const Request& request, Reply& reply) {
  if (const std::string found = discovery(request.path); !found.empty())
    return reply.json(200, found);
  std::string text;
  {
    const MutexLock lock(mutex_);
    if (const auto found = objects_.find(request.path); found != objects_.end()) {
      text = found->second.dump();
    } else {
      for (const Kind& kind : kinds_) {
        if (!request.path.ends_with("/" + kind.plural)) continue;
        json list{
            {"apiVersion", kind.group.empty() ? kind.version : kind.group + "/" + kind.version},
            {"kind", kind.kind + "List"},
            {"metadata", {{"resourceVersion", std::to_string(history_.size())}}},
            {"items", json::array()}};
        for (const auto& [path, object] : objects_) {
          if (belongs(collection_of(path), request.path)) list["items"].push_back(object);
        }
        text = list.dump();
      }
    }
  }
  reply.json(text.empty() ? 404 : 200, text.empty() ? kNotFound : text);
}

void ApiServer::watch(const Request& request, Reply& reply) {
  const auto version = request.query.find("resourceVersion");
  std::size_t next =
      version == request.query.end() ? 0 : std::strtoul(version->second.c_str(), nullptr, 10);
  std::string first;
  {
    const MutexLock lock(mutex_);
    if (is_true(request.query, "sendInitialEvents")) {
      json mark{{"metadata", {{"annotations", {{"k8s.io/initial-events-end", "true"}}}}}};
      for (const Kind& kind : kinds_) {
        if (!request.path.ends_with("/" + kind.plural)) continue;
        mark["apiVersion"] = kind.group.empty() ? kind.version : kind.group + "/" + kind.version;
        mark["kind"] = kind.kind;
      }
      for (const auto& [path, object] : objects_) {
        if (belongs(collection_of(path), request.path)) first += event("ADDED", object.dump());
      }
      next = history_.size();
      mark["metadata"]["resourceVersion"] = std::to_string(next);
      first += event("BOOKMARK", mark.dump());
    }
  }
  reply.begin_stream();
  if (!first.empty()) reply.chunk(first);
  for (;;) {
    std::string text;
    {
      const MutexLock lock(mutex_);
      while (!stopping_ && next >= history_.size()) changed_.wait(mutex_);
      if (stopping_) return reply.cut();
      for (; next < history_.size(); ++next) {
        if (belongs(history_[next].collection, request.path))
          text += event(history_[next].type, history_[next].object);
      }
    }
    if (!text.empty()) reply.chunk(text);
  }
}

void ApiServer::create(const Request& request, Reply& reply) {
  json object = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return reply.json(415, kOnlyJson);
  json& metadata = object["metadata"];
  std::string text;
  {
    const MutexLock lock(mutex_);
    if (!metadata.contains("name"))
      metadata["name"] = metadata.value("generateName", "x") + std::to_string(history_.size());
    store("ADDED", request.path + "/" + metadata["name"].get<std::string>(), object);
    text = object.dump();
  }
  reply.json(201, text);
}

void ApiServer::change(const Request& request, Reply& reply) {
  const json given = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!given.is_object()) return reply.json(415, kOnlyJson);
  const bool status = request.path.ends_with("/status");
  const std::string path = status ? collection_of(request.path) : request.path;
  std::string text;
  {
    const MutexLock lock(mutex_);
    const auto found = objects_.find(path);
    if (found != objects_.end()) {
      json object = found->second;
      if (status) {
        object["status"].merge_patch(given.value("status", json::object()));
      } else {
        object = given;
        object["metadata"]["uid"] = found->second["metadata"]["uid"];
      }
      store("MODIFIED", path, object);
      text = object.dump();
    }
  }
  reply.json(text.empty() ? 404 : 200, text.empty() ? kNotFound : text);
}

void ApiServer::remove(const Request& request, Reply& reply) {
  {
    const MutexLock lock(mutex_);
    if (const auto found = objects_.find(request.path); found != objects_.end()) {
      json object = found->second;
      store("DELETED", request.path, object);
    }
  }
  reply.json(200, R"({"kind":"Status","apiVersion":"v1","status":"Success"})");
}

std::string ApiServer::discovery(const std::string& path) const {
  if (path == "/api") return R"({"kind":"APIVersions","versions":["v1"]})";
  if (path == "/apis") {
    json groups = json::array();
    std::set<std::string> seen;
    for (const Kind& kind : kinds_) {
      if (kind.group.empty() || !seen.insert(kind.group).second) continue;
      const json version{{"groupVersion", kind.group + "/" + kind.version},
                         {"version", kind.version}};
      groups.push_back({{"name", kind.group},
                        {"versions", json::array({version})},
                        {"preferredVersion", version}});
    }
    return json{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", groups}}.dump();
  }
  json resources = json::array();
  std::string version;
  for (const Kind& kind : kinds_) {
    const std::string group_version =
        kind.group.empty() ? kind.version : kind.group + "/" + kind.version;
    if (path != (kind.group.empty() ? "/api/" : "/apis/") + group_version) continue;
    version = group_version;
    resources.push_back(
        {{"name", kind.plural},
         {"kind", kind.kind},
         {"namespaced", kind.namespaced},
         {"verbs", {"get", "list", "watch", "create", "update", "patch", "delete"}}});
  }
  if (version.empty()) return {};
  return json{{"kind", "APIResourceList"}, {"groupVersion", version}, {"resources", resources}}
      .dump();
}

}  // namespace drasriov::bench
