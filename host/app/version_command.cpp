// SPDX-License-Identifier: Apache-2.0
#include <drasriov/abi/base.h>

#include <ostream>

#include "host/app/commands.hpp"

namespace drasriov::app {

ExitCode version_command(const VersionCommand& command, Streams streams) {
  if (command.abi) {
    streams.out << DRASRIOV_ABI_MAJOR << "." << DRASRIOV_ABI_MINOR << "\n";
  } else {
    streams.out << "dra-driver-sriov " << DRASRIOV_VERSION << ", module ABI " << DRASRIOV_ABI_MAJOR
                << "." << DRASRIOV_ABI_MINOR << "\n";
  }
  return ExitCode::kSuccess;
}

}  // namespace drasriov::app
