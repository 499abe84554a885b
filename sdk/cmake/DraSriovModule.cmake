# SPDX-License-Identifier: Apache-2.0
# drasriov_add_module(): a module of dra-driver-sriov, in the project's tree and outside of it.
#
#   drasriov_add_module(<name>            # [a-z0-9-]+: target, file <name>.so, name in note and table
#     SOURCES <file>…
#     VERSION <semantic version>
#     MIN_HOST_ABI <1.minor>              # the oldest host that it works with
#     LICENSE <SPDX expression>
#     VENDOR <text>
#     [DEPS <target>…])                   # linked; static libraries stay hidden inside the module
#   C++ sources get DraSriov::sdk, C sources alone DraSriov::abi.
#
# Do not link what the host also has and what cannot live twice in a process: protobuf, gRPC, spdlog.
include_guard(GLOBAL)

function(drasriov_add_module _name)
  cmake_parse_arguments(PARSE_ARGV 1 _arg "" "VERSION;MIN_HOST_ABI;LICENSE;VENDOR" "SOURCES;DEPS")
  if(_arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "drasriov_add_module(${_name}): what is '${_arg_UNPARSED_ARGUMENTS}'?")
  endif()
  foreach(_required IN ITEMS SOURCES VERSION MIN_HOST_ABI LICENSE VENDOR)
    if(NOT _arg_${_required})
      message(FATAL_ERROR "drasriov_add_module(${_name}): ${_required} is missing")
    endif()
  endforeach()
  if(NOT _name MATCHES "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    message(FATAL_ERROR "drasriov_add_module(${_name}): a module's name is [a-z0-9-]+")
  endif()
  set(_number "(0|[1-9][0-9]*)")
  if(NOT _arg_VERSION MATCHES
      "^${_number}\\.${_number}\\.${_number}(-[0-9A-Za-z.-]+)?(\\+[0-9A-Za-z.-]+)?$")
    message(FATAL_ERROR "drasriov_add_module(${_name}): VERSION '${_arg_VERSION}' is not a "
      "semantic version (1.2.3, 1.2.3-rc.1)")
  endif()
  if(NOT _arg_MIN_HOST_ABI MATCHES "^1\\.${_number}$")
    message(FATAL_ERROR "drasriov_add_module(${_name}): MIN_HOST_ABI '${_arg_MIN_HOST_ABI}' is not "
      "of the form 1.<minor>")
  endif()
  foreach(_text IN ITEMS LICENSE VENDOR)
    if(_arg_${_text} MATCHES "[\"\\\\\n\r\t]")
      message(FATAL_ERROR "drasriov_add_module(${_name}): ${_text} has a quote, a backslash or a "
        "control character")
    endif()
  endforeach()

  # Of the function, not of the file: callers in other folders do not see this file's variables.
  set(_map "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/module.map")
  add_library(${_name} MODULE ${_arg_SOURCES})
  set(_cxx "${_arg_SOURCES}")
  list(FILTER _cxx EXCLUDE REGEX "\\.[ch]$")
  if(_cxx)
    target_link_libraries(${_name} PRIVATE DraSriov::sdk ${_arg_DEPS})
  else()
    target_link_libraries(${_name} PRIVATE DraSriov::abi ${_arg_DEPS})
  endif()
  set_target_properties(${_name} PROPERTIES
    PREFIX ""
    SUFFIX ".so"
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON
    # What is tested is what is installed; a path into the build tree would be refused by the driver.
    BUILD_WITH_INSTALL_RPATH ON
    LINK_DEPENDS "${_map}")
  target_compile_definitions(${_name} PRIVATE
    "DRASRIOV_MODULE_NAME=\"${_name}\""
    "DRASRIOV_MODULE_VERSION=\"${_arg_VERSION}\""
    "DRASRIOV_MODULE_MIN_HOST_ABI=\"${_arg_MIN_HOST_ABI}\""
    "DRASRIOV_MODULE_LICENSE=\"${_arg_LICENSE}\""
    "DRASRIOV_MODULE_VENDOR=\"${_arg_VENDOR}\"")
  # nodelete: unloading code with thread-locals, threads or exception classes crashes.
  target_link_options(${_name} PRIVATE
    "LINKER:--version-script=${_map}"
    "LINKER:--exclude-libs,ALL"
    "LINKER:-z,now" "LINKER:-z,relro" "LINKER:-z,nodelete" "LINKER:-z,noexecstack")
  # clang leaves a sanitizer's symbols in a shared object to the executable.
  get_directory_property(_options COMPILE_OPTIONS)
  if(NOT (CMAKE_CXX_COMPILER_ID MATCHES "Clang"
      AND "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS} ${_options}" MATCHES "-fsanitize="))
    target_link_options(${_name} PRIVATE "LINKER:-z,defs")
  endif()
endfunction()

# drasriov_add_module_tests(<name>)
#   A test <name>.verify: `dra-driver-sriov module verify` of the built file, with the driver of this
#   build, or of the system. Without a driver there is nothing to run it with, and no test.
function(drasriov_add_module_tests _name)
  if(TARGET dra-driver-sriov)
    set(_driver dra-driver-sriov)
  else()
    find_program(DRASRIOV_DRIVER dra-driver-sriov PATH_SUFFIXES bin sbin)
    mark_as_advanced(DRASRIOV_DRIVER)
    if(NOT DRASRIOV_DRIVER)
      message(STATUS "${_name}: dra-driver-sriov was not found, test ${_name}.verify is left out")
      return()
    endif()
    set(_driver "${DRASRIOV_DRIVER}")
  endif()
  # Owner and mode of a build tree say nothing about the module.
  add_test(NAME ${_name}.verify
    COMMAND ${_driver} module verify "$<TARGET_FILE:${_name}>" --insecure-dev)
  set_tests_properties(${_name}.verify PROPERTIES LABELS unit TIMEOUT 60)
endfunction()
