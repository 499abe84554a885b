// SPDX-License-Identifier: Apache-2.0
//
// generate-docs DOCS MODULES: rewrites the generated pages in the directory DOCS from the program and the modules in
// MODULES. Called by scripts/generate-docs.
#include <iostream>

#include "host/base/durable_file.hpp"
#include "tests/docs/generated_docs.hpp"

namespace {

using namespace drasriov;

Status generate(const std::filesystem::path& docs, const std::filesystem::path& modules) {
  const auto old = read_file(docs / "configuration.md");
  if (!old) return old.error();
  const auto configuration = docs::configuration_page(*old, modules);
  if (!configuration) return configuration.error().with_context("configuration.md");
  for (const auto& [name, content] :
       {std::pair<const char*, std::string>{"configuration.md", *configuration},
        {"command-line.md", docs::command_line_page()}}) {
    if (auto written = replace_file(docs / name, content, Durability::kAtomic, 0644); !written)
      return written;
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: generate-docs DOCS MODULES\n";
    return 2;
  }
  const auto generated = generate(argv[1], argv[2]);
  if (!generated) std::cerr << "generate-docs: " << generated.error().to_string() << "\n";
  return generated ? 0 : 1;
}
