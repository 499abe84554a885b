# SPDX-License-Identifier: Apache-2.0
# Package DraSriovSDK: targets DraSriov::abi and DraSriov::sdk, functions drasriov_add_module() and
# drasriov_add_module_tests(). The version is that of the module ABI.
include("${CMAKE_CURRENT_LIST_DIR}/DraSriovSDKTargets.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/DraSriovModule.cmake")

# Only <drasriov/sdk/config.hpp> needs it; a module without that header builds without it.
find_package(nlohmann_json 3.11 QUIET)
if(nlohmann_json_FOUND)
  target_link_libraries(DraSriov::sdk INTERFACE nlohmann_json::nlohmann_json)
endif()
