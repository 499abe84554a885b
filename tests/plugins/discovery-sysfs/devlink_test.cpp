// SPDX-License-Identifier: Apache-2.0
//
// The two devlink messages byte for byte (laid out by hand from
// include/uapi/linux/{netlink,genetlink,devlink}.h), answers of all kinds, and the asking with a
// deadline.
#include "plugins/discovery-sysfs/devlink.hpp"

#include <gmock/gmock.h>

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/discovery-sysfs/eswitch.hpp"

namespace drasriov::discovery_sysfs {
namespace {

using ::testing::ElementsAreArray;

using Bytes = std::vector<std::uint8_t>;

TEST(DevlinkMessage, FindsTheFamily) {
  const Bytes expected = {
      32, 0, 0, 0, 0x10, 0,   1,   0,   7,   0,   0,   0,
      0,  0, 0, 0,                                         // length, GENL_ID_CTRL, REQUEST, seq
      3,  1, 0, 0,                                         // CTRL_CMD_GETFAMILY, version 1
      12, 0, 2, 0, 'd',  'e', 'v', 'l', 'i', 'n', 'k', 0,  // CTRL_ATTR_FAMILY_NAME
  };
  EXPECT_THAT(build_devlink_family_request(7), ElementsAreArray(expected));
}

TEST(DevlinkMessage, AsksForAPciDevice) {
  const Bytes expected = {
      48,
      0,
      0,
      0,
      0x15,
      0,
      1,
      0,
      9,
      0,
      0,
      0,
      0,
      0,
      0,
      0,  // length, family 21,
          // REQUEST, seq
      29,
      1,
      0,
      0,  // DEVLINK_CMD_ESWITCH_GET, version 1
      8,
      0,
      1,
      0,
      'p',
      'c',
      'i',
      0,  // DEVLINK_ATTR_BUS_NAME
      17,
      0,
      2,
      0,
      '0',
      '0',
      '0',
      '0',
      ':',
      '0',
      '8',
      ':',
      '0',
      '0',
      '.',
      '0',
      0,
      0,
      0,
      0,
  };
  EXPECT_THAT(build_eswitch_request(21, 9, "0000:08:00.0"), ElementsAreArray(expected));
}

/// A generic netlink answer with one attribute.
Bytes answer(std::uint16_t attribute, const Bytes& value) {
  const auto size = static_cast<std::uint8_t>(24 + (value.size() + 3) / 4 * 4);
  Bytes bytes = {size,
                 0,
                 0,
                 0,
                 0x15,
                 0,
                 0,
                 0,
                 9,
                 0,
                 0,
                 0,
                 0,
                 0,
                 0,
                 0,
                 29,
                 1,
                 0,
                 0,
                 static_cast<std::uint8_t>(4 + value.size()),
                 0,
                 static_cast<std::uint8_t>(attribute & 0xff),
                 static_cast<std::uint8_t>(attribute >> 8)};
  bytes.insert(bytes.end(), value.begin(), value.end());
  bytes.resize(size);
  return bytes;
}

Bytes error_answer(std::int32_t error_number) {
  Bytes bytes = {36, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0};
  const std::int32_t negative = -error_number;
  bytes.resize(36);
  std::memcpy(bytes.data() + 16, &negative, sizeof(negative));
  return bytes;
}

constexpr std::uint16_t kFamilyId = 1;      // CTRL_ATTR_FAMILY_ID
constexpr std::uint16_t kEswitchMode = 25;  // DEVLINK_ATTR_ESWITCH_MODE

TEST(DevlinkAnswer, NamesTheFamily) {
  EXPECT_EQ(*parse_devlink_family(answer(kFamilyId, {21, 0})), 21);
  EXPECT_EQ(parse_devlink_family(error_answer(ENOENT)).error().code(), sdk::Code::kUnimplemented);
  EXPECT_EQ(parse_devlink_family(error_answer(EPERM)).error().code(), sdk::Code::kPermissionDenied);
  EXPECT_EQ(parse_devlink_family(answer(77, {21, 0})).error().code(), sdk::Code::kInternal);
}

TEST(DevlinkAnswer, NamesTheMode) {
  EXPECT_EQ(*parse_eswitch_answer(answer(kEswitchMode, {0, 0})), EswitchMode::kLegacy);
  EXPECT_EQ(*parse_eswitch_answer(answer(kEswitchMode, {1, 0})), EswitchMode::kSwitchdev);
  EXPECT_EQ(*parse_eswitch_answer(answer(kEswitchMode, {2, 0})), EswitchMode::kSwitchdev);
  const auto unknown = parse_eswitch_answer(answer(kEswitchMode, {9, 0}));
  EXPECT_EQ(unknown.error().message(), "devlink eswitch get: unknown mode 9");
}

TEST(DevlinkAnswer, IsLegacyWhereThereIsNoEswitch) {
  EXPECT_EQ(*parse_eswitch_answer(error_answer(ENODEV)), EswitchMode::kLegacy);
  EXPECT_EQ(*parse_eswitch_answer(error_answer(EOPNOTSUPP)), EswitchMode::kLegacy);
}

TEST(DevlinkAnswer, SaysWhatToDoAboutARefusal) {
  const auto refused = parse_eswitch_answer(error_answer(EPERM));
  EXPECT_EQ(refused.error().code(), sdk::Code::kPermissionDenied);
  EXPECT_EQ(refused.error().message(), "devlink eswitch get: Operation not permitted");
  EXPECT_THAT(refused.error().hint(), ::testing::StartsWith("give the driver CAP_NET_ADMIN"));
}

TEST(DevlinkAnswer, ThatIsDamagedIsAnErrorAndNeverReadBeyondItsEnd) {
  const Bytes whole = answer(kEswitchMode, {1, 0});
  for (std::size_t size = 0; size < 26; ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(parse_eswitch_answer(cut).ok()) << size;
  }
  for (std::size_t position = 0; position < 24; ++position) {
    for (const std::uint8_t value : Bytes{0, 1, 3, 255}) {
      Bytes damaged = whole;
      damaged[position] = value;
      static_cast<void>(parse_eswitch_answer(damaged));  // under ASan: no read out of bounds
      static_cast<void>(parse_devlink_family(damaged));
    }
  }
  Bytes endless = whole;
  endless[20] = 0;  // an attribute of length 0 must not be walked for ever
  EXPECT_FALSE(parse_eswitch_answer(endless).ok());
}

TEST(DevlinkAnswer, HasASequenceNumber) {
  EXPECT_EQ(netlink_sequence(answer(kEswitchMode, {1, 0})), 9u);
  EXPECT_EQ(netlink_sequence({}), std::nullopt);
}

TEST(DevlinkSocket, AnswersForADeviceThatIsNoDevlinkInstance) {
  DevlinkSource source;
  const auto mode = source.mode("ffff:ff:1f.7");
  if (!mode && mode.error().code() == sdk::Code::kUnimplemented) {
    GTEST_SKIP() << "this kernel has no devlink";
  }
  if (!mode && mode.error().code() == sdk::Code::kPermissionDenied) {
    GTEST_SKIP() << "no CAP_NET_ADMIN";
  }
  ASSERT_TRUE(mode.ok()) << mode.error().message();
  EXPECT_EQ(*mode, EswitchMode::kLegacy);
}

// ---- asking with a deadline ----

using Clock = EswitchModes::Clock;

/// Answers with what it was told; an address that is held answers when the test lets it go.
class FakeSource final : public EswitchSource {
 public:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::string held;
    int asked = 0;
  };
  explicit FakeSource(State& state) : state_(state) {}

  sdk::Result<EswitchMode> mode(const std::string& address) override {
    std::unique_lock lock(state_.mutex);
    ++state_.asked;
    state_.changed.notify_all();
    state_.changed.wait(lock, [&] { return state_.held != address; });
    if (address == "bad") {
      return sdk::Error(sdk::Code::kPermissionDenied, "refused");
    }
    return address == "switchdev" ? EswitchMode::kSwitchdev : EswitchMode::kLegacy;
  }

 private:
  State& state_;
};

class Asking : public ::testing::Test {
 protected:
  void SetUp() override { modes_.start(); }
  void TearDown() override { hold(""); }

  void hold(const std::string& address) {
    const std::lock_guard lock(state_.mutex);
    state_.held = address;
    state_.changed.notify_all();
  }
  bool wait_for_late(int count) {
    std::unique_lock lock(late_mutex_);
    return late_changed_.wait_for(lock, std::chrono::seconds(10), [&] { return late_ >= count; });
  }
  /// Enough for an answer that is not held back, on two busy cores.
  static Clock::time_point soon() { return Clock::now() + std::chrono::milliseconds(500); }
  static Clock::time_point ample() { return Clock::now() + std::chrono::seconds(10); }

  FakeSource::State state_;
  std::mutex late_mutex_;
  std::condition_variable late_changed_;
  int late_ = 0;
  EswitchModes modes_{std::make_unique<FakeSource>(state_), [this] {
                        const std::lock_guard lock(late_mutex_);
                        ++late_;
                        late_changed_.notify_all();
                      }};
};

TEST_F(Asking, GivesAnAnswerForEachInOrder) {
  const auto answers = modes_.ask({"legacy", "bad", "switchdev"}, ample());
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].mode, EswitchMode::kLegacy);
  EXPECT_EQ(answers[1].mode, std::nullopt);
  EXPECT_EQ(answers[1].error->message(), "refused");
  EXPECT_FALSE(answers[1].late);
  EXPECT_EQ(answers[2].mode, EswitchMode::kSwitchdev);
  EXPECT_TRUE(modes_.ask({}, ample()).empty());
  EXPECT_EQ(late_, 0);
}

TEST_F(Asking, DoesNotWaitBeyondTheDeadline) {
  hold("switchdev");
  const auto answers = modes_.ask({"legacy", "switchdev"}, soon());
  EXPECT_EQ(answers[0].mode, EswitchMode::kLegacy);
  EXPECT_TRUE(answers[1].late);
  EXPECT_EQ(answers[1].mode, std::nullopt);
  hold("");
  EXPECT_TRUE(wait_for_late(1));
  EXPECT_EQ(modes_.ask({"switchdev"}, ample())[0].mode, EswitchMode::kSwitchdev);
}

TEST_F(Asking, GivesTheLastKnownModeWhileTheAnswerIsLate) {
  ASSERT_EQ(modes_.ask({"switchdev"}, ample())[0].mode, EswitchMode::kSwitchdev);
  hold("switchdev");
  const auto answers = modes_.ask({"switchdev"}, soon());
  EXPECT_TRUE(answers[0].late);
  EXPECT_EQ(answers[0].mode, EswitchMode::kSwitchdev);
}

TEST_F(Asking, ForAnotherSetReplacesTheOneThatIsHeld) {
  hold("legacy");
  EXPECT_TRUE(modes_.ask({"legacy", "a", "b", "c"}, soon())[0].late);
  hold("");
  EXPECT_EQ(modes_.ask({"switchdev"}, ample())[0].mode, EswitchMode::kSwitchdev);
}

TEST_F(Asking, EndsWithStopAlsoWhileNobodyWaits) {
  hold("legacy");
  EXPECT_TRUE(modes_.ask({"legacy", "a"}, soon())[0].late);
  hold("");
  modes_.stop();
  modes_.stop();
  const std::lock_guard lock(state_.mutex);
  EXPECT_GE(state_.asked, 1);
}

}  // namespace
}  // namespace drasriov::discovery_sysfs
