# SPDX-License-Identifier: Apache-2.0
# gRPC C++ and protobuf as the distribution packages them.
#
#   drasriov::grpc      gRPC C++ without TLS
#   drasriov::protobuf  protobuf's lite runtime: the messages of the kubelet need no reflection
#
# DRASRIOV_GRPC=static links the archives, so that of all this nothing but libstdc++, libm and libc
# stays shared; DRASRIOV_GRPC=shared links the shared libraries. Figures: docs/build.md.
#
# All sockets of the driver speak plain text, on unix paths or on the pod's own port, so the variant
# without TLS is the right one.
include_guard(GLOBAL)

if(NOT DRASRIOV_GRPC MATCHES "^(static|shared)$")
  message(FATAL_ERROR "DRASRIOV_GRPC is '${DRASRIOV_GRPC}': use static or shared")
endif()
if(DRASRIOV_SANITIZE STREQUAL "thread")
  # The distribution's gRPC is not instrumented: every mutex inside it would be reported.
  drasriov_leave_out(drasriov::grpc drasriov::protobuf)
  function(drasriov_add_proto_library _name)
    drasriov_leave_out(drasriov::${_name})
  endfunction()
  return()
endif()

foreach(_program IN ITEMS protoc grpc_cpp_plugin)
  string(TOUPPER "DRASRIOV_${_program}" _variable)
  find_program(${_variable} ${_program})
  mark_as_advanced(${_variable})
  if(NOT ${_variable})
    message(FATAL_ERROR "${_program} was not found. Install the Debian packages protobuf-compiler "
      "protobuf-compiler-grpc, or run scripts/install-packages.")
  endif()
endforeach()
find_path(DRASRIOV_GRPC_INCLUDE_DIR grpcpp/grpcpp.h)
find_path(DRASRIOV_PROTOBUF_INCLUDE_DIR google/protobuf/message_lite.h)
mark_as_advanced(DRASRIOV_GRPC_INCLUDE_DIR DRASRIOV_PROTOBUF_INCLUDE_DIR)

# Appends to <out> the file of each library, or stops with the package that holds it.
function(_drasriov_find_files _out _prefix _suffix _package)
  set(_files ${${_out}})
  foreach(_name IN LISTS ARGN)
    find_library(DRASRIOV_LIB_${_name}${_suffix} NAMES "${_prefix}${_name}${_suffix}")
    mark_as_advanced(DRASRIOV_LIB_${_name}${_suffix})
    if(NOT DRASRIOV_LIB_${_name}${_suffix})
      message(FATAL_ERROR "${_prefix}${_name}${_suffix} was not found (gRPC is linked "
        "${DRASRIOV_GRPC}). Install the Debian package ${_package}, or run "
        "scripts/install-packages.")
    endif()
    list(APPEND _files "${DRASRIOV_LIB_${_name}${_suffix}}")
  endforeach()
  set(${_out} "${_files}" PARENT_SCOPE)
endfunction()

set(_grpc)
set(_protobuf)
if(DRASRIOV_GRPC STREQUAL "static")
  _drasriov_find_files(_grpc lib .a libgrpc++-dev grpc++_unsecure)
  _drasriov_find_files(_grpc lib .a libgrpc-dev grpc_unsecure gpr address_sorting upb)
  _drasriov_find_files(_grpc lib .a libc-ares-dev cares)
  _drasriov_find_files(_grpc lib .a libre2-dev re2)
  _drasriov_find_files(_grpc lib .a zlib1g-dev z)
  # Which of Abseil's 60 archives gRPC needs changes with its version; an archive that is not
  # needed costs nothing in the binary.
  cmake_path(GET DRASRIOV_LIB_grpc_unsecure.a PARENT_PATH _folder)
  file(GLOB _abseil "${_folder}/libabsl_*.a")
  if(NOT _abseil)
    message(FATAL_ERROR "No ${_folder}/libabsl_*.a. Install the Debian package libabsl-dev, or "
      "run scripts/install-packages.")
  endif()
  set(_grpc -Wl,--start-group ${_grpc} ${_abseil} -Wl,--end-group)
  _drasriov_find_files(_protobuf lib .a libprotobuf-dev protobuf-lite)
else()
  _drasriov_find_files(_grpc lib .so libgrpc++-dev grpc++_unsecure)
  _drasriov_find_files(_grpc lib .so libgrpc-dev grpc_unsecure gpr)
  # gRPC's headers use Abseil's mutex.
  _drasriov_find_files(_grpc lib .so libabsl-dev absl_synchronization)
  _drasriov_find_files(_protobuf lib .so libprotobuf-dev protobuf-lite)
endif()

add_library(drasriov_protobuf INTERFACE)
add_library(drasriov::protobuf ALIAS drasriov_protobuf)
target_include_directories(drasriov_protobuf SYSTEM INTERFACE "${DRASRIOV_PROTOBUF_INCLUDE_DIR}")
target_link_libraries(drasriov_protobuf INTERFACE ${_protobuf} Threads::Threads)

add_library(drasriov_grpc INTERFACE)
add_library(drasriov::grpc ALIAS drasriov_grpc)
target_include_directories(drasriov_grpc SYSTEM INTERFACE "${DRASRIOV_GRPC_INCLUDE_DIR}")
target_compile_definitions(drasriov_grpc INTERFACE GRPC_USE_PROTO_LITE)
target_link_libraries(drasriov_grpc INTERFACE ${_grpc} drasriov::protobuf Threads::Threads)

# drasriov_add_proto_library(<name> <file>.proto…)
#   drasriov::<name>: messages and gRPC code of the files, included as "<name>/<file>.grpc.pb.h".
function(drasriov_add_proto_library _name)
  set(_root "${CMAKE_CURRENT_BINARY_DIR}/generated")
  set(_out "${_root}/${_name}")
  file(MAKE_DIRECTORY "${_out}")
  set(_sources)
  foreach(_file IN LISTS ARGN)
    cmake_path(GET _file STEM _stem)
    set(_outputs "${_out}/${_stem}.pb.cc" "${_out}/${_stem}.pb.h"
      "${_out}/${_stem}.grpc.pb.cc" "${_out}/${_stem}.grpc.pb.h")
    add_custom_command(
      OUTPUT ${_outputs}
      COMMAND "${DRASRIOV_PROTOC}" "--proto_path=${CMAKE_CURRENT_SOURCE_DIR}"
        "--cpp_out=${_out}" "--grpc_out=${_out}"
        "--plugin=protoc-gen-grpc=${DRASRIOV_GRPC_CPP_PLUGIN}" "${_file}"
      DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${_file}"
      COMMENT "Generating ${_name}/${_stem}"
      VERBATIM)
    list(APPEND _sources ${_outputs})
  endforeach()
  add_library(drasriov_${_name} STATIC ${_sources})
  add_library(drasriov::${_name} ALIAS drasriov_${_name})
  target_include_directories(drasriov_${_name} SYSTEM PUBLIC "${_root}")
  target_link_libraries(drasriov_${_name} PUBLIC drasriov::grpc)
  # Not our code: no warnings, and no build time for an optimisation that messages of 100 bytes do
  # not notice.
  target_compile_options(drasriov_${_name} PRIVATE -w -O1)
endfunction()
