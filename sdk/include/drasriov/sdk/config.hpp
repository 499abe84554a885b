// SPDX-License-Identifier: Apache-2.0
//
// Config: the JSON of an instance's configuration, of a claim's parameters or of the effective
// VfConfig, read by key. The only header of the SDK that includes nlohmann/json (header only: the
// module carries its own copy, nothing of it crosses). The host has checked the text against the
// module's schema; the types are checked again here. A value; any thread.
#pragma once

#include <drasriov/sdk/result.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drasriov::sdk {
inline namespace abi_v1 {

class Config {
 public:
  /// Empty text is {}.
  [[nodiscard]] static Result<Config> parse(std::string_view text) {
    if (text.empty()) {
      return Config(nlohmann::json::object());
    }
    nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
      return Error(Code::kInvalidArgument, "the configuration is not a JSON object");
    }
    return Config(std::move(json));
  }

  /// Each getter: the value, or nothing when the key is absent or null, or kInvalidArgument naming
  /// the key when it has another type.
  [[nodiscard]] Result<std::optional<std::string>> string(std::string_view key) const {
    return read<std::string>(key, "a string",
                             [](const nlohmann::json& v) { return v.is_string(); });
  }
  [[nodiscard]] Result<std::optional<bool>> boolean(std::string_view key) const {
    return read<bool>(key, "true or false", [](const nlohmann::json& v) { return v.is_boolean(); });
  }
  [[nodiscard]] Result<std::optional<std::int64_t>> integer(std::string_view key) const {
    return read<std::int64_t>(key, "an integer", [](const nlohmann::json& v) {
      return v.is_number_integer() &&
             (!v.is_number_unsigned() || v.get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
    });
  }
  [[nodiscard]] Result<std::optional<std::vector<std::string>>> strings(
      std::string_view key) const {
    return read<std::vector<std::string>>(key, "a list of strings", [](const nlohmann::json& v) {
      if (!v.is_array()) {
        return false;
      }
      for (const nlohmann::json& element : v) {
        if (!element.is_string()) {
          return false;
        }
      }
      return true;
    });
  }

  /// The whole tree.
  [[nodiscard]] const nlohmann::json& json() const noexcept { return json_; }

 private:
  explicit Config(nlohmann::json json) : json_(std::move(json)) {}

  template <class T, class Test>
  [[nodiscard]] Result<std::optional<T>> read(std::string_view key, const char* wanted,
                                              Test test) const {
    const auto found = json_.find(key);
    if (found == json_.end() || found->is_null()) {
      return std::optional<T>();
    }
    if (!test(*found)) {
      return Error(Code::kInvalidArgument,
                   std::string(key) + " is " + found->type_name() + ", not " + wanted);
    }
    return std::optional<T>(found->template get<T>());
  }

  nlohmann::json json_;
};

}  // namespace abi_v1
}  // namespace drasriov::sdk
