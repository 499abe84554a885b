// SPDX-License-Identifier: Apache-2.0
#include "messages.hpp"

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <utility>

#include "utf8.hpp"

namespace drasriov::runtime_nri {
namespace {

using protozero::pbf_reader;
using protozero::pbf_tag_type;

constexpr auto kBytes = protozero::pbf_wire_type::length_delimited;
constexpr auto kVarint = protozero::pbf_wire_type::varint;

/// The API server allows 256 KiB of annotations; a list of more entries was made to exhaust memory.
constexpr std::size_t kMaxEntries = 8192;

/// Thrown and caught in this file only, beside protozero's own exceptions.
struct TooMany {
  const char* what;
};

std::string text(pbf_reader& reader) {
  const auto view = reader.get_view();
  return valid_utf8({view.data(), view.size()});
}

template <typename List>
void require_room(const List& list, std::size_t most, const char* what) {
  if (list.size() >= most) throw TooMany{what};
}

void add_map_entry(pbf_reader entry, std::vector<sdk::Entry>& to, const char* what) {
  require_room(to, kMaxEntries, what);
  sdk::Entry pair;
  while (entry.next()) {
    switch (entry.tag_and_type()) {
      case tag_and_type(pbf_tag_type{1}, kBytes): pair.key = text(entry); break;
      case tag_and_type(pbf_tag_type{2}, kBytes): pair.value = text(entry); break;
      default: entry.skip();
    }
  }
  to.push_back(std::move(pair));
}

/// The path of the namespace of type "network" of LinuxPodSandbox, empty without one.
std::string network_namespace(pbf_reader linux_sandbox) {
  constexpr pbf_tag_type kNamespaces = 5;
  while (linux_sandbox.next(kNamespaces, kBytes)) {
    pbf_reader entry = linux_sandbox.get_message();
    std::string type;
    std::string path;
    while (entry.next()) {
      switch (entry.tag_and_type()) {
        case tag_and_type(pbf_tag_type{1}, kBytes): type = text(entry); break;
        case tag_and_type(pbf_tag_type{2}, kBytes): path = text(entry); break;
        default: entry.skip();
      }
    }
    if (type == "network") return path;
  }
  return {};
}

/// nri.PodSandbox.
sdk::Sandbox parse_sandbox(pbf_reader pod) {
  sdk::Sandbox sandbox;
  while (pod.next()) {
    switch (pod.tag_and_type()) {
      case tag_and_type(pbf_tag_type{1}, kBytes): sandbox.pod.sandbox_id = text(pod); break;
      case tag_and_type(pbf_tag_type{2}, kBytes): sandbox.pod.name = text(pod); break;
      case tag_and_type(pbf_tag_type{3}, kBytes): sandbox.pod.uid = text(pod); break;
      case tag_and_type(pbf_tag_type{4}, kBytes): sandbox.pod.namespace_ = text(pod); break;
      case tag_and_type(pbf_tag_type{5}, kBytes):
        add_map_entry(pod.get_message(), sandbox.pod.labels, "labels");
        break;
      case tag_and_type(pbf_tag_type{6}, kBytes):
        add_map_entry(pod.get_message(), sandbox.pod.annotations, "annotations");
        break;
      case tag_and_type(pbf_tag_type{7}, kBytes): sandbox.runtime_handler = text(pod); break;
      case tag_and_type(pbf_tag_type{8}, kBytes):
        sandbox.netns_path = network_namespace(pod.get_message());
        break;
      case tag_and_type(pbf_tag_type{9}, kVarint):
        sandbox.pid = static_cast<std::int32_t>(pod.get_uint32());
        break;
      default: pod.skip();
    }
  }
  return sandbox;
}

/// nri.Container.
sdk::Container parse_container(pbf_reader message) {
  // ContainerState: 0 unknown, 1 created; paused, running and stopped have had a process.
  constexpr std::int32_t kCreated = 1;
  sdk::Container container;
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(pbf_tag_type{1}, kBytes): container.id = text(message); break;
      case tag_and_type(pbf_tag_type{2}, kBytes): container.sandbox_id = text(message); break;
      case tag_and_type(pbf_tag_type{3}, kBytes): container.name = text(message); break;
      case tag_and_type(pbf_tag_type{4}, kVarint):
        container.running = message.get_enum() > kCreated;
        break;
      default: message.skip();
    }
  }
  return container;
}

/// Runs a parser; what it throws becomes an Error that names the message.
template <typename Parse>
auto guarded(const char* message, Parse parse) -> sdk::Result<decltype(parse())> {
  try {
    return parse();
  } catch (const protozero::exception&) {
    return sdk::Error(sdk::Code::kInvalidArgument, std::string(message) + " is not protobuf");
  } catch (const TooMany& many) {
    return sdk::Error(sdk::Code::kResourceExhausted,
                      std::string(message) + " has too many " + many.what);
  }
}

/// Messages of hooks have the same fields, behind the event of a StateChangeEvent.
HookRequest hook(std::string_view payload, pbf_tag_type pod, pbf_tag_type container) {
  HookRequest request;
  pbf_reader reader(payload.data(), payload.size());
  while (reader.next()) {
    if (reader.tag() == pod && reader.wire_type() == kBytes) {
      request.sandbox = parse_sandbox(reader.get_message());
    } else if (reader.tag() == container && reader.wire_type() == kBytes) {
      request.container = parse_container(reader.get_message());
    } else if (reader.tag() < pod && reader.wire_type() == kVarint) {
      request.event = reader.get_enum();
    } else {
      reader.skip();
    }
  }
  return request;
}

}  // namespace

sdk::Result<ConfigureRequest> parse_configure(std::string_view payload) {
  return guarded("ConfigureRequest", [payload] {
    ConfigureRequest request;
    const auto milliseconds = [](pbf_reader& reader, std::chrono::milliseconds& to) {
      // Bounded so that sums of deadlines cannot overflow; a day is for ever.
      constexpr std::int64_t kDay = 24LL * 60 * 60 * 1000;
      const std::int64_t value = reader.get_int64();
      if (value > 0) to = std::chrono::milliseconds(std::min(value, kDay));
    };
    pbf_reader reader(payload.data(), payload.size());
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case tag_and_type(pbf_tag_type{2}, kBytes): request.runtime_name = text(reader); break;
        case tag_and_type(pbf_tag_type{3}, kBytes): request.runtime_version = text(reader); break;
        case tag_and_type(pbf_tag_type{4}, kVarint):
          milliseconds(reader, request.registration_timeout);
          break;
        case tag_and_type(pbf_tag_type{5}, kVarint):
          milliseconds(reader, request.request_timeout);
          break;
        default: reader.skip();
      }
    }
    return request;
  });
}

sdk::Result<SynchronizeRequest> parse_synchronize(std::string_view payload) {
  return guarded("SynchronizeRequest", [payload] {
    SynchronizeRequest request;
    pbf_reader reader(payload.data(), payload.size());
    while (reader.next()) {
      switch (reader.tag_and_type()) {
        case tag_and_type(pbf_tag_type{1}, kBytes):
          require_room(request.sandboxes, kMaxSandboxes, "pods");
          request.sandboxes.push_back(parse_sandbox(reader.get_message()));
          break;
        case tag_and_type(pbf_tag_type{2}, kBytes):
          require_room(request.containers, kMaxContainers, "containers");
          request.containers.push_back(parse_container(reader.get_message()));
          break;
        case tag_and_type(pbf_tag_type{3}, kVarint): request.more = reader.get_bool(); break;
        default: reader.skip();
      }
    }
    return request;
  });
}

sdk::Result<HookRequest> parse_hook(std::string_view payload) {
  return guarded("the hook's request", [payload] { return hook(payload, 1, 2); });
}

sdk::Result<HookRequest> parse_state_change(std::string_view payload) {
  return guarded("StateChangeEvent", [payload] { return hook(payload, 2, 3); });
}

std::string encode_register_plugin(std::string_view name, std::string_view index) {
  std::string message;
  protozero::pbf_writer writer(message);
  writer.add_string(1, name.data(), name.size());
  writer.add_string(2, index.data(), index.size());
  return message;
}

std::string encode_configure_response(std::int32_t events) {
  std::string message;
  protozero::pbf_writer(message).add_int32(2, events);
  return message;
}

std::string encode_synchronize_response(bool more) {
  std::string message;
  if (more) protozero::pbf_writer(message).add_bool(2, true);
  return message;
}

}  // namespace drasriov::runtime_nri
