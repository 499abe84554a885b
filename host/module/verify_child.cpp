// SPDX-License-Identifier: Apache-2.0
//
// The child of step 4. It runs code that may do anything, so it says before each phase what it is
// about to do: when it dies, the last line tells where.
#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "host/base/unique_fd.hpp"
#include "host/module/module_instance.hpp"
#include "host/module/module_library.hpp"
#include "host/module/verify.hpp"

namespace drasriov::module {
namespace {

using nlohmann::json;

class Reporter {
 public:
  /// Takes standard output for itself; what the module prints goes to standard error.
  Reporter() : fd_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
  }

  void phase(const char* name) const { line({{"phase", name}}); }
  [[nodiscard]] int passed() const {
    line({{"passed", true}});
    phase("its destructors, at the end of the process");
    return 0;
  }
  [[nodiscard]] int failed(const Error& error) const {
    line({{"passed", false}, {"message", error.message()}, {"hint", error.hint()}});
    return 1;
  }

 private:
  void line(const json& object) const {
    const std::string text = object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    // Shorter than PIPE_BUF in practice, and the parent reads all the time: one write does it.
    (void)!::write(fd_.get(), text.data(), text.size());
  }

  UniqueFd fd_;
};

}  // namespace

int verify_child_main(const std::filesystem::path& path) {
  const Reporter reporter;
  // Owner and mode were judged by the parent.
  const auto file = ModuleFile::open(path, {.sha256 = {}, .insecure_dev = true});
  if (!file) return reporter.failed(file.error());
  const auto manifest = file->manifest();
  if (!manifest) return reporter.failed(manifest.error());

  const std::size_t threads_before = thread_ids().size();
  reporter.phase("dlopen");
  const auto entry = open_entry(file->real_path());
  if (!entry) return reporter.failed(file->about(entry.error()));
  reporter.phase(DRASRIOV_MODULE_QUERY_SYMBOL);
  const auto table = call_query(*entry);
  if (!table) return reporter.failed(file->about(table.error()));
  const auto again = call_query(*entry);
  if (!again || *again != *table) {
    return reporter.failed(
        file->about(Error(Code::kFailedPrecondition,
                          DRASRIOV_MODULE_QUERY_SYMBOL " gives another table the second time",
                          "return the same constant each time: the function is pure")));
  }
  reporter.phase("the check of its table");
  if (auto status = check_table(*table); !status)
    return reporter.failed(file->about(status.error()));
  if (auto status = check_table_against(**table, *manifest); !status) {
    return reporter.failed(file->about(status.error()));
  }
  if (const auto schemas = compile_schemas(**table); !schemas) {
    return reporter.failed(file->about(schemas.error()));
  }
  if (thread_ids().size() != threads_before) {
    return reporter.failed(
        file->about(Error(Code::kFailedPrecondition, "it starts a thread when it is loaded",
                          "start threads in start() and join them in stop()")));
  }
  return reporter.passed();
}

}  // namespace drasriov::module
