# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, hardening, sanitizers, compiler cache and linker for every target of
# the tree. Generated code opts out of warnings with -w; nothing opts out of the rest.
include_guard(GLOBAL)
include(CheckLinkerFlag)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

get_property(_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT _multi_config AND NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

# --- warnings ------------------------------------------------------------------------------------
set(_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-align -Wformat=2 -Wundef
  -Wimplicit-fallthrough
  # Designated initializers that leave the rest at its default are the idiom of this tree.
  -Wno-missing-field-initializers)
set(_warnings_cxx -Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi -Wsuggest-override)
set(_warnings_c -Wstrict-prototypes -Wmissing-prototypes)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND _warnings -Wduplicated-cond -Wlogical-op)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  list(APPEND _warnings_cxx -Wthread-safety -Werror=thread-safety)
endif()
if(DRASRIOV_WERROR)
  list(APPEND _warnings -Werror)
endif()
add_compile_options(${_warnings}
  "$<$<COMPILE_LANGUAGE:CXX>:${_warnings_cxx}>"
  "$<$<COMPILE_LANGUAGE:C>:${_warnings_c}>")

# --- code generation -----------------------------------------------------------------------------
add_compile_options(-fstack-protector-strong -ffunction-sections -fdata-sections
  "$<$<CONFIG:Release>:-fno-plt>")
add_link_options(-Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro -Wl,-z,now)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C CXX)

if(DRASRIOV_SANITIZE)
  if(NOT DRASRIOV_SANITIZE MATCHES "^(address|undefined|thread|address,undefined)$")
    message(FATAL_ERROR "DRASRIOV_SANITIZE is '${DRASRIOV_SANITIZE}': use address, undefined, "
      "address,undefined or thread")
  endif()
  add_compile_options(-fsanitize=${DRASRIOV_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all
    # GCC 12 takes the instrumented moves of std::optional and std::variant for uninitialized reads.
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>"
    # And it says of each fence in Boost.Asio that ThreadSanitizer does not see it; Asio's queues have a mutex besides.
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>")
  add_link_options(-fsanitize=${DRASRIOV_SANITIZE})
else()
  # Fortified libc calls hide errors from the sanitizers, and need optimisation to work at all.
  add_compile_options("$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
endif()
# The code under test is what is optimised, and benchmarks in a build of type Release: of the build
# of the tests this saves a third.
set(DRASRIOV_TEST_OPTIONS)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  set(DRASRIOV_TEST_OPTIONS -O0 -U_FORTIFY_SOURCE)
endif()
if(DRASRIOV_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()

# --- speed of the build --------------------------------------------------------------------------
find_program(DRASRIOV_CCACHE ccache)
mark_as_advanced(DRASRIOV_CCACHE)
if(DRASRIOV_CCACHE)
  foreach(_lang IN ITEMS C CXX)
    if(NOT CMAKE_${_lang}_COMPILER_LAUNCHER)
      # The two say of a precompiled header what is true here: no macro of the command line and no
      # time of day is in it.
      set(CMAKE_${_lang}_COMPILER_LAUNCHER
        env "CCACHE_SLOPPINESS=pch_defines,time_macros" "${DRASRIOV_CCACHE}")
    endif()
  endforeach()
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # ccache needs to see which precompiled header was read.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>")
endif()

foreach(_linker IN ITEMS mold lld)
  check_linker_flag(CXX "-fuse-ld=${_linker}" DRASRIOV_HAVE_${_linker})
  if(DRASRIOV_HAVE_${_linker})
    add_link_options(-fuse-ld=${_linker})
    break()
  endif()
endforeach()
