// SPDX-License-Identifier: Apache-2.0
//
// JsonSchema: the subset of JSON Schema draft-07 that module tables may use
// (sdk/include/drasriov/abi/module.h): type, properties, required, additionalProperties, enum,
// items, pattern, minimum, maximum, minLength, maxLength, default, description, and title and
// $schema as comments. Every other keyword is refused when the schema is compiled, so that none is
// silently without effect. Immutable once compiled; any thread.
//
// A validator of our own because the message is the product (which path, which keys there are), and
// because the input of claim_schema is a tenant's: `pattern` runs in polynomial time and constant
// stack, which std::regex by default does not.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "host/base/result.hpp"

namespace drasriov::module {

class JsonSchema {
 public:
  /// INVALID_ARGUMENT with the JSON path inside the schema for anything outside the subset. An
  /// empty text is the schema of the empty object. A `default` must satisfy its own schema.
  [[nodiscard]] static Result<JsonSchema> compile(std::string_view text);

  /// INVALID_ARGUMENT for the first violation: "<root>.roots[2].path: …", the hint names what is
  /// allowed. `pattern` is searched for (ECMAScript, bytes), lengths count code points.
  [[nodiscard]] Status check(const nlohmann::json& value, std::string_view root) const;

  /// Parses `text`, refusing an object with the same key twice, then as above.
  [[nodiscard]] Status check_text(std::string_view text, std::string_view root) const;

  JsonSchema(JsonSchema&&) noexcept;
  JsonSchema& operator=(JsonSchema&&) noexcept;
  ~JsonSchema();

 private:
  struct Node;
  class Compiler;
  explicit JsonSchema(std::unique_ptr<const Node> root) noexcept;

  std::unique_ptr<const Node> root_;
};

}  // namespace drasriov::module
