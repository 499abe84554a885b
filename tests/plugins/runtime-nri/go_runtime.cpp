// SPDX-License-Identifier: Apache-2.0
#include "go_runtime.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

namespace drasriov::runtime_nri::testing {

std::optional<std::filesystem::path> GoRuntime::find(const std::string& version) {
  const std::string command = DRASRIOV_NRI_BUILD " --print " + version + " 2>/dev/null";
  std::FILE* output = ::popen(command.c_str(), "re");
  if (output == nullptr) return {};
  char line[4096] = "";
  const bool read = std::fgets(line, sizeof line, output) != nullptr;
  if (::pclose(output) != 0 || !read) return {};
  std::string path(line);
  path.erase(path.find_last_not_of('\n') + 1);
  return path;
}

GoRuntime::GoRuntime(const std::filesystem::path& program, const std::string& socket,
                     const std::string& record, const std::string& request_timeout) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::string arguments[] = {program.native(), "-socket=" + socket, "-record=" + record,
                             "-request-timeout=" + request_timeout};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(),
                  arguments[3].data(), nullptr};
  const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  to_ = ::fdopen(in[1], "w");
  from_ = ::fdopen(out[0], "r");
  if (error != 0) throw std::system_error(error, std::generic_category(), program.native());
}

GoRuntime::~GoRuntime() {
  std::fclose(to_);  // its end of input
  std::fclose(from_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

GoRuntime::Answer GoRuntime::tell(std::string_view command) {
  std::fwrite(command.data(), 1, command.size(), to_);
  std::fputc('\n', to_);
  std::fflush(to_);
  std::string line;
  for (int c = std::fgetc(from_); c != EOF && c != '\n'; c = std::fgetc(from_)) {
    line.push_back(static_cast<char>(c));
  }
  const auto answer = nlohmann::json::parse(line, nullptr, false);
  if (!answer.is_object()) return {.error = "nri-runtime has ended", .ms = 0};
  return {.error = answer.at("error"), .ms = answer.at("ms")};
}

}  // namespace drasriov::runtime_nri::testing
