# SPDX-License-Identifier: Apache-2.0
# The module that docs/module-authors.md prints compiles as it stands there.
#   -D GUIDE=<file> -D WORK=<folder> -D COMPILER=<program> -D INCLUDE=<folder>
cmake_minimum_required(VERSION 3.25)
file(READ "${GUIDE}" _text)
string(FIND "${_text}" "```cpp" _from)
string(SUBSTRING "${_text}" ${_from} -1 _text)
string(SUBSTRING "${_text}" 6 -1 _text)
string(FIND "${_text}" "```" _to)
string(SUBSTRING "${_text}" 0 ${_to} _text)
if(NOT _text MATCHES "DRASRIOV_EXPORT_MODULE\\(Rack\\)")
  message(FATAL_ERROR "the first C++ block of ${GUIDE} is not the module:\n${_text}")
endif()
file(WRITE "${WORK}/rack.cpp" "${_text}")
execute_process(COMMAND "${COMPILER}" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I "${INCLUDE}"
  -DDRASRIOV_MODULE_NAME="rack" -DDRASRIOV_MODULE_VERSION="0.1.0" -DDRASRIOV_MODULE_VENDOR="Acme"
  -DDRASRIOV_MODULE_LICENSE="Apache-2.0" -DDRASRIOV_MODULE_MIN_HOST_ABI="1.0" "${WORK}/rack.cpp"
  COMMAND_ERROR_IS_FATAL ANY)
