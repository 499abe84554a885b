# SPDX-License-Identifier: Apache-2.0
# Compiles wrong_modules.cpp, which must fail with exactly these sentences, each as often as it has
# classes that deserve it: -D COMPILER=<program> -D INCLUDE=<folder> -D SOURCE=<file>
cmake_minimum_required(VERSION 3.25)

# Lines: how often|the sentence. Checked as plain text; a semicolon would end a list element.
set(_expected
  "2|discovery/1: expected the public member `Status scan(const Call& call, DeviceSink& sink)`"
  "1|discovery/1: expected the public member `Status enrich(const Call& call, const DeviceView& device, DeviceSink& sink)`"
  "1|discovery/1: expected the public member `Status watch(ChangeNotifier changed)`"
  "1|binding/1: expected the public member `Result<std::string> snapshot(const Call& call, const BindingRequest& request)`"
  "1|binding/1: expected the public member `Status prepare(const Call& call, const BindingRequest& request, std::string_view snapshot, PrepareSink& sink)`"
  "1|binding/1: expected the public member `Status unprepare(const Call& call, const BindingRequest& request, std::string_view snapshot, std::string_view state)`"
  "1|binding/1: expected the public member `Status settle(const Call& call, const BindingRequest& request, std::string_view snapshot)`"
  "1|binding/1: expected the public member `bool handles(const BindingRequest& request)`"
  "1|binding/1: expected the public member `Result<std::string> adopt(const Call& call, const BindingRequest& request)`"
  "1|netconf/1: expected the public member `Status validate(const Call& call, const NetconfRequest& request)`"
  "1|netconf/1: expected the public member `Result<std::string> add(const Call& call, const NetconfRequest& request)`"
  "1|netconf/1: expected the public member `Status del(const Call& call, const NetconfRequest& request)`"
  "1|netconf/1: expected the public member `Status check(const Call& call, const NetconfRequest& request)`"
  "1|netconf/1: expected the public member `Status status(const Call& call, const NetconfRequest& request)`"
  "1|netconf/1: expected the public member `Status gc(const Call& call, std::string_view config_json, AttachmentList alive)`"
  "1|runtime-hooks/1: expected the public member `void set_events(RuntimeEvents events)`"
  "1|runtime-hooks/1: expected the public member `std::chrono::nanoseconds request_timeout()`"
  "1|cdi/1: expected the public member `Status write_spec(const Call& call, std::string_view kind, std::string_view id, std::string_view spec_json)`"
  "1|cdi/1: expected the public member `Status remove_spec(const Call& call, std::string_view kind, std::string_view id)`"
  "1|cdi/1: expected the public member `Result<std::vector<std::string>> list_specs(const Call& call, std::string_view kind)`"
  # Those whose only capability has a mistake are told this too.
  "8|the class satisfies none of the concepts Discovery (scan), Binding (snapshot, prepare, unprepare), Netconf (validate, add, del), RuntimeHooks (set_events), CdiWriter (write_spec, remove_spec, list_specs): a module offers at least one"
  "1|expected the public constructor `Module(Host host, std::string_view instance, const Config& config)`, or a static member create of that form"
  "1|expected the public member `static Result<std::unique_ptr<Module>> create(Host host, std::string_view instance, const Config& config)`"
  "1|expected the public member `Status start()`"
  "1|expected the public member `void stop()`"
  "1|a module with start() needs `void stop()`: its threads must have ended then"
  "1|claim_fields are owned by a module with binding/1"
  "1|a module is a class that is not final"
  "1|NAME: use [a-z0-9-]+"
  "1|VENDOR and LICENSE: no quotes, no backslashes, no control characters"
  "1|MIN_HOST_ABI: write 1.<minor>"
  "1|MIN_HOST_ABI is newer than the headers: update DraSriovSDK")

execute_process(COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -I "${INCLUDE}" "${SOURCE}"
  RESULT_VARIABLE _status OUTPUT_VARIABLE _ignored ERROR_VARIABLE _output)
if(_status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiled")
endif()

foreach(_line IN LISTS _expected)
  string(FIND "${_line}" "|" _bar)
  string(SUBSTRING "${_line}" 0 ${_bar} _count)
  math(EXPR _from "${_bar} + 1")
  string(SUBSTRING "${_line}" ${_from} -1 _sentence)
  set(_rest "${_output}")
  set(_found 0)
  string(LENGTH "failed: ${_sentence}" _length)
  while(TRUE)
    string(FIND "${_rest}" "failed: ${_sentence}" _at)
    if(_at EQUAL -1)
      break()
    endif()
    math(EXPR _found "${_found} + 1")
    math(EXPR _at "${_at} + ${_length}")
    string(SUBSTRING "${_rest}" ${_at} -1 _rest)
  endwhile()
  if(NOT _found EQUAL _count)
    message(SEND_ERROR "${_found} times instead of ${_count}: ${_sentence}")
  endif()
endforeach()
