# SPDX-License-Identifier: Apache-2.0
# What makes a build of the whole tree quick, and nothing of what is built different:
#
#   DRASRIOV_UNITY   up to DRASRIOV_UNITY_BATCH C++ files of a target are compiled as one
#   DRASRIOV_PCH     the headers that nearly every file reads are compiled once
#
# Both are off in the presets dev (a change compiles one file) and clang (each file alone, with its
# own includes: what a file forgets to include is found there).
#
#   drasriov_speed_up()   called once, when all targets are declared
#
# A target with the property UNITY_BUILD set keeps CMake's own handling, one with
# DISABLE_PRECOMPILE_HEADERS is compiled without; a source with SKIP_UNITY_BUILD_INCLUSION stays by
# itself, and so does one with options of its own. CMake's unity files name sources by absolute path, so that a compiler cache would serve
# one folder only; these name them from the top of the tree.
include_guard(GLOBAL)

option(DRASRIOV_UNITY "Compile several files of a target as one" OFF)
set(DRASRIOV_UNITY_BATCH 12 CACHE STRING "Files compiled as one with DRASRIOV_UNITY")
mark_as_advanced(DRASRIOV_UNITY_BATCH)
option(DRASRIOV_PCH "Compile the most used headers once" OFF)

function(_drasriov_targets_below _out _folder)
  get_property(_found DIRECTORY "${_folder}" PROPERTY BUILDSYSTEM_TARGETS)
  get_property(_subfolders DIRECTORY "${_folder}" PROPERTY SUBDIRECTORIES)
  foreach(_subfolder IN LISTS _subfolders)
    _drasriov_targets_below(_more "${_subfolder}")
    list(APPEND _found ${_more})
  endforeach()
  set(${_out} "${_found}" PARENT_SCOPE)
endfunction()

function(_drasriov_unite _target)
  get_target_property(_folder ${_target} SOURCE_DIR)
  get_target_property(_binary_folder ${_target} BINARY_DIR)
  get_target_property(_sources ${_target} SOURCES)
  set(_united)
  set(_alone)
  foreach(_source IN LISTS _sources)
    if(NOT _source MATCHES "\\.cpp$")
      list(APPEND _alone "${_source}")
      continue()
    endif()
    cmake_path(ABSOLUTE_PATH _source BASE_DIRECTORY "${_folder}" NORMALIZE OUTPUT_VARIABLE _path)
    cmake_path(IS_PREFIX PROJECT_SOURCE_DIR "${_path}" _in_tree)
    cmake_path(IS_PREFIX PROJECT_BINARY_DIR "${_path}" _generated)
    set(_special)
    foreach(_property IN ITEMS SKIP_UNITY_BUILD_INCLUSION COMPILE_DEFINITIONS COMPILE_OPTIONS)
      get_source_file_property(_value "${_path}" TARGET_DIRECTORY ${_target} ${_property})
      if(_value)
        set(_special ${_property})
      endif()
    endforeach()
    if(NOT _in_tree OR _generated OR _special)
      list(APPEND _alone "${_source}")
    else()
      cmake_path(RELATIVE_PATH _path BASE_DIRECTORY "${PROJECT_SOURCE_DIR}")
      list(APPEND _united "${_path}")
    endif()
  endforeach()
  list(LENGTH _united _count)
  if(_count LESS 2)
    return()
  endif()

  set(_files)
  set(_number 0)
  while(_united)
    list(SUBLIST _united 0 ${DRASRIOV_UNITY_BATCH} _batch)
    list(REMOVE_ITEM _united ${_batch})
    list(TRANSFORM _batch REPLACE "(.+)" "#include \"\\1\"\n")
    list(JOIN _batch "" _text)
    set(_file "${_binary_folder}/${_target}_unity_${_number}.cpp")
    file(CONFIGURE OUTPUT "${_file}" CONTENT "${_text}" @ONLY)
    list(APPEND _files "${_file}")
    math(EXPR _number "${_number} + 1")
  endwhile()
  set_property(TARGET ${_target} PROPERTY SOURCES ${_alone} ${_files})
  target_include_directories(${_target} PRIVATE "${PROJECT_SOURCE_DIR}")
endfunction()

# A precompiled header fits only what is compiled with the same options, and costs as much as three
# files: one for the libraries (-fPIC), one for the tests (-fPIE, their own options, GoogleTest).
function(_drasriov_add_pch _name)
  cmake_parse_arguments(PARSE_ARGV 1 _arg "" "TYPE" "OPTIONS;DEPS;HEADERS")
  set(_file "${PROJECT_BINARY_DIR}/pch/${_name}.cpp")
  if(_arg_TYPE STREQUAL "EXECUTABLE")
    file(CONFIGURE OUTPUT "${_file}" CONTENT "int main() { return 0; }\n")
    add_executable(${_name} EXCLUDE_FROM_ALL "${_file}")
  else()
    file(CONFIGURE OUTPUT "${_file}" CONTENT "int drasriov_precompiled();\n")
    add_library(${_name} OBJECT EXCLUDE_FROM_ALL "${_file}")
  endif()
  target_compile_options(${_name} PRIVATE ${_arg_OPTIONS})
  target_link_libraries(${_name} PRIVATE nlohmann_json::nlohmann_json ${_arg_DEPS})
  target_precompile_headers(${_name} PRIVATE
    <algorithm> <array> <atomic> <charconv> <chrono> <cstdint> <deque> <filesystem> <functional>
    <map> <memory> <mutex> <optional> <set> <span> <string> <string_view> <system_error> <thread>
    <unordered_map> <utility> <variant> <vector> <nlohmann/json.hpp> ${_arg_HEADERS})
endfunction()

function(_drasriov_precompile _target)
  set(_tests "${PROJECT_SOURCE_DIR}/tests")
  get_target_property(_type ${_target} TYPE)
  get_target_property(_sources ${_target} SOURCES)
  get_target_property(_libraries ${_target} LINK_LIBRARIES)
  get_target_property(_folder ${_target} SOURCE_DIR)
  cmake_path(IS_PREFIX _tests "${_folder}" NORMALIZE _is_test)
  list(FILTER _sources INCLUDE REGEX "\\.(c|cc)$")
  if(_sources)
    return()
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # What is precompiled is no system header to GCC 12 any more, so at -O2 it reports its own
    # mistakes about the insides of std::string. The preset dev, without, keeps these warnings.
    target_compile_options(${_target} PRIVATE
      "$<$<CONFIG:Release>:-Wno-array-bounds;-Wno-restrict;-Wno-stringop-overflow>")
  endif()
  if(_type STREQUAL "EXECUTABLE" AND GTest::gmock IN_LIST _libraries)
    target_precompile_headers(${_target} REUSE_FROM drasriov_pch_test)
  elseif(NOT _type STREQUAL "EXECUTABLE" AND NOT _is_test)
    target_precompile_headers(${_target} REUSE_FROM drasriov_pch_library)
  endif()
endfunction()

function(drasriov_speed_up)
  _drasriov_targets_below(_targets "${PROJECT_SOURCE_DIR}")
  if(DRASRIOV_PCH)
    _drasriov_add_pch(drasriov_pch_library TYPE OBJECT_LIBRARY)
    if(DRASRIOV_TESTS)
      _drasriov_add_pch(drasriov_pch_test TYPE EXECUTABLE OPTIONS ${DRASRIOV_TEST_OPTIONS}
        DEPS GTest::gmock HEADERS <gmock/gmock.h> <gtest/gtest.h>)
    endif()
  endif()
  foreach(_target IN LISTS _targets)
    get_target_property(_type ${_target} TYPE)
    if(NOT _type MATCHES "^(STATIC_LIBRARY|MODULE_LIBRARY|SHARED_LIBRARY|OBJECT_LIBRARY|EXECUTABLE)$")
      continue()
    endif()
    get_property(_decided TARGET ${_target} PROPERTY UNITY_BUILD SET)
    if(DRASRIOV_UNITY AND NOT _decided)
      _drasriov_unite(${_target})
    endif()
    get_target_property(_without ${_target} DISABLE_PRECOMPILE_HEADERS)
    if(DRASRIOV_PCH AND NOT _without)
      _drasriov_precompile(${_target})
    endif()
  endforeach()
endfunction()
