// SPDX-License-Identifier: Apache-2.0
//
// The completion scripts in a real bash and a real zsh.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/integration/process.hpp"

namespace drasriov::integration {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = DRASRIOV_DRA_DRIVER_SRIOV_PATH;

class Completion : public testing::Test {
 protected:
  Completion() {
    std::string name = "/tmp/drasriov-completion.XXXXXX";
    directory_ = ::mkdtemp(name.data());
    fs::create_directories(directory_ / "there");
    std::ofstream(directory_ / "there/config.yaml") << "\n";
    std::ofstream(directory_ / "there/config file.yaml") << "\n";
  }
  ~Completion() override { fs::remove_all(directory_); }

  [[nodiscard]] std::string script(const std::string& shell) const {
    const Finished printed = run(kProgram, {"completion", shell});
    EXPECT_EQ(printed.code, 0) << printed.errors;
    std::ofstream(directory_ / shell) << printed.output;
    return (directory_ / shell).native();
  }

  fs::path directory_;
};

struct Typed {
  std::string words;     ///< as readline cuts them, in the shell's quotes
  std::string expected;  ///< one reply a line
};

TEST_F(Completion, OfBash) {
  const std::string there = (directory_ / "there").native();
  const std::string file = script("bash");
  for (const Typed& typed : {
           Typed{"''",
                 "run\ndevices\nexplain\nclaims\nmodule\ndoctor\nbundle\ncompletion\nversion\n"},
           Typed{"dev", "devices\n"},
           Typed{"nosuch", ""},
           Typed{"--versi", "--version\n"},
           Typed{"--adv", "--advertise\n"},
           Typed{"run --advertise ''", "all\nfiltered\n"},
           Typed{"devices --o", "--output\n"},
           Typed{"devices --node", ""},
           Typed{"devices -o ''", "table\nwide\njson\nyaml\n"},
           Typed{"devices --output =", "table\nwide\njson\nyaml\n"},
           Typed{"devices --output = js", "json\n"},
           Typed{"devices -o json --sys", "--sysfs-root\n"},
           Typed{"devices --sysfs-root " + there + "/../the", there + "/../there\n"},
           Typed{"module ''", "list\ninspect\nverify\nschema\n"},
           Typed{"module --insecure-dev ver", "verify\n"},
           Typed{"module --log-format list ins", "inspect\n"},
           Typed{"module verify buil",
                 "builtin:discovery-sysfs\nbuiltin:vf-state\nbuiltin:binding-vfio\n"
                 "builtin:mount-vhost\nbuiltin:runtime-nri\nbuiltin:netconf-cni\nbuiltin:cdi\n"},
           Typed{"module verify builtin :",
                 "discovery-sysfs\nvf-state\nbinding-vfio\nmount-vhost\nruntime-nri\nnetconf-"
                 "cni\ncdi\n"},
           Typed{"module verify builtin : c", "cdi\n"},
           Typed{"module verify builtin : cdi " + there + "/config.", there + "/config.yaml\n"},
           Typed{"module list ''", ""},
           Typed{"bun", "bundle\n"},
           Typed{"bundle " + there + "/config.", there + "/config.yaml\n"},
           Typed{"bundle --host-root " + there + "/../the", there + "/../there\n"},
           Typed{"--config " + there + "/config.", there + "/config.yaml\n"},
           Typed{"--config '" + there + "/config '", there + "/config file.yaml\n"},
           Typed{"--cluster ''", "kube\ndir:\n"},
           Typed{"--cluster dir : " + there + "/../the", there + "/../there\n"},
           Typed{"--cluster = dir : " + there + "/../the", there + "/../there\n"},
           Typed{"completion ''", "bash\nzsh\n"},
       }) {
    const Finished finished = run(
        "/bin/bash",
        {"-uc",
         "source \"$0\" && cd \"${0%/*}\"\n"
         "COMP_WORDS=(dra-driver-sriov " +
             typed.words +
             ") COMP_LINE=\"${COMP_WORDS[*]}\"\n"
             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_POINT=${#COMP_LINE}\n"
             "$(complete -p dra-driver-sriov | awk '{print $3}')\n"
             "for reply in ${COMPREPLY[@]+\"${COMPREPLY[@]}\"}; do printf '%s\\n' \"$reply\"; done",
         file, there},
        {"PATH=/usr/bin:/bin"});
    EXPECT_EQ(finished.code, 0) << typed.words << ": " << finished.errors;
    EXPECT_EQ(finished.output, typed.expected) << typed.words;
    EXPECT_EQ(finished.errors, "") << typed.words;
  }
}

TEST_F(Completion, OfZsh) {
  if (!fs::exists("/usr/bin/zsh"))
    GTEST_SKIP() << "NOT TESTED: no zsh here (scripts/install-packages test brings it)";
  const std::string there = (directory_ / "there").native();
  std::string lines;
  std::string expected;
  for (const auto& [words, result] : std::vector<std::pair<std::string, std::string>>{
           {"dev", "<devices>"},
           {"nosuch", "<nosuch>"},
           {"--versi", "<--version>"},
           {"--adv", "<--advertise>"},
           {"devices -o js", "<devices><-o><json>"},
           {"devices --output=ya", "<devices><--output=yaml>"},
           {"devices -o json --sys", "<devices><-o><json><--sysfs-root>"},
           {"devices --sysfs-root " + directory_.native() + "/the",
            "<devices><--sysfs-root><" + there + ">"},
           {"module --insecure-dev ver", "<module><--insecure-dev><verify>"},
           {"module --log-format list ins", "<module><--log-format><list><inspect>"},
           {"module verify builtin:c", "<module><verify><builtin:cdi>"},
           {"module verify " + there + "/config.", "<module><verify><" + there + "/config.yaml>"},
           {"--config " + there + "/config\\ ", "<--config><" + there + "/config file.yaml>"},
           {"bun", "<bundle>"},
           {"bundle " + there + "/config.", "<bundle><" + there + "/config.yaml>"},
           {"--cluster ku", "<--cluster><kube>"},
           {"--cluster dir:" + directory_.native() + "/the", "<--cluster><dir:" + there + ">"},
           {"--cluster=dir:" + directory_.native() + "/the", "<--cluster=dir:" + there + ">"},
           {"completion z", "<completion><zsh>"}}) {
    lines += "dra-driver-sriov " + words + "\n";
    expected += result + "\n";
  }
  std::ofstream(directory_ / "lines") << lines;
  const Finished finished =
      run("/bin/sh",
          {"-c", "exec timeout 50 zsh -f \"$0\" \"$1\" < \"$2\"", DRASRIOV_COMPLETION_ZSH,
           script("zsh"), (directory_ / "lines").native()},
          {"PATH=/usr/bin:/bin"});
  EXPECT_EQ(finished.code, 0) << finished.errors;
  EXPECT_EQ(finished.output, expected);
}

}  // namespace
}  // namespace drasriov::integration
