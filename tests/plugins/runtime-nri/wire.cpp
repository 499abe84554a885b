// SPDX-License-Identifier: Apache-2.0
#include "wire.hpp"

#include <algorithm>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

namespace drasriov::runtime_nri::testing {
namespace {

constexpr std::size_t kHeader = 10;
constexpr std::size_t kGoBuffer = 4096;

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::uint32_t number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

std::string frame(std::uint32_t stream, char type, std::string_view data) {
  std::string bytes = big_endian(static_cast<std::uint32_t>(data.size())) + big_endian(stream);
  bytes.push_back(type);
  bytes.push_back(0);
  return bytes.append(data);
}

void add_map(protozero::pbf_writer& writer, protozero::pbf_tag_type tag,
             const std::map<std::string, std::string>& entries) {
  for (const auto& [key, value] : entries) {
    protozero::pbf_writer entry(writer, tag);
    entry.add_string(1, key);
    entry.add_string(2, value);
  }
}

}  // namespace

std::string unhex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  int high = -1;
  for (const char c : hex) {
    if (c == ' ' || c == '\n') continue;
    if (high < 0) {
      high = digit(c);
    } else {
      bytes.push_back(static_cast<char>(high * 16 + digit(c)));
      high = -1;
    }
  }
  return bytes;
}

std::string TestPod::encode() const {
  std::string bytes;
  protozero::pbf_writer pod(bytes);
  pod.add_string(1, id);
  pod.add_string(2, name);
  pod.add_string(3, uid);
  pod.add_string(4, namespace_);
  add_map(pod, 5, labels);
  add_map(pod, 6, annotations);
  pod.add_string(7, handler);
  {
    protozero::pbf_writer linux_sandbox(pod, 8);
    linux_sandbox.add_string(3, "/kubepods");
    if (!netns.empty()) {
      protozero::pbf_writer entry(linux_sandbox, 5);
      entry.add_string(1, "network");
      entry.add_string(2, netns);
    }
  }
  if (pid != 0) pod.add_uint32(9, pid);
  return bytes;
}

std::string TestContainer::encode() const {
  std::string bytes;
  protozero::pbf_writer container(bytes);
  container.add_string(1, id);
  container.add_string(2, sandbox);
  container.add_string(3, name);
  container.add_enum(4, state);
  return bytes;
}

std::string configure_request(std::string_view name, std::int64_t registration_ms,
                              std::int64_t request_ms, std::string_view version) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_string(2, name.data(), name.size());
  writer.add_string(3, version.data(), version.size());
  if (registration_ms != 0) writer.add_int64(4, registration_ms);
  if (request_ms != 0) writer.add_int64(5, request_ms);
  return bytes;
}

std::string synchronize_request(const std::vector<TestPod>& pods,
                                const std::vector<TestContainer>& containers, bool more) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  for (const TestPod& pod : pods) writer.add_message(1, pod.encode());
  for (const TestContainer& container : containers) writer.add_message(2, container.encode());
  if (more) writer.add_bool(3, true);
  return bytes;
}

std::string hook_request(const TestPod& pod, const std::optional<TestContainer>& container) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_message(1, pod.encode());
  if (container) writer.add_message(2, container->encode());
  return bytes;
}

std::string state_change(int event, const TestPod& pod) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_enum(1, event);
  writer.add_message(2, pod.encode());
  return bytes;
}

std::string request_frame(std::uint32_t stream, std::string_view method, std::string_view payload,
                          std::chrono::nanoseconds timeout, std::string_view service) {
  std::string data;
  protozero::pbf_writer writer(data);
  writer.add_string(1, service.data(), service.size());
  writer.add_string(2, method.data(), method.size());
  writer.add_bytes(3, payload.data(), payload.size());
  if (timeout.count() != 0) writer.add_int64(4, timeout.count());
  return frame(stream, 1, data);
}

std::string response_frame(std::uint32_t stream, std::string_view data) {
  return frame(stream, 2, data);
}

std::string mux(std::uint32_t connection, std::string_view bytes) {
  return big_endian(connection) + big_endian(static_cast<std::uint32_t>(bytes.size())) +
         std::string(bytes);
}

std::string mux_in_pieces(std::uint32_t connection, std::string_view bytes, std::size_t size) {
  std::string trunk;
  for (std::size_t i = 0; i < bytes.size(); i += size) {
    trunk += mux(connection, bytes.substr(i, size));
  }
  return trunk;
}

std::vector<Written> GoReader::feed(std::string_view bytes) {
  std::vector<Written> messages;
  trunk_.append(bytes);
  while (problem_.empty() && trunk_.size() >= 8) {
    const std::string_view view = trunk_;
    const std::size_t length = number(view.substr(4));
    if (view.size() < 8 + length) break;
    take_frame(number(view), view.substr(8, length), messages);
    trunk_.erase(0, 8 + length);
  }
  return messages;
}

void GoReader::take_frame(std::uint32_t connection, std::string_view payload,
                          std::vector<Written>& to) {
  std::string& buffer = streams_[connection].buffer;
  // What the pending read of Go's ttrpc layer asks for.
  const std::size_t wanted = buffer.size() < kHeader ? 0 : kHeader + number(buffer) - buffer.size();
  if (payload.size() > kGoBuffer && payload.size() != wanted) {
    problem_ = "a mux frame of " + std::to_string(payload.size()) +
               " bytes where Go reads 4096 or exactly " + std::to_string(wanted);
    return;
  }
  buffer.append(payload);
  while (buffer.size() >= kHeader && buffer.size() - kHeader >= number(buffer)) {
    Written message;
    message.connection = connection;
    message.stream = number(std::string_view(buffer).substr(4));
    message.type = static_cast<std::uint8_t>(buffer[8]);
    const std::string data = buffer.substr(kHeader, number(buffer));
    buffer.erase(0, kHeader + data.size());
    protozero::pbf_reader reader(data);
    while (reader.next()) {
      if (message.type == 1 && reader.tag() == 2) {
        message.method = reader.get_string();
      } else if (message.type == 1 && reader.tag() == 3) {
        message.payload = reader.get_string();
      } else if (message.type == 2 && reader.tag() == 2) {
        message.payload = reader.get_string();
      } else if (message.type == 2 && reader.tag() == 1) {
        protozero::pbf_reader status = reader.get_message();
        while (status.next()) {
          if (status.tag() == 1) {
            message.code = status.get_int32();
          } else if (status.tag() == 2) {
            message.message = status.get_string();
          } else {
            status.skip();
          }
        }
      } else {
        reader.skip();
      }
    }
    to.push_back(std::move(message));
  }
}

}  // namespace drasriov::runtime_nri::testing
