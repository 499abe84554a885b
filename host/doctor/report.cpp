// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/report.hpp"

#include <nlohmann/json.hpp>

namespace drasriov::doctor {
namespace {

std::string page_of(const Finding& finding) {
  return "docs/troubleshooting/" + std::string(finding.id) + ".md";
}

std::string_view state_of(const CheckResult& result) {
  return result.skipped ? "skipped" : severity_name(result.severity());
}

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  out.resize(std::max(width, out.size()), ' ');
  return out;
}

}  // namespace

std::string format_text(std::span<const CheckResult> results) {
  constexpr std::size_t kSeverityWidth = 9;
  std::string out;
  for (const CheckResult& result : results) {
    out += padded(state_of(result), kSeverityWidth);
    out.append(result.name).append("\n");
    for (const Finding& finding : result.findings) {
      out += "         " + std::string(finding.id) + " (" +
             std::string(severity_name(finding.severity)) + "): " + finding.problem + "\n";
      out += "           check: " + finding.check + "\n";
      out += "           fix:   " + finding.fix + "\n";
      out += "           see:   " + page_of(finding) + "\n";
    }
  }
  return out;
}

std::string format_json(std::span<const CheckResult> results) {
  // Ordered: a person reads name and severity first.
  using Json = nlohmann::ordered_json;
  Json checks = Json::array();
  for (const CheckResult& result : results) {
    Json findings = Json::array();
    for (const Finding& finding : result.findings) {
      findings.push_back({{"id", finding.id},
                          {"severity", severity_name(finding.severity)},
                          {"problem", finding.problem},
                          {"check", finding.check},
                          {"fix", finding.fix},
                          {"page", page_of(finding)}});
    }
    checks.push_back(
        {{"name", result.name}, {"severity", state_of(result)}, {"findings", std::move(findings)}});
  }
  const Json report = {
      {"format", 1}, {"severity", severity_name(worst(results))}, {"checks", std::move(checks)}};
  // Paths and kernel texts may be no UTF-8.
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace drasriov::doctor
