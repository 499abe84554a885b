// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "driver_process.hpp"
#include "kubelet.hpp"
#include "measurements.hpp"

namespace drasriov::bench {
namespace {

namespace fs = std::filesystem;

struct Size {
  int vfs;
  double register_budget;  ///< milliseconds; 0 = none
  double slices_budget;
  double memory_budget;  ///< MiB, with a folder as the cluster
};
constexpr Size kSizes[] = {{8, 15, 60, 18}, {128, 15, 60, 18}, {512, 0, 0, 0}, {2048, 40, 250, 22}};
/// What a client of the API server may take beside it.
constexpr double kApiMemory = 6;

/// After the last slice until the process is idle.
constexpr std::chrono::milliseconds kSettle{300};

/// Names all devices and looks at each once: less is not to be had from sysfs.
double walk(const Machine& machine) {
  const auto begin = Clock::now();
  for (const auto& entry :
       fs::directory_iterator(machine.memory() / "machine/sys/bus/pci/devices")) {
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) != 0)
      throw std::runtime_error("cannot look at " + entry.path().native());
  }
  return milliseconds(Clock::now() - begin);
}

double wait_for_slices(const DriverProcess& process, Machine& machine, int vfs) {
  while (machine.published_devices() != vfs) {
    if (Clock::now() - process.started() > std::chrono::seconds(30))
      throw std::runtime_error("timed out waiting for the slices");
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  return milliseconds(Clock::now() - process.started());
}

}  // namespace

std::vector<Row> measure_start(const Subject& subject) {
  std::vector<Row> rows;
  for (const Size& size : kSizes) {
    Machine machine(subject.program, subject.mksysfs, size.vfs, 0);
    std::vector<double> walked;
    std::vector<double> answered;
    std::vector<double> published;
    std::vector<double> resident;
    std::vector<double> answered_again;
    for (int round = 0; round < subject.rounds; ++round) {
      machine.forget_driver();
      walked.push_back(walk(machine));
      {
        const DriverProcess process(machine);
        get_info(machine);
        answered.push_back(milliseconds(Clock::now() - process.started()));
        notify_registered(machine);
        published.push_back(wait_for_slices(process, machine, size.vfs));
        std::this_thread::sleep_for(kSettle);
        resident.push_back(process.resident_mib());
      }
      const DriverProcess process(machine);
      get_info(machine);
      answered_again.push_back(milliseconds(Clock::now() - process.started()));
      notify_registered(machine);  // the Go driver waits for it, even to be stopped
    }
    const double floor = best(walked);
    const double memory_budget = size.memory_budget == 0 || !subject.program.uses_api
                                     ? size.memory_budget
                                     : size.memory_budget + kApiMemory;
    const std::string suffix = ", " + std::to_string(size.vfs) + " VFs";
    rows.push_back({"floor: walk over the devices" + suffix, "ms", floor});
    rows.push_back(
        {"start to GetInfo answered" + suffix, "ms", best(answered), 0, size.register_budget});
    rows.push_back({"restart to GetInfo answered" + suffix, "ms", best(answered_again), 0,
                    size.register_budget});
    rows.push_back({"start to all devices in slices" + suffix, "ms", best(published), floor,
                    size.slices_budget});
    rows.push_back(
        {"resident memory idle" + suffix, "MiB", quantiles(resident).p50, 0, memory_budget});
  }
  return rows;
}

}  // namespace drasriov::bench
