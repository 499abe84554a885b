// SPDX-License-Identifier: Apache-2.0
//
// Modules that must not compile, one mistake each. wrong_modules.cmake compiles this file and looks
// for the sentence that the author of each would read. ScanAlone is right, and the base of most
// others.
#include <drasriov/sdk/module.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace drasriov::sdk_test {

using namespace drasriov::sdk;

constexpr ModuleInfo kInfo{.name = "wrong",
                           .version = "1.0.0",
                           .vendor = "tests",
                           .license = "Apache-2.0",
                           .min_host_abi = "1.0"};

struct Base {
  Base(Host, std::string_view, std::string_view) {}
};

struct ScanAlone : Base {
  using Base::Base;
  Status scan(const Call&, DeviceSink&) { return {}; }
};
constexpr auto kScanAlone = make_module_table<ScanAlone, kInfo>();

struct Constructor {
  explicit Constructor(Host) {}
  Status scan(const Call&, DeviceSink&) { return {}; }
};
constexpr auto kConstructor = make_module_table<Constructor, kInfo>();

struct Create : ScanAlone {
  using ScanAlone::ScanAlone;
  static Create* create(Host, std::string_view, std::string_view) { return nullptr; }
};
constexpr auto kCreate = make_module_table<Create, kInfo>();

struct NothingOffered : Base {
  using Base::Base;
  void run() {}
};
constexpr auto kNothingOffered = make_module_table<NothingOffered, kInfo>();

struct StartWithoutStop : ScanAlone {
  using ScanAlone::ScanAlone;
  Status start() { return {}; }
};
constexpr auto kStartWithoutStop = make_module_table<StartWithoutStop, kInfo>();

struct StartResult : ScanAlone {
  using ScanAlone::ScanAlone;
  void start() {}
  void stop() {}
};
constexpr auto kStartResult = make_module_table<StartResult, kInfo>();

struct StopResult : ScanAlone {
  using ScanAlone::ScanAlone;
  Status stop() { return {}; }
};
constexpr auto kStopResult = make_module_table<StopResult, kInfo>();

struct ClaimFields : ScanAlone {
  using ScanAlone::ScanAlone;
  static constexpr std::string_view claim_fields[] = {"driver"};
};
constexpr auto kClaimFields = make_module_table<ClaimFields, kInfo>();

struct Final final : ScanAlone {
  using ScanAlone::ScanAlone;
};
constexpr auto kFinal = make_module_table<Final, kInfo>();

// ---- discovery/1 ----

struct ScanSignature : Base {
  using Base::Base;
  Status scan(Call&, DeviceSink&) { return {}; }  // the const is missing
};
constexpr auto kScanSignature = make_module_table<ScanSignature, kInfo>();

class ScanPrivate : public Base {
 public:
  using Base::Base;

 private:
  Status scan(const Call&, DeviceSink&) { return {}; }
};
constexpr auto kScanPrivate = make_module_table<ScanPrivate, kInfo>();

struct Enrich : ScanAlone {
  using ScanAlone::ScanAlone;
  Status enrich(const Call&, Device&, DeviceSink&) { return {}; }
};
constexpr auto kEnrich = make_module_table<Enrich, kInfo>();

struct Watch : ScanAlone {
  using ScanAlone::ScanAlone;
  void watch(ChangeNotifier) {}
};
constexpr auto kWatch = make_module_table<Watch, kInfo>();

// ---- binding/1 ----

struct SnapshotOnly : Base {
  using Base::Base;
  Result<std::string> snapshot(const Call&, const BindingRequest&) { return std::string(); }
};
constexpr auto kSnapshotOnly = make_module_table<SnapshotOnly, kInfo>();

struct SnapshotResult : Base {
  using Base::Base;
  std::string snapshot(const Call&, const BindingRequest&) { return {}; }
  Status prepare(const Call&, const BindingRequest&, std::string_view, PrepareSink&) { return {}; }
  Status unprepare(const Call&, const BindingRequest&, std::string_view, std::string_view) {
    return {};
  }
  Status settle(const Call&, const BindingRequest&) { return {}; }
  int handles(const BindingRequest&) { return 1; }
  std::string adopt(const Call&, const BindingRequest&) { return {}; }
};
constexpr auto kSnapshotResult = make_module_table<SnapshotResult, kInfo>();

// ---- netconf/1 ----

struct NetconfResults : Base {
  using Base::Base;
  bool validate(const Call&, const NetconfRequest&) { return true; }
  Status add(const Call&, const NetconfRequest&) { return {}; }
  void del(const Call&, const NetconfRequest&) {}
  void check(const Call&, const NetconfRequest&) {}
  int status() const { return 0; }
  Status gc(const Call&) { return {}; }
};
constexpr auto kNetconfResults = make_module_table<NetconfResults, kInfo>();

// ---- runtime-hooks/1 ----

struct HooksResults : Base {
  using Base::Base;
  Status set_events(RuntimeEvents) { return {}; }
  int request_timeout() { return 0; }
};
constexpr auto kHooksResults = make_module_table<HooksResults, kInfo>();

// ---- cdi/1 ----

struct CdiArguments : Base {
  using Base::Base;
  Status write_spec(const Call&, std::string_view, std::string_view) { return {}; }
};
constexpr auto kCdiArguments = make_module_table<CdiArguments, kInfo>();

// ---- what CMake passes ----

constexpr ModuleInfo kBadName{.name = "Bad Name",
                              .version = "1.0.0",
                              .vendor = "tests",
                              .license = "Apache-2.0",
                              .min_host_abi = "1.0"};
constexpr auto kName = make_module_table<ScanAlone, kBadName>();

constexpr ModuleInfo kBadVendor{.name = "wrong",
                                .version = "1.0.0",
                                .vendor = "\"quoted\"",
                                .license = "Apache-2.0",
                                .min_host_abi = "1.0"};
constexpr auto kVendor = make_module_table<ScanAlone, kBadVendor>();

constexpr ModuleInfo kBadAbi{.name = "wrong",
                             .version = "1.0.0",
                             .vendor = "tests",
                             .license = "Apache-2.0",
                             .min_host_abi = "2.0"};
constexpr auto kAbi = make_module_table<ScanAlone, kBadAbi>();

constexpr ModuleInfo kNewAbi{.name = "wrong",
                             .version = "1.0.0",
                             .vendor = "tests",
                             .license = "Apache-2.0",
                             .min_host_abi = "1.99"};
constexpr auto kNew = make_module_table<ScanAlone, kNewAbi>();

}  // namespace drasriov::sdk_test
