// SPDX-License-Identifier: Apache-2.0
//
// A file of API objects: YAML (several documents) or JSON, read to JSON with the types of YAML 1.2's
// core schema, and edited one document at a time, so that what people wrote around it stays as they
// wrote it. Pure functions of text; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/result.hpp"
#include "host/cluster/cluster_api.hpp"

namespace drasriov::cluster {

/// "apiVersion/kind namespace/name": the identity of an object.
struct StoreKey {
  std::string type;  ///< "resource.k8s.io/v1/ResourceClaim"
  ObjectKey object;
  friend auto operator<=>(const StoreKey&, const StoreKey&) = default;
};

[[nodiscard]] std::string type_of(const Resource& resource);
/// nullopt for a document that is no API object: apiVersion, kind or metadata.name missing or not
/// text.
[[nodiscard]] std::optional<StoreKey> key_of(const Json& object);

/// Whether the folder's reader looks at a file of that name: *.yaml, *.yml, *.json, not hidden.
[[nodiscard]] bool is_object_file(std::string_view name);

/// The documents of `text`, empty ones left out; `v1` Lists are taken apart. The error names line
/// and column.
[[nodiscard]] Result<std::vector<Json>> parse_documents(std::string_view text);

/// What happens to one object of a file.
struct DocumentEdit {
  enum class Kind {
    kPut,     ///< `value` takes its place, or is added at the end
    kStatus,  ///< its status becomes `value` (null: none); the rest, comments too, stays
    kRemove,
  };
  Kind kind = Kind::kPut;
  const Json* value = nullptr;  ///< not for kRemove
};

/// `text` with the edit made; all other documents stay byte for byte. A text without documents left
/// is empty. Errors: as parse_documents(); NOT_FOUND when kStatus or kRemove find no such object.
[[nodiscard]] Result<std::string> edit_document(std::string_view text, const StoreKey& key,
                                                const DocumentEdit& edit);

}  // namespace drasriov::cluster
