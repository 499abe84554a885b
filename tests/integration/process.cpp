// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <thread>

#include "host/base/durable_file.hpp"

namespace drasriov::integration {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::string slurp(const std::filesystem::path& path) {
  const auto text = read_file(path);
  return text ? *text : std::string();
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

Process::Process(const std::filesystem::path& program, std::vector<std::string> arguments,
                 const std::filesystem::path& output, std::vector<std::string> environment)
    : output_(output) {
  arguments.insert(arguments.begin(), program.native());
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  const std::string errors = output_.native() + ".err";
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND;
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, output_.c_str(), kFlags, 0600);
  ::posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), kFlags, 0600);
  const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr,
                                  pointers(arguments).data(), pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    pid_ = -1;
    ADD_FAILURE() << "cannot start " << program << ": " << strerror(error);
  }
}

Process::~Process() {
  if (pid_ < 0 || code_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::signal(int number) const {
  ASSERT_FALSE(code_) << "the process has ended already";
  ASSERT_EQ(::kill(pid_, number), 0);
}

std::optional<int> Process::wait() {
  if (pid_ < 0) return std::nullopt;
  (void)eventually([this] {
    int status = 0;
    if (code_ || ::waitpid(pid_, &status, WNOHANG) != pid_) return code_.has_value();
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
  });
  return code_;
}

std::string Process::output() const {
  return slurp(output_);
}
std::string Process::errors() const {
  return slurp(output_.native() + ".err");
}

Finished run(const std::filesystem::path& program, std::vector<std::string> arguments,
             std::vector<std::string> environment) {
  std::string directory = testing::TempDir() + "run-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) {
    ADD_FAILURE() << "mkdtemp " << directory;
    return {};
  }
  Finished finished;
  {
    Process process(program, std::move(arguments), std::filesystem::path(directory) / "output",
                    std::move(environment));
    finished.code = process.wait().value_or(-1);
    finished.output = process.output();
    finished.errors = process.errors();
  }
  std::filesystem::remove_all(directory);
  return finished;
}

}  // namespace drasriov::integration
