// SPDX-License-Identifier: Apache-2.0
//
// A binding module over a pretended machine: a folder with one file for each device and instance. It takes part in every
// claim, writes each change of the "machine" into a log, and refuses to undo what it cannot have done.
#include <drasriov/sdk/config.hpp>
#include <drasriov/sdk/module.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

namespace {

namespace fs = std::filesystem;
namespace sdk = drasriov::sdk;

constexpr std::string_view kNothing = "nothing";

class PretendBinding {
 public:
  static constexpr std::string_view config_schema =
      R"({"type":"object","properties":{"machine":{"type":"string","description":"folder"}},)"
      R"("required":["machine"],"additionalProperties":false})";

  static sdk::Result<std::unique_ptr<PretendBinding>> create(sdk::Host /*host*/,
                                                             std::string_view instance,
                                                             std::string_view config_json) {
    const auto config = sdk::Config::parse(config_json);
    if (!config) return config.error();
    const auto machine = config->string("machine");
    if (!machine) return machine.error();
    return std::unique_ptr<PretendBinding>(
        new PretendBinding(std::string(instance), machine->value_or("")));
  }

  sdk::Result<std::string> snapshot(const sdk::Call&, const sdk::BindingRequest& request) {
    return now(request);
  }

  sdk::Status prepare(const sdk::Call&, const sdk::BindingRequest& request, std::string_view,
                      sdk::PrepareSink& sink) {
    if (auto kept = sink.put_state("state of " + instance_); !kept) return kept;
    set(request, std::string(request.claim_uid()));
    sink.set_fact("pretend.example.com/" + instance_, "bound");
    return sink.add_edits(R"({"env":["PRETEND_)" + instance_ + R"(=1"]})");
  }

  sdk::Status unprepare(const sdk::Call&, const sdk::BindingRequest& request,
                        std::string_view snapshot, std::string_view state) {
    const std::string current = now(request);
    if (current != kNothing && current != request.claim_uid()) {
      return sdk::Error(sdk::Code::kFailedPrecondition, "the device is " + current + "'s");
    }
    // A bound device without state would mean that put_state() was not durable when it returned.
    if (current != kNothing && state != "state of " + instance_) {
      return sdk::Error(sdk::Code::kDataLoss, "the device is bound, but its state is lost");
    }
    if (snapshot.empty()) return sdk::Error(sdk::Code::kDataLoss, "the snapshot is lost");
    if (current != snapshot) set(request, std::string(snapshot));
    return {};
  }

  bool handles(const sdk::BindingRequest&) { return true; }

 private:
  PretendBinding(std::string instance, fs::path machine)
      : instance_(std::move(instance)),
        machine_(std::move(machine)) {}

  [[nodiscard]] fs::path file(const sdk::BindingRequest& request) const {
    return machine_ / (std::string(request.device().name()) + "." + instance_);
  }
  [[nodiscard]] std::string now(const sdk::BindingRequest& request) const {
    std::ifstream in(file(request));
    if (!in) return std::string(kNothing);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void set(const sdk::BindingRequest& request, const std::string& value) const {
    if (value == kNothing) {
      fs::remove(file(request));
    } else {
      std::ofstream(file(request)) << value;
    }
  }

  const std::string instance_;
  const fs::path machine_;
};

}  // namespace

DRASRIOV_EXPORT_MODULE(PretendBinding);
