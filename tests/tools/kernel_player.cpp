// SPDX-License-Identifier: Apache-2.0
//
// kernel_player SYS DEV: answers writes to the driver files of a captured sysfs as Linux would
// (tests/fake_kernel), until its standard input ends. Prints "ready" when it watches.
#include <unistd.h>

#include <cstdio>

#include "tests/fake_kernel/fake_kernel.hpp"
#include "tests/fake_kernel/kernel_thread.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("Usage: kernel_player SYS DEV\n", stderr);
    return 2;
  }
  drasriov::testing::FakeKernel kernel(argv[1], argv[2]);
  const drasriov::testing::KernelThread thread(kernel, argv[1]);
  std::puts("ready");
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
