// SPDX-License-Identifier: Apache-2.0
#include "host/module/commands.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/module/json_schema.hpp"
#include "host/module/module_library.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

using nlohmann::ordered_json;

void print_json(const ordered_json& value, std::ostream& out) {
  out << value.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
}

/// Columns as wide as their widest cell, two spaces apart; the last one is not padded.
void print_table(const std::vector<std::vector<std::string>>& rows, std::ostream& out) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out << row[i];
      if (i + 1 < row.size()) out << std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out << '\n';
  }
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

std::string comma_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ",") + text;
  return out;
}

/// An entry and what its file says.
struct Listed {
  const config::ModuleEntry& entry;
  std::string state;  ///< "disabled", "ok", "refused"
  std::optional<Manifest> manifest;
  std::optional<Error> error;
};

Listed look_at(const config::ModuleEntry& entry, const FileSource& source) {
  Listed listed{entry, "disabled", {}, {}};
  auto file = open_entry_file(entry, source);
  if (file) {
    listed.manifest = std::move(file->manifest);
    if (entry.enabled) listed.state = "ok";
  } else if (entry.enabled) {
    listed.state = "refused";
    listed.error = std::move(file).error();
  }
  return listed;
}

std::string_view policy_name(config::FailurePolicy policy) noexcept {
  return policy == config::FailurePolicy::kFail ? "Fail" : "Ignore";
}

ordered_json manifest_json(const Manifest& manifest) {
  return {{"name", manifest.name},
          {"version", manifest.version},
          {"vendor", manifest.vendor},
          {"license", manifest.license},
          {"abi", manifest.abi.to_string()},
          {"minHost", manifest.min_host.to_string()},
          {"capabilities", manifest.capabilities},
          {"compiler", manifest.compiler},
          {"sanitizer", manifest.sanitizer}};
}

/// Everything of inspect_module() as key and value, in the order of printing.
Result<ordered_json> facts_of(const std::string& module, const FileSource& source) {
  const auto path = module_path(module, source);
  if (!path) return path.error();
  const auto file = ModuleFile::open(*path, {.sha256 = {}, .insecure_dev = true});
  if (!file) return file.error();
  const auto image = file->image();
  if (!image) return image.error();
  const auto manifest = file->manifest();
  if (!manifest) return manifest.error();
  const auto table = image->dynamic_table();
  if (!table) return file->about(table.error());

  ordered_json facts = manifest_json(*manifest);
  facts["file"] = file->path().string();
  facts["sha256"] = file->sha256();
  facts["machine"] = machine_name(image->machine());
  facts["needs"] = table->needed;
  facts["exports"] = table->exports;
  const auto status = check_compatible(*manifest, HostAbi::of_this_build());
  std::vector<std::string> objections = file->relaxations();
  if (!status) objections.push_back(status.error().to_string());
  facts["objections"] = objections;
  return facts;
}

/// A schema as the module wrote it; the empty text is the schema of the empty object.
Result<ordered_json> parse_schema(std::string_view text) {
  if (auto compiled = JsonSchema::compile(text); !compiled) return std::move(compiled).error();
  if (text.empty()) return ordered_json{{"type", "object"}, {"additionalProperties", false}};
  return ordered_json::parse(text);
}

Result<ordered_json> schema_of(const std::string& module, const FileSource& source,
                               bool of_claims) {
  config::ModuleEntry entry;
  entry.name = module;
  entry.module = module;
  const auto file = open_entry_file(entry, source);
  if (!file) return file.error();
  const auto library = ModuleLibrary::load(file->file, file->manifest);
  if (!library) return library.error();
  const drasriov_module_table& table = (*library)->table();
  const auto member =
      of_claims ? &drasriov_module_table::claim_schema : &drasriov_module_table::config_schema;
  auto schema = parse_schema(to_view(table.*member));
  if (!schema) {
    return file->file.about(
        schema.error().with_context(of_claims ? "its claim_schema" : "its config_schema"));
  }
  if (!of_claims) return schema;
  ordered_json fields = ordered_json::array();
  for (std::size_t i = 0; table.claim_fields != nullptr && i < table.claim_field_count; ++i)
    fields.push_back(std::string(to_view(table.claim_fields[i])));
  return ordered_json{{"parameters", *std::move(schema)}, {"claimFields", std::move(fields)}};
}

ordered_json error_json(const Error& error) {
  return {{"message", error.message()}, {"hint", error.hint()}};
}

}  // namespace

int list_modules(std::span<const config::ModuleEntry> entries, const FileSource& source,
                 ReportFormat format, std::ostream& out) {
  std::vector<Listed> all;
  for (const config::ModuleEntry& entry : entries) all.push_back(look_at(entry, source));
  const bool starts = std::ranges::none_of(all, [](const Listed& listed) {
    return listed.error && listed.entry.failure_policy == config::FailurePolicy::kFail;
  });

  if (format == ReportFormat::kJson) {
    ordered_json list = ordered_json::array();
    for (const Listed& listed : all) {
      ordered_json object = {{"name", listed.entry.name},
                             {"module", listed.entry.module},
                             {"state", listed.state},
                             {"failurePolicy", policy_name(listed.entry.failure_policy)}};
      if (listed.manifest) object["manifest"] = manifest_json(*listed.manifest);
      if (listed.error) object["error"] = error_json(*listed.error);
      list.push_back(std::move(object));
    }
    print_json(list, out);
    return starts ? 0 : 1;
  }

  std::vector<std::vector<std::string>> rows = {
      {"NAME", "STATE", "POLICY", "VERSION", "ABI", "CAPABILITIES", "MODULE"}};
  for (const Listed& listed : all) {
    const auto& manifest = listed.manifest;
    rows.push_back(
        {listed.entry.name, listed.state, std::string(policy_name(listed.entry.failure_policy)),
         or_dash(manifest ? manifest->version : ""),
         or_dash(manifest ? manifest->abi.to_string() : ""),
         or_dash(manifest ? comma_list(manifest->capabilities) : ""), listed.entry.module});
  }
  print_table(rows, out);
  for (const Listed& listed : all) {
    if (listed.error) out << listed.entry.name << ": " << listed.error->to_string() << '\n';
  }
  return starts ? 0 : 1;
}

int inspect_module(const std::string& module, const FileSource& source, ReportFormat format,
                   std::ostream& out) {
  const auto facts = facts_of(module, source);
  if (format == ReportFormat::kJson) {
    print_json(facts ? *facts : ordered_json{{"error", error_json(facts.error())}}, out);
    return facts ? 0 : 1;
  }
  if (!facts) {
    out << facts.error().to_string() << '\n';
    return 1;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, value] : facts->items()) {
    const std::string text = value.is_array() ? comma_list(value.get<std::vector<std::string>>())
                                              : value.get<std::string>();
    rows.push_back({key, or_dash(text)});
  }
  print_table(rows, out);
  return 0;
}

int print_schemas(std::span<const std::string> modules, const FileSource& source, bool of_claims,
                  std::ostream& out) {
  bool all = true;
  for (const std::string& module : modules) {
    const auto schema = schema_of(module, source, of_claims);
    all = all && schema.ok();
    print_json(
        schema ? *schema : ordered_json{{"module", module}, {"error", error_json(schema.error())}},
        out);
  }
  return all ? 0 : 1;
}

int verify_modules(std::span<const std::string> modules, const FileSource& source,
                   const VerifyOptions& options, ReportFormat format, std::ostream& out) {
  bool passed = true;
  ordered_json list = ordered_json::array();
  for (const std::string& module : modules) {
    const auto path = module_path(module, source);
    if (!path) {
      passed = false;
      list.push_back({{"file", module}, {"passed", false}, {"error", error_json(path.error())}});
      if (format == ReportFormat::kText) out << path.error().to_string() << '\n';
      continue;
    }
    const VerifyReport report = verify_module(*path, options);
    passed &= report.passed();
    ordered_json steps = ordered_json::array();
    std::vector<std::vector<std::string>> rows;
    for (const VerifyStep& step : report.steps) {
      const std::string verdict(verdict_name(step.verdict));
      steps.push_back({{"step", step.number},
                       {"name", step.name},
                       {"verdict", verdict},
                       {"message", step.message},
                       {"hint", step.hint}});
      rows.push_back({" " + std::to_string(step.number), step.name, verdict,
                      step.hint.empty() ? step.message : step.message + " — hint: " + step.hint});
    }
    list.push_back({{"file", report.path.string()}, {"passed", report.passed()}, {"steps", steps}});
    if (format == ReportFormat::kText) {
      out << report.path.string() << ": " << (report.passed() ? "passed" : "failed") << '\n';
      print_table(rows, out);
    }
  }
  if (format == ReportFormat::kJson) print_json(list, out);
  return passed ? 0 : 1;
}

}  // namespace drasriov::module
