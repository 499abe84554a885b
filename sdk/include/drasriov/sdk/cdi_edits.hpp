// SPDX-License-Identifier: Apache-2.0
//
// cdi::Edits: builds a CDI containerEdits object (Container Device Interface specification, section
// containerEdits), the value of PrepareSink::add_edits. A value; no locking.
//
//   cdi::Edits edits;
//   edits.env("SRIOV_VF", address).device_node({.path = "/dev/vfio/42", .permissions = "rw"});
//   return sink.add_edits(edits.json());
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {
namespace cdi {

/// Empty strings and absent numbers are left out: the runtime then takes the value of the host's
/// node.
struct DeviceNode {
  std::string path;       ///< in the container
  std::string host_path;  ///< default: path
  std::string type;       ///< "c", "b", "u" or "p"
  std::optional<std::int64_t> major;
  std::optional<std::int64_t> minor;
  std::optional<std::uint32_t> file_mode;  ///< permission bits, 0660
  std::string permissions;                 ///< cgroup access, any of "rwm"
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
};

struct Mount {
  std::string host_path;
  std::string container_path;
  std::vector<std::string> options;  ///< "bind" and "ro" are not implied
  std::string type;
};

struct Hook {
  std::string
      name;  ///< createRuntime, createContainer, startContainer, poststart, poststop, prestart
  std::string path;               ///< absolute
  std::vector<std::string> args;  ///< argv, with argv[0]
  std::vector<std::string> env;   ///< "NAME=value"
  std::optional<int> timeout_seconds;
};

namespace detail {

/// Writes one JSON document; the caller keeps it well-formed.
class JsonWriter {
 public:
  void key(std::string_view name) {
    separate();
    quote(name);
    out_ += ':';
    fresh_ = true;
  }
  void string(std::string_view value) {
    separate();
    quote(value);
  }
  void number(std::int64_t value) {
    separate();
    out_ += std::to_string(value);
  }
  void open(char bracket) {
    separate();
    out_ += bracket;
    fresh_ = true;
  }
  void close(char bracket) {
    out_ += bracket;
    fresh_ = false;
  }

  void member(std::string_view name, std::string_view value) {
    if (!value.empty()) {
      key(name);
      string(value);
    }
  }
  template <class Number>
  void member(std::string_view name, const std::optional<Number>& value) {
    if (value) {
      key(name);
      number(*value);
    }
  }
  void member(std::string_view name, const std::vector<std::string>& values) {
    if (!values.empty()) {
      key(name);
      open('[');
      for (const std::string& value : values) {
        string(value);
      }
      close(']');
    }
  }

  [[nodiscard]] std::string take() && { return std::move(out_); }

 private:
  void separate() {
    if (!fresh_) {
      out_ += ',';
    }
    fresh_ = false;
  }
  void quote(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (byte < 0x20) {
        out_ += "\\u00";
        out_ += kHex[byte >> 4];
        out_ += kHex[byte & 15];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  std::string out_;
  bool fresh_ = true;
};

}  // namespace detail

class Edits {
 public:
  Edits& env(std::string_view name, std::string_view value) {
    env_.emplace_back(name).append("=").append(value);
    return *this;
  }
  Edits& device_node(DeviceNode node) {
    device_nodes_.push_back(std::move(node));
    return *this;
  }
  Edits& mount(Mount mount) {
    mounts_.push_back(std::move(mount));
    return *this;
  }
  Edits& hook(Hook hook) {
    hooks_.push_back(std::move(hook));
    return *this;
  }

  /// CDI forbids an empty containerEdits: add nothing then.
  [[nodiscard]] bool empty() const noexcept {
    return env_.empty() && device_nodes_.empty() && mounts_.empty() && hooks_.empty();
  }

  /// UTF-8 JSON, keys in the order of the specification, absent values left out.
  [[nodiscard]] std::string json() const {
    detail::JsonWriter out;
    out.open('{');
    out.member("env", env_);
    if (!device_nodes_.empty()) {
      out.key("deviceNodes");
      out.open('[');
      for (const DeviceNode& node : device_nodes_) {
        write(out, node);
      }
      out.close(']');
    }
    if (!mounts_.empty()) {
      out.key("mounts");
      out.open('[');
      for (const Mount& mount : mounts_) {
        write(out, mount);
      }
      out.close(']');
    }
    if (!hooks_.empty()) {
      out.key("hooks");
      out.open('[');
      for (const Hook& hook : hooks_) {
        write(out, hook);
      }
      out.close(']');
    }
    out.close('}');
    return std::move(out).take();
  }

 private:
  static void write(detail::JsonWriter& out, const DeviceNode& node) {
    out.open('{');
    out.member("path", node.path);
    out.member("hostPath", node.host_path);
    out.member("type", node.type);
    out.member("major", node.major);
    out.member("minor", node.minor);
    out.member("fileMode", node.file_mode);
    out.member("permissions", node.permissions);
    out.member("uid", node.uid);
    out.member("gid", node.gid);
    out.close('}');
  }
  static void write(detail::JsonWriter& out, const Mount& mount) {
    out.open('{');
    out.member("hostPath", mount.host_path);
    out.member("containerPath", mount.container_path);
    out.member("options", mount.options);
    out.member("type", mount.type);
    out.close('}');
  }
  static void write(detail::JsonWriter& out, const Hook& hook) {
    out.open('{');
    out.member("hookName", hook.name);
    out.member("path", hook.path);
    out.member("args", hook.args);
    out.member("env", hook.env);
    out.member("timeout", hook.timeout_seconds);
    out.close('}');
  }

  std::vector<std::string> env_;
  std::vector<DeviceNode> device_nodes_;
  std::vector<Mount> mounts_;
  std::vector<Hook> hooks_;
};

}  // namespace cdi
}  // namespace abi_v1
}  // namespace drasriov::sdk
