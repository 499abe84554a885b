# SPDX-License-Identifier: Apache-2.0
# Tests whose subject is what a compiler says; nothing of them runs. Included by CMakeLists.txt, to whose
# list of tests (_tests) they add themselves.
set(_abi "${PROJECT_SOURCE_DIR}/sdk/include/drasriov/abi")
set(_sdk "${PROJECT_SOURCE_DIR}/sdk/include/drasriov/sdk")
find_program(DRASRIOV_CLANG NAMES clang-16 clang-14 clang)
find_program(DRASRIOV_CLANGXX NAMES clang++-16 clang++-14 clang++)
mark_as_advanced(DRASRIOV_CLANG DRASRIOV_CLANGXX)

# --- the ABI's shape: compiling is the test ------------------------------------------------------
# Each public header alone and twice: C headers as C11 and C++20, the C++ layer as C++20.
file(GLOB _c_headers CONFIGURE_DEPENDS "${_abi}/*.h")
file(GLOB _cxx_headers CONFIGURE_DEPENDS "${_sdk}/*.hpp" "${_sdk}/testing/*.hpp")
set(_stubs_c)
set(_stubs_cxx)
set(_includes)
foreach(_header IN LISTS _c_headers _cxx_headers)
  cmake_path(RELATIVE_PATH _header BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/sdk/include"
    OUTPUT_VARIABLE _include)
  string(MAKE_C_IDENTIFIER "${_include}" _stub)
  set(_stub "${CMAKE_CURRENT_BINARY_DIR}/headers/${_stub}")
  set(_text "#include <${_include}>\n#include <${_include}>\ntypedef int not_empty;\n")
  if(_header IN_LIST _c_headers)
    file(CONFIGURE OUTPUT "${_stub}.c" CONTENT "${_text}" @ONLY)
    list(APPEND _stubs_c "${_stub}.c")
  endif()
  file(CONFIGURE OUTPUT "${_stub}.cpp" CONTENT "${_text}" @ONLY)
  list(APPEND _stubs_cxx "${_stub}.cpp")
  string(APPEND _includes "#include <${_include}>\n")
endforeach()
add_library(sdk_headers_c OBJECT ${_stubs_c} abi_layout.c)
target_link_libraries(sdk_headers_c PRIVATE DraSriov::abi)
target_compile_options(sdk_headers_c PRIVATE -pedantic-errors -Werror)
add_library(sdk_headers_cxx OBJECT ${_stubs_cxx})
target_link_libraries(sdk_headers_cxx PRIVATE DraSriov::sdk)
target_compile_options(sdk_headers_cxx PRIVATE -pedantic-errors -Werror)
set_target_properties(sdk_headers_c sdk_headers_cxx PROPERTIES UNITY_BUILD OFF)  # alone, that is

add_test(NAME sdk.abi_layout_complete
  COMMAND ${CMAKE_COMMAND} -D "HEADERS=${_abi}" -D "LAYOUT=${CMAKE_CURRENT_SOURCE_DIR}/abi_layout.c"
    -P "${CMAKE_CURRENT_SOURCE_DIR}/abi_layout_complete.cmake")

list(APPEND _tests sdk.abi_layout_complete)

find_program(DRASRIOV_ABIDIFF abidiff)
mark_as_advanced(DRASRIOV_ABIDIFF)
if(DRASRIOV_ABIDIFF AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_test(NAME sdk.abi_baseline
    COMMAND ${CMAKE_COMMAND} -D "SOURCE=${PROJECT_SOURCE_DIR}" -D "COMPILER=${CMAKE_C_COMPILER}"
      -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/abi_baseline" -D "ABIDIFF=${DRASRIOV_ABIDIFF}"
      -P "${CMAKE_CURRENT_SOURCE_DIR}/abi_baseline.cmake")
  list(APPEND _tests sdk.abi_baseline)
else()
  message(STATUS "abidiff or gcc was not found: the headers are not compared with sdk/abi")
endif()

if(DRASRIOV_CLANG AND DRASRIOV_CLANGXX)
  set(_strict -pedantic-errors -Wall -Wextra -Werror -fsyntax-only
    -I "${PROJECT_SOURCE_DIR}/sdk/include")
  foreach(_source IN LISTS _stubs_c ITEMS "${CMAKE_CURRENT_SOURCE_DIR}/abi_layout.c")
    cmake_path(GET _source STEM _name)
    add_test(NAME sdk.clang_c11.${_name} COMMAND "${DRASRIOV_CLANG}" -std=c11 ${_strict} "${_source}")
    list(APPEND _tests sdk.clang_c11.${_name})
  endforeach()
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/headers/all.cpp" CONTENT "${_includes}" @ONLY)
  add_test(NAME sdk.clang_cxx20.all
    COMMAND "${DRASRIOV_CLANGXX}" -std=c++20 ${_strict}
      "${CMAKE_CURRENT_BINARY_DIR}/headers/all.cpp")
  list(APPEND _tests sdk.clang_cxx20.all)
else()
  message(STATUS "clang was not found: the headers are checked with ${CMAKE_CXX_COMPILER_ID} only")
endif()

add_test(NAME sdk.target_abi_newer_than_headers
  COMMAND "${CMAKE_C_COMPILER}" -std=c11 -fsyntax-only -DDRASRIOV_TARGET_ABI_MINOR=99 "${_abi}/abi.h")
set_tests_properties(sdk.target_abi_newer_than_headers PROPERTIES
  PASS_REGULAR_EXPRESSION "DRASRIOV_TARGET_ABI_MINOR is newer than these headers")
list(APPEND _tests sdk.target_abi_newer_than_headers)

# --- what an author reads who got it wrong -------------------------------------------------------
# The sentences are gcc's output; clang's differs around them.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_test(NAME sdk.wrong_modules
    COMMAND ${CMAKE_COMMAND} -D "COMPILER=${CMAKE_CXX_COMPILER}"
      -D "INCLUDE=${PROJECT_SOURCE_DIR}/sdk/include"
      -D "SOURCE=${CMAKE_CURRENT_SOURCE_DIR}/wrong_modules.cpp"
      -P "${CMAKE_CURRENT_SOURCE_DIR}/wrong_modules.cmake")
  list(APPEND _tests sdk.wrong_modules)
endif()

add_test(NAME sdk.docs_module
  COMMAND ${CMAKE_COMMAND} -D "GUIDE=${PROJECT_SOURCE_DIR}/docs/module-authors.md"
    -D "WORK=${CMAKE_CURRENT_BINARY_DIR}/docs" -D "COMPILER=${CMAKE_CXX_COMPILER}"
    -D "INCLUDE=${PROJECT_SOURCE_DIR}/sdk/include"
    -P "${CMAKE_CURRENT_SOURCE_DIR}/docs_module.cmake")
list(APPEND _tests sdk.docs_module)
