// SPDX-License-Identifier: Apache-2.0
//
// libkmod, loaded when a kernel module is to be loaded or looked up: with it come libcrypto, libzstd and liblzma, which cost each
// start of the driver some milliseconds and a megabyte, and most nodes have their modules loaded at boot.
// kmod_late.cpp defines the functions of <libkmod.h> that this folder calls; each passes its call on to the library.
#pragma once

#include <drasriov/sdk/result.hpp>

namespace drasriov::kernel_modules {

/// Loads the library and finds all functions, once. No function of libkmod may be called before it has succeeded.
/// FAILED_PRECONDITION: it is not installed. Any thread.
[[nodiscard]] sdk::Status load_libkmod();

}  // namespace drasriov::kernel_modules
