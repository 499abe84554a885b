// SPDX-License-Identifier: Apache-2.0
//
// The host's services as a module sees them, through the C tables: paths/1, metrics/1, log, exec/1.
#include "host/module/host_services.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "host/module/text.hpp"
#include "tests/telemetry/kept_log.hpp"

namespace drasriov::module {
namespace {

using telemetry::KeptLog;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ServicesTest : public ::testing::Test {
 protected:
  ServicesTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "drasriov-services-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~ServicesTest() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] HostServices services(MachinePaths paths = {}) {
    return HostServices(std::move(paths), log_, metrics_);
  }
  template <typename Table>
  [[nodiscard]] static const Table& service(drasriov_host& host, std::string_view id) {
    const void* table = HostServices::table().get_service(&host, to_abi(id));
    EXPECT_NE(table, nullptr) << id;
    return *static_cast<const Table*>(table);
  }

  std::filesystem::path directory_;
  KeptLog log_;
  telemetry::Metrics metrics_{log_};
};

TEST_F(ServicesTest, UnknownServicesAreNull) {
  const HostServices host_services = services();
  drasriov_host host("acme", host_services);
  EXPECT_EQ(HostServices::table().get_service(&host, to_abi("state/1")), nullptr);
  EXPECT_EQ(HostServices::table().get_service(&host, to_abi("paths/2")), nullptr);
}

TEST_F(ServicesTest, PathsWithoutTrailingSlash) {
  const HostServices host_services =
      services({.roots = {.sys = "/captured/sys/", .dev = "/d", .proc = "/"},
                .cdi = "/run/cdi//",
                .data = directory_ / "data"});
  drasriov_host host("acme", host_services);
  const auto& paths = service<drasriov_paths_v1>(host, DRASRIOV_SERVICE_PATHS_1);
  const auto root = [&](int32_t which) { return std::string(to_view(paths.root(&host, which))); };
  EXPECT_EQ(root(DRASRIOV_ROOT_SYS), "/captured/sys");
  EXPECT_EQ(root(DRASRIOV_ROOT_DEV), "/d");
  EXPECT_EQ(root(DRASRIOV_ROOT_PROC), "/");
  EXPECT_EQ(root(DRASRIOV_ROOT_NETNS), "/var/run/netns");
  EXPECT_EQ(root(DRASRIOV_ROOT_CDI), "/run/cdi");
  EXPECT_EQ(root(99), "");
  EXPECT_EQ(paths.sys_is_live(&host), 0);
}

TEST_F(ServicesTest, TheDataDirectoryIsMadeWhenItIsAskedFor) {
  const HostServices host_services = services({.data = directory_ / "data"});
  drasriov_host host("acme", host_services);
  const auto& paths = service<drasriov_paths_v1>(host, DRASRIOV_SERVICE_PATHS_1);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "data"));
  const std::string data(to_view(paths.root(&host, DRASRIOV_ROOT_DATA)));
  EXPECT_EQ(data, (directory_ / "data/modules/acme").string());
  struct stat status = {};
  ASSERT_EQ(::stat(data.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0750U);
  std::filesystem::remove_all(directory_ / "data");
  EXPECT_EQ(to_view(paths.root(&host, DRASRIOV_ROOT_DATA)), data);
  EXPECT_TRUE(std::filesystem::is_directory(data));

  std::filesystem::remove_all(directory_ / "data");
  std::ofstream(directory_ / "data") << "in the way";
  EXPECT_EQ(to_view(paths.root(&host, DRASRIOV_ROOT_DATA)), "");
  ASSERT_EQ(log_.lines().size(), 1U);
  EXPECT_THAT(log_.lines()[0].text, HasSubstr("module=acme"));
}

TEST_F(ServicesTest, SysIsLiveOnSysfsOnly) {
  if (!std::filesystem::exists("/sys/bus")) GTEST_SKIP() << "no sysfs here";
  const HostServices host_services = services({.roots = {.sys = "/sys"}});
  EXPECT_TRUE(host_services.sys_is_live());
}

TEST_F(ServicesTest, LogLinesCarryModuleCallAndPairs) {
  const HostServices host_services = services();
  drasriov_host host("acme", host_services);
  const Call call{.id = "prepare/u-1"};
  const drasriov_call abi_call{call};
  const drasriov_pair pair = {to_abi("device"), to_abi("vf")};
  const auto& table = HostServices::table();
  table.log(&host, &abi_call, DRASRIOV_LOG_WARNING, to_abi("slow"), &pair, 1);
  table.log(&host, nullptr, 77, to_abi("loud"), nullptr, 0);
  const auto lines = log_.lines();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].level, telemetry::Level::kWarning);
  EXPECT_EQ(lines[0].text, "slow module=acme call=prepare/u-1 device=vf");
  EXPECT_EQ(lines[1].level, telemetry::Level::kError);
  EXPECT_EQ(lines[1].text, "loud module=acme");
}

TEST_F(ServicesTest, MetricsGetPrefixAndModule) {
  const HostServices host_services = services();
  drasriov_host host("acme", host_services);
  const auto& metrics = service<drasriov_metrics_v1>(host, DRASRIOV_SERVICE_METRICS_1);
  const drasriov_pair label = {to_abi("op"), to_abi("bind")};
  metrics.counter_add(&host, to_abi("operations_total"), &label, 1, 2);
  metrics.counter_add(&host, to_abi("operations_total"), &label, 1, 1);
  metrics.gauge_set(&host, to_abi("devices"), nullptr, 0, 7);
  metrics.histogram_observe(&host, to_abi("bind_seconds"), nullptr, 0, 0.2);
  EXPECT_THAT(metrics_.text(),
              HasSubstr("drasriov_module_operations_total{module=\"acme\",op=\"bind\"} 3\n"));
  EXPECT_THAT(metrics_.text(), HasSubstr("drasriov_module_devices{module=\"acme\"} 7\n"));
  EXPECT_THAT(metrics_.text(),
              HasSubstr("drasriov_module_bind_seconds_count{module=\"acme\"} 1\n"));
}

// --- exec/1 ----------------------------------------------------------------------------------------

class ExecTest : public ServicesTest {
 protected:
  /// What done() was given, copied.
  struct Outcome {
    drasriov_status status = -1;
    int calls = 0;
    int exit_code = 0;
    int signal = 0;
    bool truncated = false;
    std::string output;
    std::string diagnostics;
    std::string failure;
  };

  struct Request {
    std::string path = "/bin/sh";
    std::vector<std::string> args;
    std::vector<std::string> env;
    std::string input;
    size_t output_limit = 1U << 16U;
    int netns_fd = -1;
    int mount = DRASRIOV_MOUNT_CONTAINER;
  };

  [[nodiscard]] Outcome run(const Request& request, const Call& call = {}) {
    const auto texts = [](const std::vector<std::string>& from) {
      std::vector<drasriov_string> to;
      for (const std::string& text : from) to.push_back(to_abi(text));
      return to;
    };
    const auto args = texts(request.args);
    const auto env = texts(request.env);
    const drasriov_exec_request abi = {.struct_size = sizeof(abi),
                                       .mount = request.mount,
                                       .netns_fd = request.netns_fd,
                                       .path = to_abi(request.path),
                                       .args = args.data(),
                                       .arg_count = args.size(),
                                       .env = env.data(),
                                       .env_count = env.size(),
                                       .input = to_abi_bytes(request.input),
                                       .output_limit = request.output_limit};
    const drasriov_call abi_call{call};
    Outcome outcome;
    outcome.status = service<drasriov_exec_v1>(host_, DRASRIOV_SERVICE_EXEC_1)
                         .run(
                             &host_, &abi_call, &abi,
                             [](void* context, const drasriov_exec_result* result) {
                               auto& out = *static_cast<Outcome*>(context);
                               ++out.calls;
                               out.exit_code = result->exit_code;
                               out.signal = result->signal;
                               out.truncated = result->truncated != 0;
                               out.output = to_view(result->output);
                               out.diagnostics = to_view(result->diagnostics);
                               out.failure = to_view(result->failure);
                             },
                             &outcome);
    EXPECT_EQ(outcome.calls, 1);
    return outcome;
  }
  [[nodiscard]] Outcome shell(const std::string& script, const Call& call = {}) {
    return run({.args = {"-c", script}}, call);
  }

  /// The script as its deadline ended it, after a time in which it got as far as `begun`: on a busy
  /// machine the shell alone may take longer than a short one.
  [[nodiscard]] Outcome stopped_by_deadline(const std::string& script,
                                            const std::function<bool(const Outcome&)>& begun) {
    Outcome outcome;
    for (auto limit = std::chrono::milliseconds(200); limit < std::chrono::seconds(20);
         limit *= 3) {
      outcome = shell(script, {.deadline = Deadline::after(limit)});
      if (begun(outcome)) break;
    }
    return outcome;
  }

  /// A proc root whose process 1 is in the mount namespace of `fd`.
  [[nodiscard]] std::filesystem::path proc_with_mounts(int fd) const {
    std::filesystem::create_directories(directory_ / "proc/1/ns");
    std::filesystem::create_symlink(
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd),
        directory_ / "proc/1/ns/mnt");
    return directory_ / "proc";
  }

  /// A new namespace, kept by its descriptor; empty where this is not allowed.
  [[nodiscard]] static UniqueFd new_namespace(int kind, const char* file) {
    UniqueFd fd;
    std::thread([&] {
      if (::unshare(kind) == 0) {
        fd.reset(
            ::open((std::string("/proc/thread-self/ns/") + file).c_str(), O_RDONLY | O_CLOEXEC));
      }
    }).join();
    return fd;
  }
  [[nodiscard]] static std::string identity(int fd) {
    struct stat status = {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return "[" + std::to_string(status.st_ino) + "]";
  }

  HostServices services_{MachinePaths{.roots = {.proc = directory_ / "proc"}}, log_, metrics_};
  drasriov_host host_{"acme", services_};
};

TEST_F(ExecTest, InputArgumentsEnvironmentAndOutput) {
  const Outcome outcome =
      run({.args = {"-c", "cat; echo \"$1 $COLOUR $HOME\"; echo bad >&2; exit 3", "sh", "a b"},
           .env = {"COLOUR=red"},
           .input = "hello\n"});
  EXPECT_EQ(outcome.status, DRASRIOV_OK);
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_EQ(outcome.output, "hello\na b red \n");
  EXPECT_EQ(outcome.diagnostics, "bad\n");
  EXPECT_FALSE(outcome.truncated);
  EXPECT_EQ(outcome.failure, "");
}

TEST_F(ExecTest, InputCanBeLargeAndUnread) {
  // More than a pipe holds: nobody may block on it, and nobody may get SIGPIPE.
  EXPECT_EQ(run({.args = {"-c", "exit 0"}, .input = std::string(1U << 20U, 'x')}).exit_code, 0);
  const Outcome counted =
      run({.args = {"-c", "wc -c < /dev/stdin"}, .input = std::string(1U << 20U, 'x')});
  EXPECT_THAT(counted.output, HasSubstr("1048576"));
}

TEST_F(ExecTest, OutputIsBoundedAndTheRestDropped) {
  const Outcome outcome =
      run({.args = {"-c", "head -c 300000 /dev/zero | tr '\\0' x"}, .output_limit = 1000});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output, std::string(1000, 'x'));
  EXPECT_TRUE(outcome.truncated);
}

TEST_F(ExecTest, ProgramsThatCannotBeStarted) {
  const Outcome gone = run({.path = "/opt/cni/bin/gone"});
  EXPECT_EQ(gone.status, DRASRIOV_NOT_FOUND);
  EXPECT_EQ(gone.exit_code, -1);
  EXPECT_EQ(gone.failure, "run /opt/cni/bin/gone: No such file or directory");
  EXPECT_EQ(run({.path = "/etc/passwd"}).status, DRASRIOV_PERMISSION_DENIED);
  EXPECT_EQ(run({.path = "sh"}).status, DRASRIOV_INVALID_ARGUMENT);
  EXPECT_EQ(run({.args = {std::string("a\0b", 3)}}).status, DRASRIOV_INVALID_ARGUMENT);
  EXPECT_EQ(run({.mount = 7}).status, DRASRIOV_INVALID_ARGUMENT);
}

TEST_F(ExecTest, ASignalIsAResult) {
  const Outcome outcome = shell("kill -TERM $$");
  EXPECT_EQ(outcome.status, DRASRIOV_OK);
  EXPECT_EQ(outcome.exit_code, -1);
  EXPECT_EQ(outcome.signal, SIGTERM);
}

TEST_F(ExecTest, TheDeadlineKillsTheWholeGroup) {
  const auto pid_file = directory_ / "pid";
  const Outcome outcome =
      stopped_by_deadline("sleep 600 & echo $! > " + pid_file.string() + "; echo begun; wait",
                          [](const Outcome& result) { return result.output == "begun\n"; });
  EXPECT_EQ(outcome.status, DRASRIOV_DEADLINE_EXCEEDED);
  EXPECT_EQ(outcome.output, "begun\n");
  EXPECT_EQ(outcome.signal, SIGKILL);
  EXPECT_THAT(outcome.failure, StartsWith("run /bin/sh: it did not end in time and was killed"));
  int child = 0;
  std::ifstream(pid_file) >> child;
  ASSERT_GT(child, 1);
  // The child of the killed shell goes to whoever adopts it: until that one reaps it, it is a zombie.
  const auto is_running = [&] {
    std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
    std::string pid, name, state;
    return (stat >> pid >> name >> state) && state != "Z" && state != "X";
  };
  const Deadline patience = Deadline::after(std::chrono::seconds(30));
  while (is_running() && !patience.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(is_running());
}

TEST_F(ExecTest, AProgramThatWritesWithoutEndMeetsItsDeadline) {
  const Outcome outcome =
      stopped_by_deadline("cat /dev/zero", [](const Outcome& result) { return result.truncated; });
  EXPECT_EQ(outcome.status, DRASRIOV_DEADLINE_EXCEEDED);
  EXPECT_TRUE(outcome.truncated);
}

TEST_F(ExecTest, CancellationKills) {
  const auto until = Deadline::after(std::chrono::milliseconds(50));
  const std::function<bool()> cancelled = [&] { return until.expired(); };
  const Outcome outcome = shell("sleep 600", {.cancelled = &cancelled});
  EXPECT_EQ(outcome.status, DRASRIOV_CANCELLED);
}

TEST_F(ExecTest, WhatStaysInTheBackgroundDoesNotHoldUpTheCaller) {
  const Outcome outcome = shell("sleep 5 & echo done");
  EXPECT_EQ(outcome.status, DRASRIOV_OK);
  EXPECT_EQ(outcome.output, "done\n");
}

TEST_F(ExecTest, NothingIsInherited) {
  const UniqueFd leaky(::fcntl(STDERR_FILENO, F_DUPFD, 100));  // deliberately without O_CLOEXEC
  ASSERT_TRUE(leaky);
  const std::string leaked = "[ -e /proc/self/fd/" + std::to_string(leaky.get()) + " ]";
  EXPECT_EQ(shell(leaked + " && echo leaked; pwd").output, "/\n");

  // A program that relies on a signal must not find it ignored or blocked.
  sigset_t usr1;
  ::sigemptyset(&usr1);
  ::sigaddset(&usr1, SIGUSR1);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &usr1, nullptr), 0);
  const Outcome blocked = shell("kill -USR1 $$; echo survived");
  ASSERT_EQ(::pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr), 0);
  EXPECT_EQ(blocked.signal, SIGUSR1);
  ASSERT_NE(::signal(SIGUSR1, SIG_IGN), SIG_ERR);
  const Outcome ignored = shell("kill -USR1 $$; echo survived");
  ::signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(ignored.signal, SIGUSR1);
}

TEST_F(ExecTest, RunsInAnotherNetworkNamespace) {
  const UniqueFd netns = new_namespace(CLONE_NEWNET, "net");
  if (!netns) GTEST_SKIP() << "may not create a network namespace";
  const Outcome there =
      run({.args = {"-c", "readlink /proc/self/ns/net; ls /sys/class/net 2>/dev/null"},
           .netns_fd = netns.get()});
  EXPECT_EQ(there.status, DRASRIOV_OK) << there.failure;
  EXPECT_THAT(there.output, StartsWith("net:" + identity(netns.get()) + "\n"));
  const UniqueFd own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(run({.args = {"-c", "readlink /proc/self/ns/net"}}).output,
            "net:" + identity(own.get()) + "\n");
  EXPECT_NE(identity(own.get()), identity(netns.get()));
}

TEST_F(ExecTest, ADescriptorThatIsNoNetworkNamespace) {
  const UniqueFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Outcome outcome = run({.args = {"-c", "echo ran"}, .netns_fd = other.get()});
  EXPECT_NE(outcome.status, DRASRIOV_OK);
  EXPECT_THAT(outcome.failure, HasSubstr("run /bin/sh: enter the network namespace: "));
  EXPECT_EQ(outcome.output, "");
}

TEST_F(ExecTest, RunsInTheMountNamespaceOfProcess1) {
  const UniqueFd mounts = new_namespace(CLONE_NEWNS, "mnt");
  if (!mounts) GTEST_SKIP() << "may not create a mount namespace";
  (void)proc_with_mounts(mounts.get());
  const Outcome outcome =
      run({.args = {"-c", "readlink /proc/self/ns/mnt"}, .mount = DRASRIOV_MOUNT_HOST});
  EXPECT_EQ(outcome.status, DRASRIOV_OK) << outcome.failure;
  EXPECT_EQ(outcome.output, "mnt:" + identity(mounts.get()) + "\n");
}

TEST_F(ExecTest, OutsideOfAContainerTheHostsMountsAreOurs) {
  // No privilege is needed then.
  const UniqueFd own(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  (void)proc_with_mounts(own.get());
  EXPECT_EQ(run({.args = {"-c", "echo fine"}, .mount = DRASRIOV_MOUNT_HOST}).output, "fine\n");
}

TEST_F(ExecTest, WithoutProcess1TheHintNamesTheSetting) {
  const Outcome outcome = run({.args = {"-c", "echo ran"}, .mount = DRASRIOV_MOUNT_HOST});
  EXPECT_EQ(outcome.status, DRASRIOV_NOT_FOUND);
  EXPECT_EQ(outcome.failure,
            "run /bin/sh: open " + (directory_ / "proc/1/ns/mnt").string() +
                ": No such file or directory — hint: the driver's pod needs hostPID: true");
}

}  // namespace
}  // namespace drasriov::module
