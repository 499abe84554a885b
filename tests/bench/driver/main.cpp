// SPDX-License-Identifier: Apache-2.0
//
// Measures a driver binary as kubelet sees it: start, memory, prepare and unprepare, beside floors
// of the same run.
//   driver_bench DRIVER MKSYSFS.PY [--rounds N] [--json]
// Needs no root. Figures depend on the machine; the ratios to the floors are what to compare
// (tests/bench/README.md).
#include <grpcpp/grpcpp.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dra_proto/dra_v1.grpc.pb.h"
#include "dra_proto/registration.grpc.pb.h"
#include "driver_process.hpp"
#include "host/base/durable_file.hpp"

namespace drasriov::bench {
namespace {

using Clock = std::chrono::steady_clock;
namespace dra = k8s::io::kubelet::pkg::apis::dra::v1;

double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

struct Quantiles {
  double p50 = 0;
  double p99 = 0;
};

Quantiles quantiles(std::vector<double> samples) {
  if (samples.empty()) throw std::runtime_error("no samples");
  std::ranges::sort(samples);
  const auto at = [&](double q) {
    return samples[static_cast<std::size_t>(q * static_cast<double>(samples.size() - 1))];
  };
  return {at(0.5), at(0.99)};
}

/// One row of the result; `floor` is what the same run could not have beaten, 0 where there is
/// none.
struct Row {
  std::string name;
  std::string unit;
  double value = 0;
  double floor = 0;
  double budget = 0;
};

std::shared_ptr<grpc::Channel> connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
}

template <typename Condition>
double wait_until(Clock::time_point since, std::chrono::seconds limit, const char* what,
                  Condition condition) {
  while (!condition()) {
    if (Clock::now() - since > limit)
      throw std::runtime_error(std::string("timed out waiting for ") + what);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return milliseconds(Clock::now() - since);
}

/// Kubelet's side of the two DRA calls; throws on any error.
class Kubelet {
 public:
  explicit Kubelet(const std::string& socket) : stub_(dra::DRAPlugin::NewStub(connect(socket))) {}

  void prepare(const BenchClaim& claim) {
    grpc::ClientContext context;
    dra::NodePrepareResourcesRequest request;
    fill(*request.add_claims(), claim);
    dra::NodePrepareResourcesResponse response;
    check(stub_->NodePrepareResources(&context, request, &response));
    const auto& answer = response.claims().at(claim.uid);
    if (!answer.error().empty())
      throw std::runtime_error("prepare " + claim.name + ": " + answer.error());
    if (answer.devices_size() != 1)
      throw std::runtime_error("prepare " + claim.name + ": not one device");
  }

  void unprepare(const BenchClaim& claim) {
    grpc::ClientContext context;
    dra::NodeUnprepareResourcesRequest request;
    fill(*request.add_claims(), claim);
    dra::NodeUnprepareResourcesResponse response;
    check(stub_->NodeUnprepareResources(&context, request, &response));
    const auto& answer = response.claims().at(claim.uid);
    if (!answer.error().empty())
      throw std::runtime_error("unprepare " + claim.name + ": " + answer.error());
  }

  /// A call that does nothing: the cost of the transport.
  void nothing() {
    grpc::ClientContext context;
    dra::NodePrepareResourcesResponse response;
    check(stub_->NodePrepareResources(&context, {}, &response));
  }

 private:
  static void fill(dra::Claim& out, const BenchClaim& claim) {
    out.set_namespace_(claim.namespace_);
    out.set_name(claim.name);
    out.set_uid(claim.uid);
  }
  static void check(const grpc::Status& status) {
    if (!status.ok()) throw std::runtime_error("rpc: " + status.error_message());
  }

  std::unique_ptr<dra::DRAPlugin::Stub> stub_;
};

double timed(const std::function<void()>& action) {
  const auto begin = Clock::now();
  action();
  return milliseconds(Clock::now() - begin);
}

std::vector<double> repeat(int times, const std::function<void()>& action) {
  std::vector<double> samples;
  for (int i = 0; i < times; ++i) samples.push_back(timed(action));
  return samples;
}

/// Calls `action` once for each claim from `lanes` threads, each with a connection of its own.
std::vector<double> in_parallel(const Machine& machine, int lanes,
                                void (Kubelet::*action)(const BenchClaim&)) {
  std::atomic<std::size_t> next{0};
  std::vector<double> samples(machine.claims().size());
  std::atomic<bool> failed{false};
  std::vector<std::thread> threads;
  for (int lane = 0; lane < lanes; ++lane) {
    threads.emplace_back([&] {
      try {
        Kubelet kubelet(machine.dra_socket());
        kubelet.nothing();
        for (std::size_t i = next++; i < samples.size(); i = next++) {
          samples[i] = timed([&] { (kubelet.*action)(machine.claims()[i]); });
        }
      } catch (const std::exception& error) {
        std::fprintf(stderr, "driver_bench: %s\n", error.what());
        failed = true;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (failed) throw std::runtime_error("a parallel call failed");
  return samples;
}

void start_rows(const std::string& driver, const std::string& mksysfs, int rounds,
                std::vector<Row>& rows) {
  struct Size {
    int vfs;
    double register_budget;
    double slices_budget;
    double memory_budget;
  };
  for (const Size& size : {Size{8, 15, 60, 18}, Size{128, 15, 60, 18}, Size{2048, 40, 250, 22}}) {
    std::vector<double> answered;
    std::vector<double> published;
    std::vector<double> resident;
    for (int round = 0; round < rounds; ++round) {
      Machine machine(mksysfs, size.vfs, 0);
      DriverProcess process(driver, machine);
      const auto stub =
          pluginregistration::Registration::NewStub(connect(machine.registration_socket()));
      wait_until(process.started(), std::chrono::seconds(30), "the registration socket",
                 [&] { return ::access(machine.registration_socket().c_str(), F_OK) == 0; });
      grpc::ClientContext context;
      context.set_wait_for_ready(true);
      pluginregistration::PluginInfo info;
      const auto status = stub->GetInfo(&context, {}, &info);
      if (!status.ok()) throw std::runtime_error("GetInfo: " + status.error_message());
      answered.push_back(milliseconds(Clock::now() - process.started()));
      published.push_back(wait_until(process.started(), std::chrono::seconds(30), "the slices",
                                     [&] { return machine.published_devices() == size.vfs; }));
      resident.push_back(process.resident_mib());
    }
    const std::string suffix = ", " + std::to_string(size.vfs) + " VFs";
    rows.push_back({"start to GetInfo answered" + suffix, "ms", quantiles(answered).p50, 0,
                    size.register_budget});
    rows.push_back({"start to all devices in slices" + suffix, "ms", quantiles(published).p50, 0,
                    size.slices_budget});
    rows.push_back(
        {"resident memory idle" + suffix, "MiB", quantiles(resident).p50, 0, size.memory_budget});
  }
}

void claim_rows(const std::string& driver, const std::string& mksysfs, std::vector<Row>& rows) {
  constexpr int kClaims = 128;
  Machine machine(mksysfs, kClaims, kClaims);
  DriverProcess process(driver, machine);
  wait_until(process.started(), std::chrono::seconds(30), "the slices",
             [&] { return machine.published_devices() == kClaims; });
  Kubelet kubelet(machine.dra_socket());
  kubelet.nothing();

  const auto transport = quantiles(repeat(300, [&] { kubelet.nothing(); }));
  const std::string content(2048, 'x');
  const auto file = quantiles(repeat(200, [&] {
    if (!replace_file(machine.root() / "floor", content, Durability::kDurable))
      throw std::runtime_error("floor");
  }));
  rows.push_back({"floor: empty call over the socket, p50", "ms", transport.p50, 0, 0});
  rows.push_back({"floor: one durable file of 2 KiB, p50", "ms", file.p50, 0, 0});
  const Quantiles floor{transport.p50 + file.p50, transport.p99 + file.p99};

  std::vector<double> prepare;
  std::vector<double> unprepare;
  for (int i = 0; i < 300; ++i) {
    const BenchClaim& claim =
        machine.claims()[static_cast<std::size_t>(i) % machine.claims().size()];
    prepare.push_back(timed([&] { kubelet.prepare(claim); }));
    unprepare.push_back(timed([&] { kubelet.unprepare(claim); }));
  }
  rows.push_back(
      {"prepare, 1 in flight, p50", "ms", quantiles(prepare).p50, floor.p50, floor.p50 + 0.6});
  rows.push_back({"prepare, 1 in flight, p99", "ms", quantiles(prepare).p99, floor.p99, 4.0});
  rows.push_back({"unprepare, 1 in flight, p50", "ms", quantiles(unprepare).p50, floor.p50, 0.7});
  if (machine.leftovers() != 0)
    throw std::runtime_error("files are left after all claims were unprepared");

  for (const int lanes : {8, 32}) {
    const auto cpu_before = process.cpu_seconds();
    const auto begin = Clock::now();
    const auto samples = in_parallel(machine, lanes, &Kubelet::prepare);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const double cpu = (process.cpu_seconds() - cpu_before) / kClaims * 1000;
    in_parallel(machine, lanes, &Kubelet::unprepare);
    const std::string label =
        "prepare, " + std::to_string(lanes) + " in flight, " + std::to_string(kClaims) + " held";
    rows.push_back(
        {label + ": throughput", "claims/s", kClaims / seconds, 0, lanes == 32 ? 760.0 : 0.0});
    rows.push_back({label + ": p99", "ms", quantiles(samples).p99, 0, lanes == 32 ? 60.0 : 0.0});
    rows.push_back({label + ": CPU a claim", "ms", cpu, 0, 0});
  }

  // No cost may grow with the claims held: the last claim alone, without and with the 127 others.
  const BenchClaim& last = machine.claims().back();
  const auto cycle = [&] {
    kubelet.prepare(last);
    kubelet.unprepare(last);
  };
  const auto alone = quantiles(repeat(200, cycle));
  for (std::size_t i = 0; i + 1 < machine.claims().size(); ++i)
    kubelet.prepare(machine.claims()[i]);
  const auto held = quantiles(repeat(200, cycle));
  rows.push_back(
      {"prepare and unprepare with 127 held, p50", "ms", held.p50, alone.p50, alone.p50 * 1.2});
  rows.push_back({"threads", "", static_cast<double>(process.threads()), 0, 0});
  rows.push_back({"descriptors", "", static_cast<double>(process.descriptors()), 0, 0});
  rows.push_back({"resident memory, 127 claims held", "MiB", process.resident_mib(), 0, 0});
}

void print_table(const std::vector<Row>& rows) {
  std::printf("%-52s %10s %-9s %8s %8s  %s\n", "", "measured", "", "/ floor", "budget", "");
  for (const Row& row : rows) {
    std::printf("%-52s %10.2f %-9s", row.name.c_str(), row.value, row.unit.c_str());
    if (row.floor > 0) {
      std::printf(" %7.2fx", row.value / row.floor);
    } else {
      std::printf(" %8s", "");
    }
    if (row.budget > 0) {
      const bool met = row.unit == "claims/s" ? row.value >= row.budget : row.value <= row.budget;
      std::printf(" %8.2f  %s", row.budget, met ? "met" : "OVER");
    }
    std::printf("\n");
  }
}

void print_json(const std::vector<Row>& rows) {
  std::printf("[\n");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    std::printf(
        "  {\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.4f, \"floor\": %.4f, \"budget\": "
        "%.4f}%s\n",
        row.name.c_str(), row.unit.c_str(), row.value, row.floor, row.budget,
        i + 1 < rows.size() ? "," : "");
  }
  std::printf("]\n");
}

}  // namespace
}  // namespace drasriov::bench

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  bool json = false;
  int rounds = 5;
  std::vector<std::string> positional;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--json") {
      json = true;
    } else if (arguments[i] == "--rounds" && i + 1 < arguments.size()) {
      rounds = std::max(1, std::atoi(arguments[++i].c_str()));
    } else {
      positional.push_back(arguments[i]);
    }
  }
  if (positional.size() != 2) {
    std::fprintf(stderr, "usage: driver_bench DRIVER MKSYSFS.PY [--rounds N] [--json]\n");
    return 2;
  }
  try {
    std::vector<drasriov::bench::Row> rows;
    drasriov::bench::start_rows(positional[0], positional[1], rounds, rows);
    drasriov::bench::claim_rows(positional[0], positional[1], rows);
    json ? drasriov::bench::print_json(rows) : drasriov::bench::print_table(rows);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "driver_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
