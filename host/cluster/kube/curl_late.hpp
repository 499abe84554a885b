// SPDX-License-Identifier: Apache-2.0
//
// libcurl, loaded when an API server is to be asked. It brings some thirty libraries along, which cost each start of the
// program 7 MiB and several milliseconds: with a folder as the cluster, and for most commands, nobody needs them.
// curl_late.cpp defines the functions of <curl/curl.h> that this folder calls; each passes its call on to the library.
#pragma once

#include "host/base/result.hpp"

namespace drasriov::cluster::kube {

/// Loads the library and finds all functions, once. No other function of libcurl may be called before it has succeeded.
/// Any thread.
[[nodiscard]] Status load_curl();

}  // namespace drasriov::cluster::kube
