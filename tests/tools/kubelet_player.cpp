// SPDX-License-Identifier: Apache-2.0
//
// Plays kubelet's part over the real sockets, for the demo and for tests of the whole program: finds the registration
// socket, registers as kubelet's plugin manager does, and calls DRA with kubelet's deadlines. Prints one JSON object for
// each action, so that scripts can read it.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <boost/program_options.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dra_proto/dra_v1.grpc.pb.h"
#include "dra_proto/dra_v1beta1.grpc.pb.h"
#include "dra_proto/registration.grpc.pb.h"

namespace {

namespace fs = std::filesystem;
namespace options = boost::program_options;
namespace v1 = k8s::io::kubelet::pkg::apis::dra::v1;
namespace v1beta1 = k8s::io::kubelet::pkg::apis::dra::v1beta1;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int kExitClaimFailed = 1;  ///< an answer holds an error
constexpr int kExitUsage = 2;
constexpr int kExitNoDriver = 3;  ///< no registration, or the transport failed

// Kubelet's own limits: GetInfo 1 s, NotifyRegistrationStatus 5 s, DRA calls 45 s.
constexpr std::chrono::seconds kGetInfoDeadline{1};
constexpr std::chrono::seconds kNotifyDeadline{5};
constexpr std::chrono::seconds kDraDeadline{45};

struct ClaimName {
  std::string namespace_;
  std::string name;
  std::string uid;
};

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

ClaimName parse_claim(const std::string& text) {
  const auto first = text.find('/');
  const auto second = text.find('/', first + 1);
  if (first == std::string::npos || second == std::string::npos) {
    throw UsageError("'" + text + "' is not NAMESPACE/NAME/UID");
  }
  return {text.substr(0, first), text.substr(first + 1, second - first - 1),
          text.substr(second + 1)};
}

std::shared_ptr<grpc::Channel> connect(const std::string& path) {
  return grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
}

void must(const grpc::Status& status, const std::string& what) {
  if (!status.ok()) throw std::runtime_error(what + ": " + status.error_message());
}

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// The first socket in kubelet's registry whose GetInfo names `driver` (any driver when empty).
pluginregistration::PluginInfo find_driver(const fs::path& registry, const std::string& driver,
                                           std::chrono::seconds patience, std::string& socket) {
  const auto until = Clock::now() + patience;
  std::string last = "no socket in " + registry.native();
  for (;;) {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(registry, missing)) {
      // Kubelet ignores names that begin with a dot, and files that are no sockets.
      if (entry.path().filename().native().starts_with('.') || !entry.is_socket()) continue;
      const auto stub = pluginregistration::Registration::NewStub(connect(entry.path().native()));
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + kGetInfoDeadline);
      pluginregistration::PluginInfo info;
      const auto status = stub->GetInfo(&context, {}, &info);
      if (!status.ok()) {
        last = entry.path().native() + ": " + status.error_message();
      } else if (driver.empty() || info.name() == driver) {
        socket = entry.path().native();
        return info;
      }
    }
    if (Clock::now() >= until) throw std::runtime_error("no driver registered: " + last);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void notify(const std::string& socket) {
  const auto stub = pluginregistration::Registration::NewStub(connect(socket));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kNotifyDeadline);
  pluginregistration::RegistrationStatus request;
  request.set_plugin_registered(true);
  pluginregistration::RegistrationStatusResponse response;
  must(stub->NotifyRegistrationStatus(&context, request, &response), "NotifyRegistrationStatus");
}

template <typename Request>
void fill(Request& request, const std::vector<ClaimName>& claims) {
  for (const auto& claim : claims) {
    auto& out = *request.add_claims();
    out.set_namespace_(claim.namespace_);
    out.set_name(claim.name);
    out.set_uid(claim.uid);
  }
}

template <typename Response>
Json answers(const Response& response, const std::vector<ClaimName>& claims, bool& failed) {
  if (static_cast<std::size_t>(response.claims_size()) != claims.size()) {
    throw std::runtime_error("the answer has " + std::to_string(response.claims_size()) +
                             " claims, asked for " + std::to_string(claims.size()));
  }
  Json out = Json::object();
  for (const auto& claim : claims) {
    const auto& answer = response.claims().at(claim.uid);
    Json& entry = out[claim.uid];
    entry["error"] = answer.error();
    failed = failed || !answer.error().empty();
    if constexpr (requires { answer.devices(); }) {
      entry["devices"] = Json::array();
      for (const auto& device : answer.devices()) {
        entry["devices"].push_back({{"requestNames", device.request_names()},
                                    {"poolName", device.pool_name()},
                                    {"deviceName", device.device_name()},
                                    {"cdiDeviceIDs", device.cdi_device_ids()}});
      }
    }
  }
  return out;
}

/// One call of the API whose messages are Prepare… and Unprepare…; prints its answer.
template <typename Stub, typename PrepareRequest, typename PrepareResponse,
          typename UnprepareRequest, typename UnprepareResponse>
bool call(Stub& stub, const std::string& action, const std::vector<ClaimName>& claims) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDraDeadline);
  bool failed = false;
  Json out{{"action", action}};
  const auto begin = Clock::now();
  if (action == "prepare") {
    PrepareRequest request;
    PrepareResponse response;
    fill(request, claims);
    must(stub.NodePrepareResources(&context, request, &response), "NodePrepareResources");
    out["milliseconds"] = milliseconds_since(begin);
    out["claims"] = answers(response, claims, failed);
  } else {
    UnprepareRequest request;
    UnprepareResponse response;
    fill(request, claims);
    must(stub.NodeUnprepareResources(&context, request, &response), "NodeUnprepareResources");
    out["milliseconds"] = milliseconds_since(begin);
    out["claims"] = answers(response, claims, failed);
  }
  std::cout << out.dump() << std::endl;
  return failed;
}

int play(int argc, char** argv) {
  std::string registry;
  std::string driver;
  int patience = 30;
  std::vector<std::string> words;
  options::options_description visible("Options");
  auto add = visible.add_options();
  add("registry", options::value(&registry)->value_name("DIR")->required(),
      "kubelet's plugins_registry");
  add("driver", options::value(&driver)->value_name("NAME"),
      "the driver to wait for (default: the first one found)");
  add("timeout", options::value(&patience)->value_name("SECONDS")->default_value(30),
      "how long to wait for it");
  add("v1beta1", "call DRA v1beta1 instead of v1");
  add("help", "this text");
  options::options_description all;
  all.add(visible).add_options()("word", options::value(&words));
  options::variables_map values;
  options::store(options::command_line_parser(argc, argv)
                     .options(all)
                     .positional(options::positional_options_description().add("word", -1))
                     .run(),
                 values);
  if (values.count("help") != 0) {
    std::cout
        << "Usage: kubelet_player --registry DIR [OPTIONS] register\n"
           "       kubelet_player --registry DIR [OPTIONS] (prepare | unprepare) "
           "NAMESPACE/NAME/UID…\n\n"
        << visible
        << "\nExit status: 0 all claims answered without error, 1 a claim's answer is an error,\n"
           "2 wrong usage, 3 no driver or the call itself failed.\n";
    return 0;
  }
  options::notify(values);
  if (words.empty()) throw UsageError("say register, prepare or unprepare");
  const std::string action = words.front();
  std::vector<ClaimName> claims;
  for (std::size_t i = 1; i < words.size(); ++i) claims.push_back(parse_claim(words[i]));
  if (action == "register" ? !claims.empty()
                           : (action != "prepare" && action != "unprepare") || claims.empty()) {
    throw UsageError("register takes no claims, prepare and unprepare at least one");
  }

  std::string socket;
  const auto info = find_driver(registry, driver, std::chrono::seconds(patience), socket);
  if (action == "register") {
    notify(socket);
    std::cout << Json{{"action", action},
                      {"type", info.type()},
                      {"name", info.name()},
                      {"endpoint", info.endpoint()},
                      {"supportedVersions", info.supported_versions()}}
                     .dump()
              << std::endl;
    return 0;
  }
  const std::string endpoint = info.endpoint().empty() ? socket : info.endpoint();
  bool failed = false;
  if (values.count("v1beta1") != 0) {
    const auto stub = v1beta1::DRAPlugin::NewStub(connect(endpoint));
    failed = call<v1beta1::DRAPlugin::Stub, v1beta1::NodePrepareResourcesRequest,
                  v1beta1::NodePrepareResourcesResponse, v1beta1::NodeUnprepareResourcesRequest,
                  v1beta1::NodeUnprepareResourcesResponse>(*stub, action, claims);
  } else {
    const auto stub = v1::DRAPlugin::NewStub(connect(endpoint));
    failed =
        call<v1::DRAPlugin::Stub, v1::NodePrepareResourcesRequest, v1::NodePrepareResourcesResponse,
             v1::NodeUnprepareResourcesRequest, v1::NodeUnprepareResourcesResponse>(*stub, action,
                                                                                    claims);
  }
  return failed ? kExitClaimFailed : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return play(argc, argv);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "kubelet_player: %s; see --help\n", error.what());
    return kExitUsage;
  } catch (const options::error& error) {
    std::fprintf(stderr, "kubelet_player: %s; see --help\n", error.what());
    return kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kubelet_player: %s\n", error.what());
    return kExitNoDriver;
  }
}
