// SPDX-License-Identifier: Apache-2.0
#include "host/module/verify.hpp"

#include <drasriov/abi/module.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "host/module/module_file.hpp"
#include "host/module/program.hpp"
#include "host/module/symbol_versions.hpp"
#include "host/module/text.hpp"

namespace drasriov::module {
namespace {

using nlohmann::json;
using Verdict = VerifyStep::Verdict;

constexpr int kLoadStep = 4;

/// What a step found, put together from several observations: the worst of them is its verdict.
class Findings {
 public:
  void fail(const std::string& message, const std::string& hint) {
    add(Verdict::kFailed, message, hint);
  }
  void fail(const Error& error) { fail(error.message(), error.hint()); }
  void warn(const std::string& message, const std::string& hint) {
    add(Verdict::kWarning, message, hint);
  }

  /// `fine` is said when there is nothing else to say.
  [[nodiscard]] VerifyStep step(int number, std::string name, std::string fine) const {
    return {number, std::move(name), verdict_, messages_.empty() ? std::move(fine) : messages_,
            hints_};
  }

 private:
  void add(Verdict verdict, const std::string& message, const std::string& hint) {
    verdict_ = std::max(verdict_, verdict);
    messages_ += (messages_.empty() ? "" : "; ") + message;
    if (!hint.empty()) hints_ += (hints_.empty() ? "" : "; ") + hint;
  }

  Verdict verdict_ = Verdict::kPassed;
  std::string messages_;
  std::string hints_;
};

VerifyStep check_file(const Result<ModuleFile>& file, const Result<ElfImage>& image,
                      const Result<DynamicTable>& table) {
  Findings findings;
  std::string fine;
  if (!file) {
    findings.fail(file.error());
  } else if (!image) {
    findings.fail(image.error());
  } else if (!table) {
    findings.fail(file->about(table.error()));
  } else {
    for (const std::string& relaxation : file->relaxations()) {
      findings.warn(relaxation, "correct it before production: only --insecure-dev accepts it");
    }
    if (auto status = check_symbol_versions(*table); !status) findings.fail(status.error());
    fine =
        "64-bit ELF shared object for " + machine_name(image->machine()) + ", owner and mode safe";
    if (const auto needed = highest_needed(*table); !needed.empty()) {
      fine += ", needs " + join_names(needed) + ", which are here";
    }
  }
  return findings.step(1, "file", std::move(fine));
}

VerifyStep check_note(const ModuleFile& file, const Result<Manifest>& manifest) {
  Findings findings;
  std::string fine;
  if (!manifest) {
    findings.fail(manifest.error());
  } else {
    if (auto status = check_compatible(*manifest, HostAbi::of_this_build()); !status) {
      findings.fail(file.about(status.error()));
    }
    fine = manifest->name + " " + manifest->version + " of " + manifest->vendor + ", ABI " +
           manifest->abi.to_string() + ", offers " + join_names(manifest->capabilities);
  }
  return findings.step(2, "note", std::move(fine));
}

bool is_below_origin(const std::string& path) {
  return path == "$ORIGIN" || path == "${ORIGIN}" || path.starts_with("$ORIGIN/") ||
         path.starts_with("${ORIGIN}/");
}

VerifyStep check_dynamic_table(const DynamicTable& table) {
  Findings findings;
  if (table.text_relocations) {
    findings.fail("it has text relocations", "compile every object with -fPIC");
  }
  if (table.executable_stack) {
    findings.fail("it asks for an executable stack",
                  "link with -z noexecstack; assembly sources need a .note.GNU-stack section");
  }
  for (const std::string& path : table.search_paths) {
    if (!is_below_origin(path) || path.find("..") != std::string::npos) {
      findings.fail("its RPATH or RUNPATH \"" + printable(path) + "\" is outside of $ORIGIN",
                    "remove the path, or install the libraries beside the module");
    }
  }
  if (table.export_count != 1 || table.exports.front() != DRASRIOV_MODULE_QUERY_SYMBOL) {
    const std::string names =
        table.exports.empty() ? "" : ": " + printable(join_names(table.exports));
    findings.fail("it exports " + std::to_string(table.export_count) + " symbols" + names,
                  "export " DRASRIOV_MODULE_QUERY_SYMBOL
                  " alone: drasriov_add_module() hides the rest with a version script");
  }
  for (const std::string& library : table.needed) {
    for (const std::string_view risky : {"libprotobuf", "libgrpc", "libspdlog"}) {
      if (library.starts_with(risky)) {
        findings.warn("it needs " + printable(library) + ", which cannot be twice in a process",
                      "use a header-only codec, or link a static copy with hidden symbols");
      }
    }
  }
  return findings.step(3, "dynamic",
                       "exports " DRASRIOV_MODULE_QUERY_SYMBOL
                       " alone, no text relocations, no executable stack");
}

/// The inherited environment: what the dynamic linker and sanitizers read from it must be as for the
/// driver.
std::vector<std::string> own_environment() {
  std::vector<std::string> environment;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  return environment;
}

std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (const auto newline = text.rfind('\n'); newline != std::string_view::npos)
    text.remove_prefix(newline + 1);
  return printable(text);
}

/// What the child said before it ended.
struct ChildReport {
  std::string phase = "the start";
  std::optional<json> result;
};

ChildReport read_child_report(std::string_view output) {
  ChildReport report;
  while (!output.empty()) {
    const auto end = output.find('\n');
    const json line = json::parse(output.substr(0, end), nullptr, /*allow_exceptions=*/false);
    if (line.is_object()) {
      if (line.contains("phase")) report.phase = line.value("phase", "");
      if (line.contains("passed")) report.result = line;
    }
    output.remove_prefix(end == std::string_view::npos ? output.size() : end + 1);
  }
  return report;
}

/// The command as a person would type it.
std::string command_line(const ProgramRequest& request) {
  std::error_code failure;
  const auto program = std::filesystem::read_symlink(request.path, failure);
  std::string line = failure ? request.path : program.string();
  for (const std::string& argument : request.args) line += " " + argument;
  return line;
}

VerifyStep check_loading(const std::filesystem::path& path, const VerifyOptions& options) {
  ProgramRequest request;
  request.path = options.child.front();
  request.args.assign(options.child.begin() + 1, options.child.end());
  request.args.push_back(path.string());
  request.environment = own_environment();
  ProgramRunner runner("/proc");
  const ProgramResult ended = runner.run(request, {.deadline = Deadline::after(options.timeout)});
  const ChildReport report = read_child_report(ended.output);

  Findings findings;
  const std::string vendor_hint = "debug it with: gdb --args " + command_line(request);
  if (!ended.status && ended.status.error().code() == Code::kDeadlineExceeded) {
    const auto limit =
        std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout).count();
    findings.fail(
        "did not come back from " + report.phase + " within " + std::to_string(limit) + " ms",
        "constructors and the query function must not block");
  } else if (!ended.status) {
    findings.fail(ended.status.error());
  } else if (ended.signal != 0) {
    const char* const name = ::sigabbrev_np(ended.signal);
    findings.fail("crashed in step 4 with SIG" + std::string(name != nullptr ? name : "?") +
                      " (in " + report.phase + ")",
                  vendor_hint);
  } else if (!report.result || (ended.exit_code != 0) == report.result->value("passed", false)) {
    const std::string said = last_line(ended.diagnostics);
    findings.fail("ended its process with exit code " + std::to_string(ended.exit_code) + " in " +
                      report.phase + (said.empty() ? "" : ", saying: " + said),
                  vendor_hint);
  } else if (!report.result->value("passed", false)) {
    findings.fail(report.result->value("message", ""), report.result->value("hint", ""));
  }
  return findings.step(
      kLoadStep, "load",
      "maps, answers the query, its table is complete and equals its note, its schemas are valid");
}

VerifyStep skipped(int number, std::string name, int because) {
  return {number,
          std::move(name),
          Verdict::kSkipped,
          "not run, because step " + std::to_string(because) + " failed",
          {}};
}

}  // namespace

std::string_view verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kPassed: return "ok";
    case Verdict::kWarning: return "warning";
    case Verdict::kFailed: return "failed";
    case Verdict::kSkipped: return "skipped";
  }
  return "unknown";
}

bool VerifyReport::passed() const noexcept {
  return std::ranges::none_of(
      steps, [](const VerifyStep& step) { return step.verdict == Verdict::kFailed; });
}

VerifyReport verify_module(const std::filesystem::path& path, const VerifyOptions& options) {
  VerifyReport report{path, {}};
  const auto file = ModuleFile::open(path, {.sha256 = {}, .insecure_dev = options.insecure_dev});
  const auto image = file ? file->image() : Result<ElfImage>(file.error());
  const auto table = image ? image->dynamic_table() : Result<DynamicTable>(image.error());
  report.steps.push_back(check_file(file, image, table));
  if (report.steps.back().verdict == Verdict::kFailed) {
    report.steps.push_back(skipped(2, "note", 1));
    report.steps.push_back(skipped(3, "dynamic", 1));
    report.steps.push_back(skipped(kLoadStep, "load", 1));
    return report;
  }
  report.steps.push_back(check_note(*file, file->manifest()));
  const bool loadable = report.steps.back().verdict != Verdict::kFailed;
  report.steps.push_back(check_dynamic_table(*table));
  report.steps.push_back(loadable ? check_loading(file->real_path(), options)
                                  : skipped(kLoadStep, "load", 2));
  return report;
}

}  // namespace drasriov::module
