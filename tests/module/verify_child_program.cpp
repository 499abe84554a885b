// SPDX-License-Identifier: Apache-2.0
//
// The hidden subcommand of the driver as a program of its own: verify-child PATH.
#include "host/module/verify.hpp"

int main(int count, char** arguments) {
  return count == 2 ? drasriov::module::verify_child_main(arguments[1]) : 2;
}
