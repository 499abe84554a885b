# SPDX-License-Identifier: Apache-2.0
# The libraries of the distribution, found once for the whole tree; each failure names the Debian
# package that cures it.
include_guard(GLOBAL)

# drasriov_require(<package> DEBIAN <deb> [find_package arguments…])
macro(drasriov_require _package _keyword _deb)
  find_package(${_package} ${ARGN} QUIET)
  if(NOT ${_package}_FOUND)
    message(FATAL_ERROR "${_package} was not found. Install the Debian package ${_deb}, or run "
      "scripts/install-packages.")
  endif()
endmacro()

set(THREADS_PREFER_PTHREAD_FLAG ON)
drasriov_require(Threads DEBIAN libc6-dev)
drasriov_require(Boost DEBIAN "libboost-dev libboost-program-options-dev" 1.74
  COMPONENTS program_options)
drasriov_require(nlohmann_json DEBIAN nlohmann-json3-dev 3.11)
drasriov_require(yaml-cpp DEBIAN libyaml-cpp-dev)
drasriov_require(spdlog DEBIAN libspdlog-dev)
if(DRASRIOV_TESTS)
  drasriov_require(GTest DEBIAN "libgtest-dev libgmock-dev")
endif()
