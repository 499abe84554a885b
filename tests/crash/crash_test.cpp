// SPDX-License-Identifier: Apache-2.0
//
// SIGKILL of the real program at every named place of prepare and unprepare, each time that it is passed; then a start
// without the fault. What is on the machine, in the journal and in the CDI folder must equal, byte for byte, what the
// undisturbed run of the same claims left "before" or "after" each step, and the retried call must succeed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/crash/machine.hpp"

namespace drasriov::crash {
namespace {

/// Every place that a prepare or an unprepare passes; EveryPlaceIsTried compares it with what a run really passes.
const char* const kPlaces[] = {
    "prepare.fetched",  "prepare.planned",   "prepare.snapshot",   "prepare.intent",
    "prepare.bind",     "prepare.state",     "prepare.bound",      "prepare.spec",
    "prepare.pod_spec", "prepare.committed", "unprepare.begun",    "unprepare.undo",
    "unprepare.undone", "unprepare.spec",    "unprepare.pod_spec", "unprepare.erased",
    "file.written",     "file.renamed",
};

/// What the undisturbed run left: nothing, after the first claim, after both, after the first was unprepared again.
struct Recording {
  std::vector<Leftovers> states;
  std::map<std::string, int> passes;  ///< by place
};

void call(Machine& machine, const std::string& action, std::size_t claim) {
  ASSERT_TRUE(machine.kubelet(action, {Machine::claims()[claim]})) << machine.log();
}

/// prepare one, prepare two, prepare one again (recalled), unprepare one, unprepare two.
const std::vector<std::pair<const char*, std::size_t>> kCalls = {
    {"prepare", 0}, {"prepare", 1}, {"prepare", 0}, {"unprepare", 0}, {"unprepare", 1}};

void record(Machine& machine, Recording& recording) {
  machine.start({machine.fault_log_variable()});
  ASSERT_TRUE(machine.kubelet("register", {})) << machine.log();
  recording.states.push_back(machine.leftovers());
  for (const auto& [action, claim] : kCalls) {
    ASSERT_NO_FATAL_FAILURE(call(machine, action, claim));
    recording.states.push_back(machine.leftovers());
  }
  ASSERT_EQ(machine.stop(), 0) << machine.log();
  for (const std::string& place : machine.fault_log()) ++recording.passes[place];
}

std::string names(const Leftovers& leftovers) {
  std::string out;
  for (const auto& [name, content] : leftovers) out += name + " " + content.substr(0, 200) + "\n";
  return out;
}

TEST(Crash, TheRecordingIsWhatAClaimShouldLeave) {
  Machine machine;
  Recording recording;
  ASSERT_NO_FATAL_FAILURE(record(machine, recording));
  const auto sizes = [&recording] {
    std::vector<std::size_t> out;
    for (const auto& state : recording.states) out.push_back(state.size());
    return out;
  };
  // One record and one document for each claim, one document for the pod, two bindings for each device.
  EXPECT_THAT(sizes(), ::testing::ElementsAre(0, 3 + 4, 5 + 6, 5 + 6, 3 + 2, 0))
      << names(recording.states[2]);
  EXPECT_EQ(recording.states[2], recording.states[3]) << "a repeated prepare changes nothing";
}

TEST(Crash, EveryPlaceIsTried) {
  Machine machine;
  Recording recording;
  ASSERT_NO_FATAL_FAILURE(record(machine, recording));
  std::set<std::string> passed;
  for (const auto& [place, times] : recording.passes) passed.insert(place);
  EXPECT_EQ(passed, std::set<std::string>(std::begin(kPlaces), std::end(kPlaces)));
  std::ifstream document(std::string(DRASRIOV_FIXTURES_DIR) + "/../../docs/crash-points.md");
  const std::string text{std::istreambuf_iterator<char>(document), {}};
  for (const char* place : kPlaces) {
    EXPECT_NE(text.find("`" + std::string(place) + "`"), std::string::npos)
        << place << " is not in docs/crash-points.md";
  }
}

class CrashAt : public ::testing::TestWithParam<const char*> {};

TEST_P(CrashAt, IsBeforeOrAfterAndTheRetrySucceeds) {
  Machine machine;
  Recording recording;
  ASSERT_NO_FATAL_FAILURE(record(machine, recording));
  const int passes = recording.passes[GetParam()];
  ASSERT_GT(passes, 0);
  int killed = 0;
  for (int pass = 1; pass <= passes; ++pass) {
    SCOPED_TRACE(std::string(GetParam()) + "#" + std::to_string(pass));
    machine.start({"DRASRIOV_CRASH_AT=" + std::string(GetParam()) + "#" + std::to_string(pass)});
    // Up to the call in which it dies; a place can also lie in the start (the slices are files too).
    std::size_t step = 0;
    while (step < kCalls.size() &&
           machine.kubelet(kCalls[step].first, {Machine::claims()[kCalls[step].second]}))
      ++step;
    if (step < kCalls.size()) {
      ASSERT_EQ(machine.wait_end(), SIGKILL) << machine.log();
      ++killed;
    } else {
      ASSERT_EQ(machine.stop(), 0) << machine.log();
      continue;  // passes outside of the calls vary from run to run
    }

    // Nothing is changed on the machine before the intent to change it is durable.
    const Leftovers at_death = machine.leftovers();
    for (const auto& [name, uid] : at_death) {
      if (name.starts_with("machine/")) {
        EXPECT_TRUE(at_death.contains("claims/" + uid + ".json")) << names(at_death);
      }
    }

    machine.start({});
    ASSERT_TRUE(machine.kubelet("register", {})) << machine.log();
    const Leftovers recovered = machine.leftovers();
    EXPECT_TRUE(recovered == recording.states[step] || recovered == recording.states[step + 1])
        << "recovered:\n"
        << names(recovered) << "before:\n"
        << names(recording.states[step]) << "after:\n"
        << names(recording.states[step + 1]);

    // The retried call, and all that follow.
    for (; step < kCalls.size(); ++step) {
      ASSERT_NO_FATAL_FAILURE(call(machine, kCalls[step].first, kCalls[step].second));
      EXPECT_EQ(machine.leftovers(), recording.states[step + 1]) << names(machine.leftovers());
    }
    ASSERT_EQ(machine.stop(), 0) << machine.log();
    EXPECT_EQ(machine.leftovers(), recording.states.front());
    if (HasFailure()) return;
  }
  EXPECT_GT(killed, 0) << "the place was never the last that the program passed";
}

std::string case_name(const ::testing::TestParamInfo<const char*>& tested) {
  std::string name = tested.param;
  std::ranges::replace(name, '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Places, CrashAt, ::testing::ValuesIn(kPlaces), case_name);

}  // namespace
}  // namespace drasriov::crash
