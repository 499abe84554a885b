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
# Headers only; host/telemetry's HTTP server sees them. Coroutines are not used, and their header forgets an include.
add_library(drasriov_beast INTERFACE)
add_library(drasriov::beast ALIAS drasriov_beast)
target_compile_definitions(drasriov_beast INTERFACE BOOST_ASIO_DISABLE_CO_AWAIT)
target_link_libraries(drasriov_beast INTERFACE Boost::headers Threads::Threads)

drasriov_require(nlohmann_json DEBIAN nlohmann-json3-dev 3.11)
drasriov_require(OpenSSL DEBIAN libssl-dev COMPONENTS Crypto SSL)
drasriov_require(fmt DEBIAN libfmt-dev)
drasriov_require(spdlog DEBIAN libspdlog-dev)
# The distribution describes the shared yaml-cpp only.
find_path(DRASRIOV_YAML_CPP_INCLUDE_DIR yaml-cpp/yaml.h)
find_library(DRASRIOV_LIB_yaml_cpp NAMES libyaml-cpp.a)
mark_as_advanced(DRASRIOV_YAML_CPP_INCLUDE_DIR DRASRIOV_LIB_yaml_cpp)
if(NOT DRASRIOV_YAML_CPP_INCLUDE_DIR OR NOT DRASRIOV_LIB_yaml_cpp)
  message(FATAL_ERROR "libyaml-cpp.a or its headers were not found. Install the Debian package "
    "libyaml-cpp-dev, or run scripts/install-packages.")
endif()
add_library(drasriov_yaml_cpp INTERFACE)
add_library(drasriov::yaml_cpp ALIAS drasriov_yaml_cpp)
target_include_directories(drasriov_yaml_cpp SYSTEM INTERFACE "${DRASRIOV_YAML_CPP_INCLUDE_DIR}")
target_link_libraries(drasriov_yaml_cpp INTERFACE "${DRASRIOV_LIB_yaml_cpp}")

# SHA-256 alone, which is a few kilobytes of it; the shared one is for tests that play a server.
find_library(DRASRIOV_LIB_crypto NAMES libcrypto.a)
mark_as_advanced(DRASRIOV_LIB_crypto)
if(NOT DRASRIOV_LIB_crypto)
  message(FATAL_ERROR "libcrypto.a was not found. Install the Debian package libssl-dev, or run "
    "scripts/install-packages.")
endif()
add_library(drasriov_libcrypto INTERFACE)
add_library(drasriov::libcrypto ALIAS drasriov_libcrypto)
target_include_directories(drasriov_libcrypto SYSTEM INTERFACE "${OPENSSL_INCLUDE_DIR}")
target_link_libraries(drasriov_libcrypto INTERFACE "${DRASRIOV_LIB_crypto}")

# One header; only host/doctor reads TOML.
find_path(DRASRIOV_TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h)
mark_as_advanced(DRASRIOV_TOMLPLUSPLUS_INCLUDE_DIR)
if(NOT DRASRIOV_TOMLPLUSPLUS_INCLUDE_DIR)
  message(FATAL_ERROR "toml++/toml.h was not found. Install the Debian package "
    "libtomlplusplus-dev, or run scripts/install-packages.")
endif()
add_library(drasriov_tomlplusplus INTERFACE)
add_library(drasriov::tomlplusplus ALIAS drasriov_tomlplusplus)
target_include_directories(drasriov_tomlplusplus SYSTEM INTERFACE
  "${DRASRIOV_TOMLPLUSPLUS_INCLUDE_DIR}")

# Headers only; the wire format of plugins/runtime-nri without a second protobuf in the process.
find_path(DRASRIOV_PROTOZERO_INCLUDE_DIR protozero/pbf_reader.hpp)
mark_as_advanced(DRASRIOV_PROTOZERO_INCLUDE_DIR)
if(NOT DRASRIOV_PROTOZERO_INCLUDE_DIR)
  message(FATAL_ERROR "protozero/pbf_reader.hpp was not found. Install the Debian package "
    "libprotozero-dev, or run scripts/install-packages.")
endif()
add_library(drasriov_protozero INTERFACE)
add_library(drasriov::protozero ALIAS drasriov_protozero)
target_include_directories(drasriov_protozero SYSTEM INTERFACE
  "${DRASRIOV_PROTOZERO_INCLUDE_DIR}")

# Only the headers: modules that load kernel modules load the library when they need it (plugins/kernel-modules/kmod_late.hpp).
find_path(DRASRIOV_LIBKMOD_INCLUDE_DIR libkmod.h)
mark_as_advanced(DRASRIOV_LIBKMOD_INCLUDE_DIR)
if(NOT DRASRIOV_LIBKMOD_INCLUDE_DIR)
  message(FATAL_ERROR "libkmod.h was not found. Install the Debian package libkmod-dev, or run "
    "scripts/install-packages.")
endif()
add_library(drasriov_libkmod_headers INTERFACE)
add_library(drasriov::libkmod_headers ALIAS drasriov_libkmod_headers)
target_include_directories(drasriov_libkmod_headers SYSTEM INTERFACE "${DRASRIOV_LIBKMOD_INCLUDE_DIR}")

# The archive, not the shared library: that one brings ten others, of which tar and gzip need zlib alone.
find_path(DRASRIOV_LIBARCHIVE_INCLUDE_DIR archive.h)
find_library(DRASRIOV_LIB_archive NAMES libarchive.a)
find_library(DRASRIOV_LIB_z NAMES libz.a)
mark_as_advanced(DRASRIOV_LIBARCHIVE_INCLUDE_DIR DRASRIOV_LIB_archive DRASRIOV_LIB_z)
if(NOT DRASRIOV_LIBARCHIVE_INCLUDE_DIR OR NOT DRASRIOV_LIB_archive OR NOT DRASRIOV_LIB_z)
  message(FATAL_ERROR "libarchive.a, its header or libz.a was not found. Install the Debian packages "
    "libarchive-dev zlib1g-dev, or run scripts/install-packages.")
endif()
add_library(drasriov_libarchive INTERFACE)
add_library(drasriov::libarchive ALIAS drasriov_libarchive)
target_include_directories(drasriov_libarchive SYSTEM INTERFACE "${DRASRIOV_LIBARCHIVE_INCLUDE_DIR}")
target_link_libraries(drasriov_libarchive INTERFACE "${DRASRIOV_LIB_archive}" "${DRASRIOV_LIB_z}")

# Its static archive is not position-independent, so no module could hold it. Only vf-state links it.
find_path(DRASRIOV_LIBNL_INCLUDE_DIR netlink/netlink.h PATH_SUFFIXES libnl3)
find_library(DRASRIOV_LIB_nl NAMES nl-3)
mark_as_advanced(DRASRIOV_LIBNL_INCLUDE_DIR DRASRIOV_LIB_nl)
if(NOT DRASRIOV_LIBNL_INCLUDE_DIR OR NOT DRASRIOV_LIB_nl)
  message(FATAL_ERROR "libnl-3 was not found. Install the Debian package "
    "libnl-3-dev, or run scripts/install-packages.")
endif()
add_library(drasriov_libnl INTERFACE)
add_library(drasriov::libnl ALIAS drasriov_libnl)
target_include_directories(drasriov_libnl SYSTEM INTERFACE "${DRASRIOV_LIBNL_INCLUDE_DIR}")
target_link_libraries(drasriov_libnl INTERFACE "${DRASRIOV_LIB_nl}")

if(DRASRIOV_TESTS)
  drasriov_require(GTest DEBIAN "libgtest-dev libgmock-dev")
endif()
