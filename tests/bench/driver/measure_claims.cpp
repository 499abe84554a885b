// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <ctime>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>

#include "driver_process.hpp"
#include "host/base/durable_file.hpp"
#include "kubelet.hpp"
#include "measurements.hpp"

namespace drasriov::bench {
namespace {

constexpr int kClaims = 128;
constexpr int kHeld = 100;
constexpr int kLatencyRounds = 400;
/// The whole run is over in a second or two for some of these: often enough for a median.
constexpr int kParallelRounds = 5;

using Claims = std::span<const BenchClaim>;

void wait_until_served(const DriverProcess& process, Machine& machine) {
  get_info(machine);
  notify_registered(machine);
  while (machine.published_devices() != static_cast<int>(machine.claims().size())) {
    if (Clock::now() - process.started() > std::chrono::seconds(30))
      throw std::runtime_error("timed out waiting for the slices");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void check_clean(const Machine& machine) {
  if (machine.leftovers() != 0)
    throw std::runtime_error("files are left after all claims were unprepared");
}

/// One durable file of the size of a journal record, as the driver writes it.
void write_durable(const Machine& machine, const std::string& name) {
  static const std::string content(2048, 'x');
  if (auto ok = replace_file(machine.disk() / name, content, Durability::kDurable); !ok)
    throw std::runtime_error(ok.error().message());
}

double thread_cpu_ms() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

struct Cost {
  std::vector<double> prepare;  ///< ms of each call
  std::vector<double> unprepare;
  double cpu = 0;  ///< ms a cycle, of the driver
};

/// `rounds` times one of the claims prepared and unprepared, alone.
Cost cycle(Kubelet& kubelet, const DriverProcess& process, Claims claims, int rounds) {
  Cost cost;
  const double cpu = process.cpu_seconds();
  for (int i = 0; i < rounds; ++i) {
    const Claims one = claims.subspan(static_cast<std::size_t>(i) % claims.size(), 1);
    const auto begin = Clock::now();
    kubelet.prepare(one);
    const auto prepared = Clock::now();
    kubelet.unprepare(one);
    cost.prepare.push_back(milliseconds(prepared - begin));
    cost.unprepare.push_back(milliseconds(Clock::now() - prepared));
  }
  cost.cpu = (process.cpu_seconds() - cpu) * 1000 / rounds;
  return cost;
}

void append(Cost& to, const Cost& from) {
  to.prepare.insert(to.prepare.end(), from.prepare.begin(), from.prepare.end());
  to.unprepare.insert(to.unprepare.end(), from.unprepare.begin(), from.unprepare.end());
  to.cpu += from.cpu / 2;
}

/// Calls `action` for each index below `count` from `lanes` threads that each have a connection;
/// the milliseconds of each call.
template <typename Action>
std::vector<double> in_parallel(const Machine& machine, int lanes, std::size_t count,
                                Action action) {
  std::atomic<std::size_t> next{0};
  std::atomic<int> ready{0};
  std::atomic<bool> failed{false};
  std::vector<double> samples(count);
  std::vector<std::thread> threads;
  for (int lane = 0; lane < lanes; ++lane) {
    threads.emplace_back([&] {
      try {
        Kubelet kubelet(machine.dra_socket());
        kubelet.nothing();
        ++ready;
        while (ready < lanes && !failed) std::this_thread::yield();
        for (std::size_t i = next++; i < count; i = next++) {
          const auto begin = Clock::now();
          action(kubelet, i);
          samples[i] = milliseconds(Clock::now() - begin);
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

/// `lanes` callers, each with `size` claims in a call, until all claims of the machine are prepared.
void measure_shape(const DriverProcess& process, const Machine& machine, int lanes,
                   std::size_t size, std::vector<Row>& rows) {
  const Claims claims = machine.claims();
  const std::size_t calls = claims.size() / size;
  std::vector<double> rates;
  std::vector<double> latencies;
  std::vector<double> floors;
  double cpu = 0;
  for (int round = 0; round < kParallelRounds; ++round) {
    auto begin = Clock::now();
    (void)in_parallel(machine, lanes, claims.size(), [&](Kubelet&, std::size_t i) {
      write_durable(machine, "floor-" + std::to_string(i));
    });
    floors.push_back(static_cast<double>(claims.size()) * 1000 /
                     milliseconds(Clock::now() - begin));

    const double cpu_before = process.cpu_seconds();
    begin = Clock::now();
    const auto samples = in_parallel(machine, lanes, calls, [&](Kubelet& kubelet, std::size_t i) {
      kubelet.prepare(claims.subspan(i * size, size));
    });
    rates.push_back(static_cast<double>(claims.size()) * 1000 / milliseconds(Clock::now() - begin));
    latencies.insert(latencies.end(), samples.begin(), samples.end());
    (void)in_parallel(machine, lanes, calls, [&](Kubelet& kubelet, std::size_t i) {
      kubelet.unprepare(claims.subspan(i * size, size));
    });
    cpu += (process.cpu_seconds() - cpu_before) * 1000 / static_cast<double>(claims.size());
    check_clean(machine);
  }
  const bool budgeted = lanes == 32;
  const std::string label = std::to_string(lanes) + (lanes == 1 ? " call" : " calls") +
                            " at once, " + std::to_string(size) +
                            (size == 1 ? " claim each" : " claims each");
  rows.push_back({label + ": prepared", "claims/s", quantiles(rates).p50, quantiles(floors).p50,
                  budgeted ? 760.0 : 0.0, Row::Better::kMore});
  rows.push_back(
      {label + ": prepare p99", "ms", quantiles(latencies).p99, 0, budgeted ? 60.0 : 0.0});
  rows.push_back({label + ": CPU, prepare and unprepare", "ms", cpu / kParallelRounds, 0, 0.3});
}

}  // namespace

std::vector<Row> measure_claims(const Subject& subject) {
  Machine machine(subject.program, subject.mksysfs, kClaims, kClaims);
  const DriverProcess process(machine);
  wait_until_served(process, machine);
  Kubelet kubelet(machine.dra_socket());
  (void)cycle(kubelet, process, machine.claims(), 50);  // the first ones fill caches and pools

  double cpu = process.cpu_seconds();
  const auto transport = quantiles(repeat(kLatencyRounds, [&] { kubelet.nothing(); }));
  cpu = (process.cpu_seconds() - cpu) * 1000 / kLatencyRounds;

  // Before, while and after the others are held, so that a machine that slows down is no growth.
  const Claims all = machine.claims();
  const Claims others = all.first(kHeld);
  const Claims free = all.subspan(kHeld);
  std::vector<double> files;
  double file_cpu = 0;  // ms of the kernel's for a file and its removal, both durable
  const auto write_files = [&] {
    const double begin = thread_cpu_ms();
    for (int i = 0; i < kLatencyRounds / 2; ++i) {
      const auto sample = repeat(1, [&] { write_durable(machine, "floor"); });
      files.push_back(sample.front());
      (void)remove_file(machine.disk() / "floor", Durability::kDurable);
    }
    file_cpu += (thread_cpu_ms() - begin) / kLatencyRounds;
  };
  write_files();
  Cost alone;
  append(alone, cycle(kubelet, process, free, kLatencyRounds));
  kubelet.prepare(others);
  const Cost held = cycle(kubelet, process, free, kLatencyRounds);
  const double resident_held = process.resident_mib();
  kubelet.unprepare(others);
  append(alone, cycle(kubelet, process, free, kLatencyRounds));
  write_files();
  check_clean(machine);

  const auto file = quantiles(files);
  const Quantiles floor{transport.p50 + file.p50, transport.p99 + file.p99};
  const double floor_cpu = 2 * cpu + file_cpu;
  const auto prepare = quantiles(alone.prepare);
  const auto unprepare = quantiles(alone.unprepare);
  return {
      {"floor: empty call over the socket, p50", "ms", transport.p50},
      {"floor: empty call over the socket, CPU of the driver", "ms", cpu},
      {"floor: one durable file of 2 KiB, p50", "ms", file.p50},
      {"floor: one durable file and its removal, CPU", "ms", file_cpu},
      {"prepare, p50", "ms", prepare.p50, floor.p50, floor.p50 + 0.6},
      {"prepare, p99", "ms", prepare.p99, floor.p99, 4.0},
      {"unprepare, p50", "ms", unprepare.p50, floor.p50, 0.7},
      {"unprepare, p99", "ms", unprepare.p99, floor.p99},
      {"prepare and unprepare, CPU", "ms", alone.cpu, floor_cpu, 0.3},
      {"prepare with 100 held, p50", "ms", quantiles(held.prepare).p50, prepare.p50,
       prepare.p50 * 1.1},
      {"unprepare with 100 held, p50", "ms", quantiles(held.unprepare).p50, unprepare.p50,
       unprepare.p50 * 1.1},
      {"prepare and unprepare with 100 held, CPU", "ms", held.cpu, floor_cpu, 0.3},
      {"resident memory, 101 claims held", "MiB", resident_held},
      {"threads", "", static_cast<double>(process.threads())},
      {"descriptors", "", static_cast<double>(process.descriptors())},
  };
}

std::vector<Row> measure_parallel(const Subject& subject) {
  Machine machine(subject.program, subject.mksysfs, kClaims, kClaims);
  const DriverProcess process(machine);
  wait_until_served(process, machine);
  std::vector<Row> rows;
  measure_shape(process, machine, 8, 1, rows);
  measure_shape(process, machine, 32, 1, rows);
  measure_shape(process, machine, 1, 8, rows);
  measure_shape(process, machine, 1, 64, rows);
  return rows;
}

std::vector<Row> measure_api(const Subject& subject) {
  constexpr int kCycles = 200;
  constexpr std::chrono::seconds kIdle{5};
  Program program = subject.program;
  program.uses_api = true;
  Machine machine(program, subject.mksysfs, kClaims, kClaims);
  const DriverProcess process(machine);
  wait_until_served(process, machine);
  std::this_thread::sleep_for(std::chrono::seconds(1));  // what follows the start has been written
  const double resident = process.resident_mib();
  const auto before = machine.api()->requests();
  std::this_thread::sleep_for(kIdle);
  const auto idle = machine.api()->requests();

  Kubelet kubelet(machine.dra_socket());
  const Cost cost = cycle(kubelet, process, machine.claims(), kCycles);
  const auto busy = machine.api()->requests();
  std::this_thread::sleep_for(std::chrono::seconds(3));  // a status may wait for 2 s
  const auto after = machine.api()->requests();
  check_clean(machine);
  const auto a_claim = [](int to, int from) { return static_cast<double>(to - from) / kCycles; };
  return {
      {"API server: resident memory idle, 128 VFs", "MiB", resident, 0, 24},
      {"API server: requests in 5 s at idle", "",
       static_cast<double>(idle.reads + idle.writes - before.reads - before.writes), 0,
       0.5},  // none: 0 would be no budget
      {"API server: prepare, p50", "ms", quantiles(cost.prepare).p50},
      {"API server: prepare, p99", "ms", quantiles(cost.prepare).p99},
      {"API server: prepare and unprepare, CPU", "ms", cost.cpu, 0, 0.3},
      {"API server: reads in a prepare", "", a_claim(busy.reads, idle.reads), 0, 1},
      {"API server: writes for a claim", "", a_claim(after.writes, idle.writes), 0, 2},
  };
}

std::vector<Row> measure_soak(const Subject& subject) {
  Machine machine(subject.program, subject.mksysfs, kClaims, kClaims);
  const DriverProcess process(machine);
  wait_until_served(process, machine);
  Kubelet kubelet(machine.dra_socket());
  // Pools and caches have their size after this; what grows later would grow for ever.
  (void)cycle(kubelet, process, machine.claims(), std::max(500, subject.cycles / 10));
  const double resident = process.resident_mib();
  const int threads = process.threads();
  const int descriptors = process.descriptors();
  const Cost cost = cycle(kubelet, process, machine.claims(), subject.cycles);
  check_clean(machine);
  const std::string label = ", " + std::to_string(subject.cycles) + " cycles";
  const double share = subject.cycles / 10'000.0;
  return {
      {"memory growth" + label, "MiB", std::max(0.0, process.resident_mib() - resident), 0, 1.0},
      {"CPU" + label, "s", cost.cpu * subject.cycles / 1000, 0, 5.0 * share},
      {"threads grown" + label, "", static_cast<double>(process.threads() - threads)},
      {"descriptors grown" + label, "", static_cast<double>(process.descriptors() - descriptors)},
  };
}

}  // namespace drasriov::bench
