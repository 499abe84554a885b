# SPDX-License-Identifier: Apache-2.0
# The types of the ABI headers are those of the baseline of their minor, sdk/abi/<major>.<minor>.abi, as
# abidiff sees them in a library built from sdk/abi/witness.c; so are those of the frozen copy of the
# headers beside it. -D UPDATE=ON writes both instead: once for each minor, in the commit that raises it.
#   -D SOURCE=<tree> -D WORK=<folder> -D COMPILER=<C compiler> -D ABIDIFF -D ABIDW=<programs>
cmake_minimum_required(VERSION 3.25)

set(_headers "${SOURCE}/sdk/include/drasriov/abi")
set(_witness "${SOURCE}/sdk/abi/witness.c")
file(READ "${_headers}/base.h" _base)
string(REGEX MATCH "#define DRASRIOV_ABI_MAJOR ([0-9]+)" _ "${_base}")
set(_version "${CMAKE_MATCH_1}")
string(REGEX MATCH "#define DRASRIOV_ABI_MINOR ([0-9]+)" _ "${_base}")
string(APPEND _version ".${CMAKE_MATCH_1}")
set(_frozen "${SOURCE}/sdk/abi/${_version}")
set(_baseline "${_frozen}.abi")

# Every struct has its function.
file(READ "${_witness}" _text)
file(GLOB _files "${_headers}/*.h")
foreach(_file IN LISTS _files)
  file(READ "${_file}" _header)
  string(REGEX MATCHALL "typedef struct [a-z0-9_]+ {" _structs "${_header}")
  foreach(_struct IN LISTS _structs)
    string(REGEX REPLACE "typedef struct ([a-z0-9_]+) {" "\\1" _name "${_struct}")
    if(NOT _text MATCHES "WITNESS\\(${_name}\\)")
      message(SEND_ERROR "${_name} of ${_file} has no WITNESS line in ${_witness}")
    endif()
  endforeach()
endforeach()

# build_witness(<include folder> <library>): the options are fixed, so that every preset sees the same.
function(build_witness _include _library)
  execute_process(COMMAND "${COMPILER}" -std=c11 -g -O0 -fPIC -shared -I "${_include}" "${_witness}"
      -o "${_library}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}/changed/drasriov")
build_witness("${SOURCE}/sdk/include" "${WORK}/witness.so")
if(UPDATE)
  execute_process(COMMAND "${ABIDW}" --headers-dir "${_headers}" --no-show-locs --no-corpus-path
      --no-comp-dir-path --no-elf-needed --out-file "${_baseline}" "${WORK}/witness.so"
    COMMAND_ERROR_IS_FATAL ANY)
  file(COPY "${_headers}" DESTINATION "${_frozen}/drasriov")
  return()
endif()
set(_how "cmake -D UPDATE=ON -D SOURCE=. -D WORK=/tmp/abi -D COMPILER=gcc -D ABIDW=abidw -P tests/sdk/abi_baseline.cmake")
if(NOT EXISTS "${_baseline}")
  message(FATAL_ERROR "ABI ${_version} has no baseline ${_baseline}: write it with ${_how}")
endif()
build_witness("${_frozen}" "${WORK}/frozen.so")
foreach(_built witness frozen)
  execute_process(COMMAND "${ABIDIFF}" "${_baseline}" "${WORK}/${_built}.so"
    OUTPUT_VARIABLE _difference ERROR_VARIABLE _difference RESULT_VARIABLE _status)
  if(NOT _status EQUAL 0)
    message(FATAL_ERROR "the headers (${_built}) differ from ${_baseline}:\n${_difference}"
      "Released structs only grow, and what is appended raises DRASRIOV_ABI_MINOR in the same commit, "
      "whose baseline is written with ${_how}")
  endif()
endforeach()

# The comparison is worth something only if it objects.
file(COPY "${_headers}" DESTINATION "${WORK}/changed/drasriov")
file(READ "${WORK}/changed/drasriov/abi/netconf.h" _text)
string(REPLACE "drasriov_string interface_name;" "uint64_t inserted; drasriov_string interface_name;"
  _changed "${_text}")
if(_changed STREQUAL _text)
  message(FATAL_ERROR "netconf.h has no member interface_name: change another one here")
endif()
file(WRITE "${WORK}/changed/drasriov/abi/netconf.h" "${_changed}")
build_witness("${WORK}/changed" "${WORK}/changed.so")
execute_process(COMMAND "${ABIDIFF}" "${_baseline}" "${WORK}/changed.so"
  OUTPUT_VARIABLE _difference RESULT_VARIABLE _status)
if(_status EQUAL 0 OR NOT _difference MATCHES "inserted")
  message(FATAL_ERROR "abidiff has not found an inserted member:\n${_difference}")
endif()
