// SPDX-License-Identifier: Apache-2.0
//
// The text form of a Record. Written by hand rather than through a JSON tree: a prepare writes it
// on its way to the answer. Read through a JSON tree, strictly: what is not understood must not be
// dropped by the next write.
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "host/base/encoding.hpp"
#include "host/claim/record.hpp"

namespace drasriov::claim {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kBeforeSum = R"({"format":1,"sha256":")";
constexpr std::string_view kAfterSum = R"(","record":)";
constexpr std::string_view kEnd = "}\n";
constexpr std::size_t kSumDigits = 64;

constexpr std::pair<RecordState, std::string_view> kStates[] = {
    {RecordState::kPreparing, "Preparing"},
    {RecordState::kPrepared, "Prepared"},
    {RecordState::kUndoing, "Undoing"}};
constexpr std::pair<AttachmentState, std::string_view> kAttachmentStates[] = {
    {AttachmentState::kAttaching, "Attaching"},
    {AttachmentState::kAttached, "Attached"},
    {AttachmentState::kDetaching, "Detaching"}};

/// Bytes of the UTF-8 character at the front of `text`; 0 when there is none (RFC 3629, table of
/// section 4).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto in = [&](std::size_t i, unsigned char low, unsigned char high) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return in(1, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool second = in(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return second && in(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool second = in(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
    return second && in(2, 0x80, 0xbf) && in(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

// --- writing
// ---------------------------------------------------------------------------------------------------------

class Writer {
 public:
  [[nodiscard]] std::string take() && { return std::move(out_); }

  void open(char bracket) {
    separate();
    out_ += bracket;
    first_ = true;
  }
  void close(char bracket) {
    out_ += bracket;
    first_ = false;
  }
  void key(std::string_view name) {
    separate();
    quote(name);
    out_ += ':';
    first_ = true;
  }
  void value(std::string_view text) {
    separate();
    quote(text);
  }
  void value(bool flag) {
    separate();
    out_ += flag ? "true" : "false";
  }
  template <typename Integer>
  requires std::is_integral_v<Integer>
  void value(Integer number) {
    separate();
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out_.append(digits, end);
  }
  template <typename Value>
  void member(std::string_view name, const Value& content) {
    key(name);
    value(content);
  }
  void member(std::string_view name, const std::vector<std::string>& texts) {
    key(name);
    open('[');
    for (const std::string& text : texts) value(std::string_view(text));
    close(']');
  }
  /// std::map or device::Fields
  template <typename Texts>
  requires std::is_same_v<typename Texts::mapped_type, std::string>
  void member(std::string_view name, const Texts& texts) {
    key(name);
    open('{');
    for (const auto& [inner, text] : texts) member(inner, std::string_view(text));
    close('}');
  }

 private:
  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  /// Bytes that are no UTF-8 (a fact of a module, an error's text) become U+FFFD: a record that
  /// cannot be read back would cost the claim.
  void quote(std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out_ += '"';
    while (!text.empty()) {
      const auto byte = static_cast<unsigned char>(text.front());
      const std::size_t length = utf8_length(text);
      if (length == 0) {
        out_ += "\xef\xbf\xbd";
      } else if (byte == '"' || byte == '\\') {
        out_ += '\\';
        out_ += text.front();
      } else if (byte < 0x20) {
        out_ += "\\u00";
        out_ += kHex[byte >> 4U];
        out_ += kHex[byte & 0xfU];
      } else {
        out_.append(text.substr(0, length));
      }
      text.remove_prefix(length == 0 ? 1 : length);
    }
    out_ += '"';
  }

  std::string out_;
  bool first_ = true;
};

std::string_view name_of(AttachmentState state) {
  return kAttachmentStates[static_cast<std::size_t>(state)].second;
}

void write_attribute(Writer& out, std::string_view key, const device::AttributeValue& value) {
  out.key(key);
  out.open('{');
  std::visit(
      [&out](const auto& held) {
        using Held = std::decay_t<decltype(held)>;
        const auto list = [&out](std::string_view name, const auto& elements, auto project) {
          out.key(name);
          out.open('[');
          for (const auto& element : elements) out.value(project(element));
          out.close(']');
        };
        if constexpr (std::is_same_v<Held, std::int64_t>) {
          out.member("int", held);
        } else if constexpr (std::is_same_v<Held, bool>) {
          out.member("bool", held);
        } else if constexpr (std::is_same_v<Held, std::string>) {
          out.member("string", std::string_view(held));
        } else if constexpr (std::is_same_v<Held, device::Version>) {
          out.member("version", std::string_view(held.text));
        } else if constexpr (std::is_same_v<Held, std::vector<std::int64_t>>) {
          list("ints", held, [](std::int64_t number) { return number; });
        } else if constexpr (std::is_same_v<Held, std::vector<bool>>) {
          list("bools", held, [](bool flag) { return flag; });
        } else if constexpr (std::is_same_v<Held, std::vector<std::string>>) {
          list("strings", held, [](const std::string& text) { return std::string_view(text); });
        } else {
          list("versions", held,
               [](const device::Version& version) { return std::string_view(version.text); });
        }
      },
      value);
  out.close('}');
}

void write_published(Writer& out, const device::Device& device) {
  out.key("published");
  out.open('{');
  out.member("name", std::string_view(device.name));
  out.member("kind", std::string_view(device.kind));
  out.member("parent", std::string_view(device.parent));
  out.member("module", std::string_view(device.module));
  out.key("attributes");
  out.open('{');
  for (const auto& [key, value] : device.attributes) write_attribute(out, key, value);
  out.close('}');
  out.member("capacities", device.capacities);
  out.member("facts", device.facts);
  out.close('}');
}

void write_step(Writer& out, const ChainLink& link, const BindingStep& step) {
  out.open('{');
  out.member("instance", std::string_view(link.instance));
  out.member("parameters", std::string_view(link.parameters_json));
  out.member("snapshot", std::string_view(base64_encode(step.snapshot)));
  out.member("state", std::string_view(base64_encode(step.state)));
  out.member("facts", step.facts);
  out.member("edits", step.edits_json);
  out.member("undone", step.undone);
  out.close('}');
}

void write_attachment(Writer& out, const Attachment& attachment) {
  out.open('{');
  out.member("state", name_of(attachment.state));
  out.member("sandbox", std::string_view(attachment.sandbox_id));
  out.member("podUID", std::string_view(attachment.pod_uid));
  out.member("podNamespace", std::string_view(attachment.pod_namespace));
  out.member("podName", std::string_view(attachment.pod_name));
  out.member("netnsPath", std::string_view(attachment.netns_path));
  out.member("netnsDevice", attachment.netns_device);
  out.member("netnsInode", attachment.netns_inode);
  out.member("interface", std::string_view(attachment.interface_name));
  out.member("config", std::string_view(attachment.config_json));
  out.member("result", std::string_view(attachment.result_json));
  out.close('}');
}

void write_device(Writer& out, const DeviceRecord& device) {
  const AllocatedDevice& allocated = device.plan.allocated;
  out.open('{');
  out.member("request", std::string_view(allocated.request));
  out.member("pool", std::string_view(allocated.pool));
  out.member("device", std::string_view(allocated.device));
  out.member("adminAccess", allocated.admin_access);
  if (allocated.share_id) out.member("shareID", std::string_view(*allocated.share_id));
  out.member("interface", std::string_view(device.plan.interface_name));
  out.member("netAttachDefName", std::string_view(device.plan.net_attach_def_name));
  out.member("config", std::string_view(device.plan.config_json));
  out.member("netconf", std::string_view(device.plan.netconf_json));
  write_published(out, device.plan.published);
  out.key("steps");
  out.open('[');
  for (std::size_t i = 0; i < device.steps.size(); ++i)
    write_step(out, device.plan.chain[i], device.steps[i]);
  out.close(']');
  out.member("cdiDeviceIDs", device.cdi_device_ids);
  out.key("attachments");
  out.open('[');
  for (const Attachment& attachment : device.attachments) write_attachment(out, attachment);
  out.close(']');
  if (device.adopted_edits_json)
    out.member("adoptedEdits", std::string_view(*device.adopted_edits_json));
  out.close('}');
}

std::string body_of(const Record& record) {
  Writer out;
  out.open('{');
  out.member("state", state_name(record.state));
  out.member("namespace", std::string_view(record.claim.namespace_));
  out.member("name", std::string_view(record.claim.name));
  out.member("uid", std::string_view(record.claim.uid));
  out.member("bootID", std::string_view(record.boot_id));
  if (record.pod_uid) out.member("podUID", std::string_view(*record.pod_uid));
  out.member("lastError", std::string_view(record.last_error));
  out.key("consumers");
  out.open('[');
  for (const module::Consumer& consumer : record.consumers) {
    out.open('{');
    out.member("resource", std::string_view(consumer.resource));
    out.member("name", std::string_view(consumer.name));
    out.member("uid", std::string_view(consumer.uid));
    out.close('}');
  }
  out.close(']');
  out.key("devices");
  out.open('[');
  for (const DeviceRecord& device : record.devices) write_device(out, device);
  out.close(']');
  out.close('}');
  return std::move(out).take();
}

// --- reading
// ---------------------------------------------------------------------------------------------------------

/// Thrown inside this file only and caught in decode_record(): a strict reader of nested optional
/// members is unreadable with a Result at each of them.
struct Malformed {
  std::string what;
};

/// One JSON object of which every member must be asked for.
class Object {
 public:
  Object(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
    if (!json.is_object()) throw Malformed{path_ + " is not an object"};
  }

  [[nodiscard]] const Json& at(std::string_view key) {
    const Json* found = find(key);
    if (found == nullptr) throw Malformed{path(key) + " is missing"};
    return *found;
  }
  [[nodiscard]] const Json* find(std::string_view key) {
    const auto found = json_.find(key);
    if (found == json_.end()) return nullptr;
    seen_.emplace(key);
    return &*found;
  }
  [[nodiscard]] std::string text(std::string_view key) { return text_of(at(key), path(key)); }
  [[nodiscard]] bool flag(std::string_view key) {
    const Json& value = at(key);
    if (!value.is_boolean()) throw Malformed{path(key) + " is not a boolean"};
    return value.get<bool>();
  }
  [[nodiscard]] std::uint64_t number(std::string_view key) {
    const Json& value = at(key);
    if (!value.is_number_unsigned()) throw Malformed{path(key) + " is not a number"};
    return value.get<std::uint64_t>();
  }
  [[nodiscard]] std::string bytes(std::string_view key) {
    auto decoded = base64_decode(text(key));
    if (!decoded) throw Malformed{path(key) + ": " + decoded.error().message()};
    return std::move(*decoded);
  }
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> out;
    each(key,
         [&](const Json& element, const std::string& at) { out.push_back(text_of(element, at)); });
    return out;
  }
  /// `out` is a std::map or device::Fields.
  template <typename Texts>
  void read_texts(std::string_view key, Texts& out) {
    const Json& value = at(key);
    if (!value.is_object()) throw Malformed{path(key) + " is not an object"};
    for (auto it = value.begin(); it != value.end(); ++it)
      out[it.key()] = text_of(*it, path(key) + "." + it.key());
  }
  template <typename Visit>
  void each(std::string_view key, Visit visit) {
    const Json& value = at(key);
    if (!value.is_array()) throw Malformed{path(key) + " is not a list"};
    for (std::size_t i = 0; i < value.size(); ++i)
      visit(value[i], path(key) + "[" + std::to_string(i) + "]");
  }
  template <typename State, std::size_t kCount>
  [[nodiscard]] State state(std::string_view key,
                            const std::pair<State, std::string_view> (&names)[kCount]) {
    const std::string found = text(key);
    for (const auto& [value, name] : names) {
      if (name == found) return value;
    }
    throw Malformed{path(key) + " is unknown: " + found};
  }
  void finish() const {
    for (auto it = json_.begin(); it != json_.end(); ++it) {
      if (!seen_.contains(it.key())) throw Malformed{path(it.key()) + " is unknown"};
    }
  }
  [[nodiscard]] std::string path(std::string_view key) const {
    return path_ + "." + std::string(key);
  }

 private:
  static std::string text_of(const Json& value, const std::string& path) {
    if (!value.is_string()) throw Malformed{path + " is not a string"};
    return value.get<std::string>();
  }
  const Json& json_;
  std::string path_;
  std::set<std::string, std::less<>> seen_;
};

template <typename Element, typename Convert>
std::vector<Element> list_of(const Json& value, const std::string& path, Convert convert) {
  if (!value.is_array()) throw Malformed{path + " is not a list"};
  std::vector<Element> out;
  for (const Json& element : value) out.push_back(convert(element));
  return out;
}

device::AttributeValue read_attribute(const Json& json, const std::string& path) {
  if (!json.is_object() || json.size() != 1) throw Malformed{path + " is not one value"};
  const std::string type = json.begin().key();
  const Json& value = *json.begin();
  const auto integer = [&](const Json& element) {
    if (!element.is_number_integer()) throw Malformed{path + " is not a number"};
    return element.get<std::int64_t>();
  };
  const auto boolean = [&](const Json& element) {
    if (!element.is_boolean()) throw Malformed{path + " is not a boolean"};
    return element.get<bool>();
  };
  const auto text = [&](const Json& element) {
    if (!element.is_string()) throw Malformed{path + " is not a string"};
    return element.get<std::string>();
  };
  const auto version = [&](const Json& element) { return device::Version{text(element)}; };
  if (type == "int") return integer(value);
  if (type == "bool") return boolean(value);
  if (type == "string") return text(value);
  if (type == "version") return version(value);
  if (type == "ints") return list_of<std::int64_t>(value, path, integer);
  if (type == "bools") return list_of<bool>(value, path, boolean);
  if (type == "strings") return list_of<std::string>(value, path, text);
  if (type == "versions") return list_of<device::Version>(value, path, version);
  throw Malformed{path + " has the unknown type " + type};
}

device::Device read_published(const Json& json, const std::string& path) {
  Object in(json, path);
  device::Device device;
  device.name = in.text("name");
  device.kind = in.text("kind");
  device.parent = in.text("parent");
  device.module = in.text("module");
  const Json& attributes = in.at("attributes");
  if (!attributes.is_object()) throw Malformed{in.path("attributes") + " is not an object"};
  for (auto it = attributes.begin(); it != attributes.end(); ++it) {
    device.attributes.emplace(it.key(),
                              read_attribute(*it, in.path("attributes") + "." + it.key()));
  }
  in.read_texts("capacities", device.capacities);
  in.read_texts("facts", device.facts);
  in.finish();
  return device;
}

Attachment read_attachment(const Json& json, const std::string& path) {
  Object in(json, path);
  Attachment attachment;
  attachment.state = in.state("state", kAttachmentStates);
  attachment.sandbox_id = in.text("sandbox");
  attachment.pod_uid = in.text("podUID");
  attachment.pod_namespace = in.text("podNamespace");
  attachment.pod_name = in.text("podName");
  attachment.netns_path = in.text("netnsPath");
  attachment.netns_device = in.number("netnsDevice");
  attachment.netns_inode = in.number("netnsInode");
  attachment.interface_name = in.text("interface");
  attachment.config_json = in.text("config");
  attachment.result_json = in.text("result");
  in.finish();
  return attachment;
}

DeviceRecord read_device(const Json& json, const std::string& path) {
  Object in(json, path);
  DeviceRecord device;
  DevicePlan& plan = device.plan;
  plan.allocated.request = in.text("request");
  plan.allocated.pool = in.text("pool");
  plan.allocated.device = in.text("device");
  plan.allocated.admin_access = in.flag("adminAccess");
  if (in.find("shareID") != nullptr) plan.allocated.share_id = in.text("shareID");
  plan.interface_name = in.text("interface");
  plan.net_attach_def_name = in.text("netAttachDefName");
  plan.config_json = in.text("config");
  plan.netconf_json = in.text("netconf");
  plan.published = read_published(in.at("published"), in.path("published"));
  in.each("steps", [&](const Json& element, const std::string& at) {
    Object entry(element, at);
    plan.chain.push_back({entry.text("instance"), entry.text("parameters")});
    BindingStep step;
    step.snapshot = entry.bytes("snapshot");
    step.state = entry.bytes("state");
    entry.read_texts("facts", step.facts);
    step.edits_json = entry.texts("edits");
    step.undone = entry.flag("undone");
    entry.finish();
    device.steps.push_back(std::move(step));
  });
  device.cdi_device_ids = in.texts("cdiDeviceIDs");
  in.each("attachments", [&](const Json& element, const std::string& at) {
    device.attachments.push_back(read_attachment(element, at));
  });
  if (in.find("adoptedEdits") != nullptr) device.adopted_edits_json = in.text("adoptedEdits");
  in.finish();
  return device;
}

Record read_body(const Json& json) {
  Object in(json, "record");
  Record record;
  record.state = in.state("state", kStates);
  record.claim = {in.text("namespace"), in.text("name"), in.text("uid")};
  if (auto ok = check_claim_ref(record.claim); !ok) throw Malformed{ok.error().message()};
  record.boot_id = in.text("bootID");
  if (in.find("podUID") != nullptr) record.pod_uid = in.text("podUID");
  record.last_error = in.text("lastError");
  in.each("consumers", [&](const Json& element, const std::string& at) {
    Object entry(element, at);
    record.consumers.push_back({entry.text("resource"), entry.text("name"), entry.text("uid")});
    entry.finish();
  });
  in.each("devices", [&](const Json& element, const std::string& at) {
    record.devices.push_back(read_device(element, at));
  });
  in.finish();
  return record;
}

}  // namespace

std::string encode_record(const Record& record) {
  const std::string body = body_of(record);
  std::string text;
  text.reserve(body.size() + kBeforeSum.size() + kSumDigits + kAfterSum.size() + kEnd.size());
  text.append(kBeforeSum).append(sha256_hex(body)).append(kAfterSum).append(body).append(kEnd);
  return text;
}

Result<Record> decode_record(std::string_view text, bool check_sum) {
  const auto lost = [](std::string what) { return Error(Code::kDataLoss, std::move(what)); };
  const std::size_t head = kBeforeSum.size() + kSumDigits + kAfterSum.size();
  if (text.size() < head + kEnd.size() || !text.starts_with(kBeforeSum) ||
      text.substr(kBeforeSum.size() + kSumDigits, kAfterSum.size()) != kAfterSum) {
    return lost("it does not begin like a record of format 1");
  }
  if (!text.ends_with(kEnd)) return lost("it is cut short");
  const std::string_view sum = text.substr(kBeforeSum.size(), kSumDigits);
  const std::string_view body = text.substr(head, text.size() - head - kEnd.size());
  if (check_sum && sha256_hex(body) != sum) return lost("its checksum does not match");
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return lost("it is not valid JSON");
  try {
    return read_body(json);
  } catch (const Malformed& malformed) {
    return lost(malformed.what);
  }
}

}  // namespace drasriov::claim
