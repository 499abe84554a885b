// SPDX-License-Identifier: Apache-2.0
#include "host/module/program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <system_error>
#include <thread>

namespace drasriov::module {
namespace {

using std::chrono::milliseconds;

// How often a call's cancellation is looked at; nothing wakes poll() for it.
constexpr milliseconds kCancellationPeriod{50};
// How often a program is looked at on a kernel before 5.3, which has no pidfd.
constexpr milliseconds kPollPeriod{10};
// How long a killed program may take to die before it is left to a later call.
constexpr milliseconds kReapGrace{2000};

/// By number: <sys/pidfd.h> of glibc 2.36 declares the function with C++ linkage. Empty on a kernel
/// before 5.3.
UniqueFd open_pidfd(pid_t process) noexcept {
  return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return errno_error(errno, "pipe2");
  Pipe pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return errno_error(errno, "fcntl");
  return pipe;
}

/// A file in memory, at its start. Unlike a pipe it needs nobody who feeds it while the program
/// runs, raises no SIGPIPE, and /dev/stdin can be opened.
Result<UniqueFd> make_input(std::string_view bytes) {
  UniqueFd file(::memfd_create("stdin", MFD_CLOEXEC));
  if (!file) return errno_error(errno, "memfd_create");
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_error(errno, "write to memfd");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return errno_error(errno, "lseek");
  return file;
}

bool same_file(int fd, const char* path) noexcept {
  struct stat ours = {};
  struct stat theirs = {};
  return ::fstat(fd, &ours) == 0 && ::stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
         ours.st_ino == theirs.st_ino;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// posix_spawn's two option objects, released in any case.
class SpawnOptions {
 public:
  SpawnOptions(int input, int output, int diagnostics) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions_, diagnostics, STDERR_FILENO);
    // A module may have opened descriptors without O_CLOEXEC.
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    ::posix_spawn_file_actions_addchdir_np(&actions_, "/");
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t signals;
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
  }
  ~SpawnOptions() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnOptions(const SpawnOptions&) = delete;
  SpawnOptions& operator=(const SpawnOptions&) = delete;

  [[nodiscard]] Result<pid_t> spawn(const ProgramRequest& request) const {
    std::vector<std::string> arguments = {request.path};
    arguments.insert(arguments.end(), request.args.begin(), request.args.end());
    std::vector<std::string> environment = request.environment;
    pid_t program = 0;
    const int error = ::posix_spawn(&program, request.path.c_str(), &actions_, &attributes_,
                                    pointers_to(arguments).data(), pointers_to(environment).data());
    if (error == 0) return program;
    return errno_error(
        error, "run " + request.path,
        request.host_mounts ? "the path is looked up in the host's file system" : "");
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

/// One of the program's output streams.
class Stream {
 public:
  Stream(UniqueFd fd, std::size_t limit, std::string& kept)
      : fd_(std::move(fd)),
        limit_(limit),
        kept_(kept) {}

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }  ///< -1 after its end
  [[nodiscard]] bool truncated() const noexcept { return truncated_; }

  /// Takes what is there without blocking, but never more than a pipe holds by far: a program that
  /// writes without end must not keep the caller from looking at the clock.
  void read() {
    std::array<char, 16384> buffer;
    for (int round = 0; round < 16 && fd_; ++round) {
      const ssize_t count = ::read(fd_.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) {
        fd_.reset();
        return;
      }
      const auto size = static_cast<std::size_t>(count);
      const std::size_t room = std::min(size, limit_ - kept_.size());
      kept_.append(buffer.data(), room);
      truncated_ |= room < size;
    }
  }

 private:
  UniqueFd fd_;
  const std::size_t limit_;
  std::string& kept_;
  bool truncated_ = false;
};

/// Whether `program` has ended; then fills `result`.
bool reap(pid_t program, ProgramResult& result) noexcept {
  int status = 0;
  if (::waitpid(program, &status, WNOHANG) != program) return false;
  if (WIFEXITED(status)) {
    result.exit_code = WEXITSTATUS(status);
  } else {
    result.signal = WTERMSIG(status);
  }
  return true;
}

int poll_timeout(std::chrono::nanoseconds wait) noexcept {
  if (wait == std::chrono::nanoseconds::max()) return -1;
  const auto rounded = std::chrono::ceil<milliseconds>(wait).count();
  return static_cast<int>(std::min<std::int64_t>(rounded, 60'000));
}

std::optional<Error> reason_to_stop(const ProgramRequest& request, const Call& call) {
  if (call.deadline.expired()) {
    return Error(Code::kDeadlineExceeded,
                 "run " + request.path + ": it did not end in time and was killed");
  }
  if (call.cancelled != nullptr && (*call.cancelled)()) {
    return Error(Code::kCancelled,
                 "run " + request.path + ": nobody waits any more, it was killed");
  }
  return std::nullopt;
}

Status check(const ProgramRequest& request) {
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (!request.path.starts_with('/') || has_nul(request.path)) {
    return Error(Code::kInvalidArgument, "run \"" + request.path + "\": the path is not absolute");
  }
  if (std::ranges::any_of(request.args, has_nul) ||
      std::ranges::any_of(request.environment, has_nul)) {
    return Error(Code::kInvalidArgument, "run " + request.path + ": an argument holds a NUL byte");
  }
  return {};
}

}  // namespace

ProgramResult ProgramRunner::run(const ProgramRequest& request, const Call& call) {
  ProgramResult result;
  reap_lingering();
  if (result.status = check(request); !result.status) return result;
  auto input = make_input(request.input);
  auto output = make_pipe();
  auto diagnostics = make_pipe();
  for (const Error* error : {input ? nullptr : &input.error(), output ? nullptr : &output.error(),
                             diagnostics ? nullptr : &diagnostics.error()}) {
    if (error != nullptr) {
      result.status = error->with_context("run " + request.path);
      return result;
    }
  }

  const auto program = spawn(request, input->get(), output->write.get(), diagnostics->write.get());
  if (!program) {
    result.status = program.error();
    return result;
  }
  input->reset();
  output->write.reset();
  diagnostics->write.reset();
  Stream out(std::move(output->read), request.output_limit, result.output);
  Stream err(std::move(diagnostics->read), request.output_limit, result.diagnostics);
  const UniqueFd exited = open_pidfd(*program);

  while (!reap(*program, result)) {
    if (auto reason = reason_to_stop(request, call)) {
      kill_group(*program, result);
      result.status = *std::move(reason);
      break;
    }
    auto wait = std::chrono::nanoseconds(call.deadline.remaining());
    if (call.cancelled != nullptr)
      wait = std::min<std::chrono::nanoseconds>(wait, kCancellationPeriod);
    if (!exited) wait = std::min<std::chrono::nanoseconds>(wait, kPollPeriod);
    // poll() ignores negative descriptors: those of ended streams.
    std::array<pollfd, 3> watched = {pollfd{exited.get(), POLLIN, 0}, pollfd{out.fd(), POLLIN, 0},
                                     pollfd{err.fd(), POLLIN, 0}};
    ::poll(watched.data(), watched.size(), poll_timeout(wait));
    out.read();
    err.read();
  }
  out.read();
  err.read();
  result.truncated = out.truncated() || err.truncated();
  return result;
}

Result<pid_t> ProgramRunner::spawn(const ProgramRequest& request, int input, int output,
                                   int diagnostics) const {
  const SpawnOptions options(input, output, diagnostics);
  UniqueFd mounts;
  if (request.host_mounts) {
    auto opened = host_mount_namespace();
    if (!opened) return opened.error().with_context("run " + request.path);
    if (!same_file(opened->get(), "/proc/thread-self/ns/mnt")) mounts = *std::move(opened);
  }
  const bool enter_netns =
      request.netns_fd >= 0 && !same_file(request.netns_fd, "/proc/thread-self/ns/net");
  if (!mounts && !enter_netns) return options.spawn(request);

  // A thread changes its own namespaces and spawns; the program inherits them and the thread ends.
  // Never the caller's thread: it could not reliably come back.
  Result<pid_t> program = Error(Code::kInternal, "run " + request.path + ": not started");
  const auto enter_and_spawn = [&] {
    if (enter_netns && ::setns(request.netns_fd, CLONE_NEWNET) != 0) {
      program = errno_error(errno, "run " + request.path + ": enter the network namespace",
                            "the driver needs CAP_SYS_ADMIN");
      return;
    }
    // setns() into a mount namespace wants a root and working directory that no other thread
    // shares.
    if (mounts && (::unshare(CLONE_FS) != 0 || ::setns(mounts.get(), CLONE_NEWNS) != 0)) {
      program = errno_error(errno, "run " + request.path + ": enter the host's mount namespace",
                            "the driver needs CAP_SYS_ADMIN, CAP_SYS_CHROOT and hostPID");
      return;
    }
    program = options.spawn(request);
  };
  try {
    std::thread(enter_and_spawn).join();
  } catch (const std::system_error& failure) {
    return errno_error(failure.code().value(), "run " + request.path + ": start a thread");
  }
  return program;
}

Result<UniqueFd> ProgramRunner::host_mount_namespace() const {
  const std::filesystem::path path = proc_ / "1/ns/mnt";
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return errno_error(errno, "open " + path.string(), "the driver's pod needs hostPID: true");
  }
  return fd;
}

void ProgramRunner::kill_group(pid_t program, ProgramResult& result) {
  ::kill(-program, SIGKILL);
  const UniqueFd exited = open_pidfd(program);
  const Deadline grace = Deadline::after(kReapGrace);
  while (!reap(program, result)) {
    if (grace.expired()) {
      const MutexLock lock(mutex_);
      lingering_.push_back(program);
      return;
    }
    pollfd watched = {exited.get(), POLLIN, 0};
    ::poll(&watched, 1, poll_timeout(exited ? grace.remaining() : kPollPeriod));
  }
}

void ProgramRunner::reap_lingering() {
  const MutexLock lock(mutex_);
  std::erase_if(lingering_,
                [](pid_t program) { return ::waitpid(program, nullptr, WNOHANG) != 0; });
}

}  // namespace drasriov::module
