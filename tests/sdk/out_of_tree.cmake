# SPDX-License-Identifier: Apache-2.0
# The SDK as a vendor gets it: installed into a folder of its own, the template built, tested and its
# module read with nothing else at hand.
#   -D BUILD=<build tree> -D SOURCE=<source tree> -D WORK=<folder> -D GENERATOR -D C -D CXX=<compilers>
#   -D NM -D READELF -D OBJCOPY -D STRIP=<programs>
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE _status OUTPUT_VARIABLE _output
    ERROR_VARIABLE _output)
  if(NOT _status EQUAL 0)
    list(JOIN ARGN " " _command)
    message(FATAL_ERROR "${_command}\n${_output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
set(_prefix "${WORK}/prefix")
run("${CMAKE_COMMAND}" --install "${BUILD}" --component sdk --prefix "${_prefix}")

# Nothing that is installed knows where it was built.
file(GLOB_RECURSE _installed "${_prefix}/*")
foreach(_file IN LISTS _installed)
  file(READ "${_file}" _text)
  foreach(_tree IN ITEMS "${SOURCE}" "${BUILD}")
    string(FIND "${_text}" "${_tree}" _at)
    if(NOT _at EQUAL -1)
      message(SEND_ERROR "${_file} names ${_tree}")
    endif()
  endforeach()
endforeach()

# The template comes from the installation, too.
file(COPY "${_prefix}/share/dra-driver-sriov/module-template/" DESTINATION "${WORK}/module")
set(_configure "${CMAKE_COMMAND}" -G "${GENERATOR}" "-DCMAKE_C_COMPILER=${C}"
  "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_PREFIX_PATH=${_prefix}"
  "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror" -DCMAKE_BUILD_TYPE=Release)
run(${_configure} -S "${WORK}/module" -B "${WORK}/build")
run("${CMAKE_COMMAND}" --build "${WORK}/build")
run("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK}/build" --no-tests=error --output-on-failure)
run("${CMAKE_COMMAND}" -D "MODULE=${WORK}/build/acme-link-speed.so" -D NAME=acme-link-speed
  -D VERSION=0.1.0 -D CAPABILITIES=discovery/1 -D "VENDOR=Acme Corporation" -D "WORK=${WORK}/file"
  -D "NM=${NM}" -D "READELF=${READELF}" -D "OBJCOPY=${OBJCOPY}" -D "STRIP=${STRIP}"
  -P "${CMAKE_CURRENT_LIST_DIR}/check_module_file.cmake")

# Another major is another package; a newer minor than installed is refused.
foreach(_version IN ITEMS 2.0 1.99)
  file(WRITE "${WORK}/other/CMakeLists.txt" "cmake_minimum_required(VERSION 3.25)\n"
    "project(other LANGUAGES NONE)\nfind_package(DraSriovSDK ${_version} REQUIRED)\n")
  execute_process(COMMAND ${_configure} -S "${WORK}/other" -B "${WORK}/other-build"
    RESULT_VARIABLE _status OUTPUT_QUIET ERROR_VARIABLE _output)
  if(_status EQUAL 0 OR NOT _output MATCHES "compatible with requested\n?[ ]*version \"${_version}\"")
    message(SEND_ERROR "find_package(DraSriovSDK ${_version}) was not refused:\n${_output}")
  endif()
endforeach()
