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
# Every shared library costs the start of the host about 0.3 ms: small ones are linked statically.
set(Boost_USE_STATIC_LIBS ON)
drasriov_require(Boost DEBIAN "libboost-dev libboost-program-options-dev" 1.74
  COMPONENTS program_options)
drasriov_require(nlohmann_json DEBIAN nlohmann-json3-dev 3.11)
drasriov_require(OpenSSL DEBIAN libssl-dev COMPONENTS Crypto)
drasriov_require(fmt DEBIAN libfmt-dev)
drasriov_require(spdlog DEBIAN libspdlog-dev)
drasriov_require(yaml-cpp DEBIAN libyaml-cpp-dev)
# The distribution's package describes the shared library only, under a name without "::".
if(NOT TARGET yaml-cpp::yaml-cpp)
  find_library(DRASRIOV_LIBYAML_CPP NAMES libyaml-cpp.a yaml-cpp)
  mark_as_advanced(DRASRIOV_LIBYAML_CPP)
  add_library(yaml-cpp::yaml-cpp UNKNOWN IMPORTED GLOBAL)
  set_target_properties(yaml-cpp::yaml-cpp PROPERTIES IMPORTED_LOCATION "${DRASRIOV_LIBYAML_CPP}")
endif()
if(DRASRIOV_TESTS)
  drasriov_require(GTest DEBIAN "libgtest-dev libgmock-dev")
endif()
