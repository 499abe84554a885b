// SPDX-License-Identifier: Apache-2.0
//
// KernelThread: gives what another process writes into a captured sysfs to a FakeKernel. Plain files
// can neither refuse a write nor make its writer wait, so the writer goes on before the kernel has
// acted; and two writes to one file in a row may be seen as one. Its thread ends with the object.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <thread>

#include "tests/fake_kernel/fake_kernel.hpp"

namespace drasriov::testing {

class KernelThread {
 public:
  /// Watches drivers_probe and the unbind files of the drivers that are there.
  KernelThread(FakeKernel& kernel, const std::filesystem::path& sys);
  KernelThread(const KernelThread&) = delete;
  KernelThread& operator=(const KernelThread&) = delete;
  ~KernelThread();

 private:
  void run();

  FakeKernel& kernel_;
  int events_ = -1;
  int stop_ = -1;
  std::map<int, std::filesystem::path> files_;  ///< by watch descriptor
  std::thread thread_;
};

}  // namespace drasriov::testing
