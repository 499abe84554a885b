# SPDX-License-Identifier: Apache-2.0
# The ways to make a target of the host: a library for a folder, a program, a test.
#
#   drasriov_add_library(<name> [SOURCES <file>…] [DEPS <lib>…] [PRIVATE_DEPS <lib>…])
#     target drasriov_<name>, alias drasriov::<name>. <name> is the folder below host/ with "/"
#     written "_" (claim, cluster_directory). Without a source that compiles it is header only.
#     DEPS are names of such libraries (claim) or any other target with "::" in its name
#     (Boost::program_options, DraSriov::abi, drasriov::dra_proto). PRIVATE_DEPS are not handed on.
#     A folder may hold more than one library: headers listed in SOURCES belong to the library
#     that lists them, all others to the library named like the folder.
#
#   drasriov_add_executable(<name> SOURCES <file>… DEPS <lib>…)
#     program <name>. Test it for existence before using it: some configurations leave programs out.
#
#   drasriov_add_test(<name> SOURCES <file>… DEPS <lib>… [LABELS <label>…] [TIMEOUT <seconds>]
#                     [FIXTURES] [ARTIFACTS <target>…])
#     GoogleTest program <name>, every test case a ctest case <name>.<suite>.<case>, with its main
#     function from GoogleTest. LABELS: unit (default), integration, loader, crash … FIXTURES defines
#     DRASRIOV_FIXTURES_DIR. ARTIFACTS are targets that the test runs or loads: they are built
#     first and their paths are defined as DRASRIOV_<TARGET>_PATH (upper case, "_" for other signs).
#
#   drasriov_check_includes()
#     called once at the end of the configuration: an #include of "host/…", or of a third-party
#     library, that is not in the closure of the target's DEPS stops it. Editing a source of the
#     host re-runs the configuration (half a second).
include_guard(GLOBAL)
include(GoogleTest)

# Marks targets that this configuration cannot have (gRPC under ThreadSanitizer). What depends on
# one of them is left out in turn, and said so.
function(drasriov_leave_out)
  set_property(GLOBAL APPEND PROPERTY DRASRIOV_LEFT_OUT ${ARGN})
endfunction()

# Gives in <out> the targets behind the names in DEPS, in <left_out> those that do not exist here.
function(_drasriov_resolve _out _left_out _owner)
  get_property(_all_left_out GLOBAL PROPERTY DRASRIOV_LEFT_OUT)
  set(_targets)
  set(_missing)
  foreach(_dep IN LISTS ARGN)
    if(_dep MATCHES "::")
      set(_target "${_dep}")
    else()
      set(_target "drasriov::${_dep}")
    endif()
    if(_target IN_LIST _all_left_out)
      list(APPEND _missing "${_target}")
    elseif(NOT TARGET "${_target}")
      message(FATAL_ERROR "${_owner} depends on ${_dep}, but no target ${_target} is declared "
        "before it: a library depends only on lower layers, in the order of host/CMakeLists.txt")
    endif()
    list(APPEND _targets "${_target}")
  endforeach()
  if(_missing)
    message(STATUS "Left out: ${_owner} (needs ${_missing})")
  endif()
  set(${_out} "${_targets}" PARENT_SCOPE)
  set(${_left_out} "${_missing}" PARENT_SCOPE)
endfunction()

# Keeps for drasriov_check_includes() what belongs to a target.
function(_drasriov_record _target _sources _deps _private_deps)
  file(RELATIVE_PATH _folder "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(_files)
  foreach(_source IN LISTS _sources)
    cmake_path(ABSOLUTE_PATH _source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE
      OUTPUT_VARIABLE _path)
    cmake_path(IS_PREFIX PROJECT_SOURCE_DIR "${_path}" _in_tree)
    if(_in_tree)
      file(RELATIVE_PATH _path "${PROJECT_SOURCE_DIR}" "${_path}")
      list(APPEND _files "${_path}")
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY DRASRIOV_LIBRARIES "${_target}")
  set_property(GLOBAL PROPERTY DRASRIOV_FOLDER_${_target} "${_folder}")
  set_property(GLOBAL PROPERTY DRASRIOV_FILES_${_target} "${_files}")
  set_property(GLOBAL PROPERTY DRASRIOV_DEPS_${_target} "${_deps}")
  set_property(GLOBAL PROPERTY DRASRIOV_PRIVATE_DEPS_${_target} "${_private_deps}")
endfunction()

function(drasriov_add_library _name)
  cmake_parse_arguments(PARSE_ARGV 1 _arg "" "" "SOURCES;DEPS;PRIVATE_DEPS")
  if(_arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "drasriov_add_library(${_name}): what is '${_arg_UNPARSED_ARGUMENTS}'?")
  endif()
  set(_target "drasriov_${_name}")
  set(_compiled "${_arg_SOURCES}")
  list(FILTER _compiled INCLUDE REGEX "\\.(c|cc|cpp)$")
  _drasriov_resolve(_deps _left_out "${_target}" ${_arg_DEPS})
  _drasriov_resolve(_private_deps _private_left_out "${_target}" ${_arg_PRIVATE_DEPS})
  if(_left_out OR _private_left_out)
    drasriov_leave_out(drasriov::${_name})
    return()
  endif()
  if(_compiled)
    add_library(${_target} STATIC ${_arg_SOURCES})
    target_include_directories(${_target} PUBLIC "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${_target} PUBLIC ${_deps} PRIVATE ${_private_deps})
  else()
    if(_private_deps)
      message(FATAL_ERROR "drasriov_add_library(${_name}): a header-only library has no PRIVATE_DEPS")
    endif()
    add_library(${_target} INTERFACE)
    target_include_directories(${_target} INTERFACE "${PROJECT_SOURCE_DIR}")
    target_link_libraries(${_target} INTERFACE ${_deps})
  endif()
  add_library(drasriov::${_name} ALIAS ${_target})

  _drasriov_record(${_target} "${_arg_SOURCES}" "${_deps}" "${_private_deps}")
endfunction()

function(drasriov_add_executable _name)
  cmake_parse_arguments(PARSE_ARGV 1 _arg "" "" "SOURCES;DEPS")
  if(_arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "drasriov_add_executable(${_name}): what is '${_arg_UNPARSED_ARGUMENTS}'?")
  endif()
  _drasriov_resolve(_deps _left_out "${_name}" ${_arg_DEPS})
  if(_left_out)
    drasriov_leave_out(${_name})
    return()
  endif()
  add_executable(${_name} ${_arg_SOURCES})
  target_include_directories(${_name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${_name} PRIVATE ${_deps})
  _drasriov_record(${_name} "${_arg_SOURCES}" "" "${_deps}")
endfunction()

function(drasriov_add_test _name)
  cmake_parse_arguments(PARSE_ARGV 1 _arg "FIXTURES" "TIMEOUT" "SOURCES;DEPS;LABELS;ARTIFACTS")
  if(_arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "drasriov_add_test(${_name}): what is '${_arg_UNPARSED_ARGUMENTS}'?")
  endif()
  if(NOT _arg_LABELS)
    set(_arg_LABELS unit)
  endif()
  if(NOT _arg_TIMEOUT)
    set(_arg_TIMEOUT 120)
  endif()
  _drasriov_resolve(_deps _left_out "${_name}" ${_arg_DEPS})
  get_property(_all_left_out GLOBAL PROPERTY DRASRIOV_LEFT_OUT)
  foreach(_artifact IN LISTS _arg_ARTIFACTS)
    if(_artifact IN_LIST _all_left_out)
      list(APPEND _left_out "${_artifact}")
      message(STATUS "Left out: ${_name} (runs ${_artifact})")
    endif()
  endforeach()
  if(_left_out)
    return()
  endif()
  add_executable(${_name} ${_arg_SOURCES})
  target_include_directories(${_name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${_name} PRIVATE ${_deps} GTest::gmock GTest::gtest GTest::gtest_main)
  if(_arg_FIXTURES)
    target_compile_definitions(${_name} PRIVATE
      DRASRIOV_FIXTURES_DIR="${PROJECT_SOURCE_DIR}/tests/fixtures")
  endif()
  foreach(_artifact IN LISTS _arg_ARTIFACTS)
    string(MAKE_C_IDENTIFIER "${_artifact}" _define)
    string(TOUPPER "${_define}" _define)
    target_compile_definitions(${_name} PRIVATE
      "DRASRIOV_${_define}_PATH=\"$<TARGET_FILE:${_artifact}>\"")
    add_dependencies(${_name} ${_artifact})
  endforeach()
  gtest_discover_tests(${_name}
    TEST_PREFIX "${_name}."
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${_arg_TIMEOUT})
  # gtest_discover_tests keeps only the first element of a list property (CMake 3.25), so the
  # labels are set by a second file that ctest reads after the discovered tests.
  set(_labels_file "${CMAKE_CURRENT_BINARY_DIR}/${_name}_labels.cmake")
  file(CONFIGURE OUTPUT "${_labels_file}" @ONLY CONTENT
    "if(@_name@_TESTS)\n  set_tests_properties(\${@_name@_TESTS} PROPERTIES LABELS \"@_arg_LABELS@\")\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${_labels_file}")
endfunction()

# All libraries that <target> may include from: itself, its DEPS and PRIVATE_DEPS, and the DEPS of
# those, and so on. Third-party targets are walked over.
function(_drasriov_closure _out _target)
  get_property(_queue GLOBAL PROPERTY DRASRIOV_DEPS_${_target})
  get_property(_private GLOBAL PROPERTY DRASRIOV_PRIVATE_DEPS_${_target})
  list(APPEND _queue ${_private})
  string(REGEX REPLACE "^drasriov_" "drasriov::" _self "${_target}")
  set(_closure "${_self}")
  while(_queue)
    list(POP_FRONT _queue _dep)
    if(NOT _dep IN_LIST _closure)
      list(APPEND _closure "${_dep}")
      string(REPLACE "drasriov::" "drasriov_" _library "${_dep}")
      get_property(_next GLOBAL PROPERTY DRASRIOV_DEPS_${_library})
      list(APPEND _queue ${_next})
    endif()
  endwhile()
  set(${_out} "${_closure}" PARENT_SCOPE)
endfunction()

# Headers of third parties lie in one folder for all, so the compiler finds them whether or not a
# library is meant to use them: prefix of the include, "|", targets of which one must be in DEPS.
set(DRASRIOV_THIRD_PARTY_INCLUDES
  "boost/asio|drasriov::beast"
  "boost/beast|drasriov::beast"
  "boost/container|Boost::headers"
  "boost/program_options|Boost::program_options"
  "curl/|drasriov::curl_headers"
  "drasriov/|DraSriov::abi DraSriov::sdk"
  "fmt/|drasriov::spdlog"
  "google/protobuf/|drasriov::protobuf drasriov::grpc drasriov::dra_proto"
  "grpcpp/|drasriov::grpc drasriov::dra_proto"
  "archive|drasriov::libarchive"
  "nlohmann/|nlohmann_json::nlohmann_json"
  "openssl/|OpenSSL::Crypto OpenSSL::SSL drasriov::libcrypto"
  "spdlog/|drasriov::spdlog"
  "toml++/|drasriov::tomlplusplus"
  "yaml-cpp/|drasriov::yaml_cpp")

# The targets of which one is needed for <include>; empty: nothing special is needed.
function(_drasriov_third_party _out _include)
  set(_needed)
  foreach(_row IN LISTS DRASRIOV_THIRD_PARTY_INCLUDES)
    string(REGEX MATCH "^([^|]*)[|](.*)$" _ "${_row}")
    string(FIND "${_include}" "${CMAKE_MATCH_1}" _at)
    if(_at EQUAL 0)
      string(REPLACE " " ";" _needed "${CMAKE_MATCH_2}")
      break()
    endif()
  endforeach()
  set(${_out} "${_needed}" PARENT_SCOPE)
endfunction()

function(drasriov_check_includes)
  get_property(_libraries GLOBAL PROPERTY DRASRIOV_LIBRARIES)

  # Who owns which header. Listed headers first; then the rest of each folder.
  set(_folders)
  foreach(_library IN LISTS _libraries)
    get_property(_folder GLOBAL PROPERTY DRASRIOV_FOLDER_${_library})
    get_property(_files GLOBAL PROPERTY DRASRIOV_FILES_${_library})
    foreach(_file IN LISTS _files)
      set("_owner_${_file}" "${_library}")
    endforeach()
    list(APPEND _folders "${_folder}")
    string(REGEX REPLACE "^host/" "" _as_name "${_folder}")
    string(REPLACE "/" "_" _as_name "${_as_name}")
    if("drasriov_${_as_name}" STREQUAL _library OR NOT DEFINED "_main_${_folder}")
      set("_main_${_folder}" "${_library}")
    endif()
  endforeach()
  list(REMOVE_DUPLICATES _folders)
  foreach(_folder IN LISTS _folders)
    set(_library "${_main_${_folder}}")
    file(GLOB _headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}"
      "${PROJECT_SOURCE_DIR}/${_folder}/*.hpp" "${PROJECT_SOURCE_DIR}/${_folder}/*.h")
    foreach(_header IN LISTS _headers)
      if(NOT DEFINED "_owner_${_header}")
        set("_owner_${_header}" "${_library}")
        set_property(GLOBAL APPEND PROPERTY DRASRIOV_FILES_${_library} "${_header}")
      endif()
    endforeach()
  endforeach()

  set(_errors)
  foreach(_library IN LISTS _libraries)
    _drasriov_closure(_closure "${_library}")
    list(JOIN _closure "|" _closure_regex)
    get_property(_files GLOBAL PROPERTY DRASRIOV_FILES_${_library})
    foreach(_file IN LISTS _files)
      if(NOT EXISTS "${PROJECT_SOURCE_DIR}/${_file}")
        continue()
      endif()
      set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
        "${PROJECT_SOURCE_DIR}/${_file}")
      file(STRINGS "${PROJECT_SOURCE_DIR}/${_file}" _includes
        REGEX "^[ \t]*#[ \t]*include[ \t]*[\"<][^\">]*/")
      foreach(_line IN LISTS _includes)
        string(REGEX REPLACE "^[^\"<]*[\"<]([^\">]*)[\">].*$" "\\1" _include "${_line}")
        if(NOT _include MATCHES "^(host|plugins|tests)/")
          _drasriov_third_party(_needed "${_include}")
          set(_found ${_needed})
          list(FILTER _found INCLUDE REGEX "^(${_closure_regex})$")
          if(_needed AND NOT _found)
            list(JOIN _needed " or " _needed)
            list(APPEND _errors "${_file}: #include <${_include}>: ${_library} lacks the "
              "dependency '${_needed}'\n")
          endif()
        elseif(NOT _include MATCHES "^host/")
          list(APPEND _errors "${_file}: #include \"${_include}\": the host includes neither "
            "plugins nor tests\n")
        elseif(NOT DEFINED "_owner_${_include}")
          if(NOT EXISTS "${PROJECT_SOURCE_DIR}/${_include}")
            set(_why "no such file")
          else()
            set(_why "its folder has no library")
          endif()
          list(APPEND _errors "${_file}: #include \"${_include}\": ${_why}\n")
        else()
          string(REGEX REPLACE "^drasriov_" "" _missing "${_owner_${_include}}")
          if("drasriov::${_missing}" IN_LIST _closure)
            continue()
          endif()
          list(APPEND _errors "${_file}: #include \"${_include}\": ${_library} lacks the "
            "dependency '${_missing}' (add it to DEPS in its CMakeLists.txt if the layer may use "
            "it, else remove the include)\n")
        endif()
      endforeach()
    endforeach()
  endforeach()
  if(_errors)
    list(JOIN _errors "" _text)
    message(FATAL_ERROR "Includes against declared dependencies:\n${_text}")
  endif()
endfunction()
