// SPDX-License-Identifier: Apache-2.0
//
// The name formats of the Kubernetes API and of Linux that input is checked against before it is used.
// Pure functions of bytes; any thread.
#pragma once

#include <string_view>

namespace drasriov {

/// RFC 1123 label: 1-63 of [a-z0-9-], alphanumeric at both ends.
[[nodiscard]] bool is_dns_label(std::string_view text) noexcept;

/// RFC 1123 subdomain: labels joined by '.', at most 253 bytes.
[[nodiscard]] bool is_dns_subdomain(std::string_view text) noexcept;

/// A UID as the API server makes them: 1-64 of [a-z0-9-], alphanumeric at both ends. Safe as a file name.
[[nodiscard]] bool is_object_uid(std::string_view text) noexcept;

/// A network interface name that the kernel takes: 1-15 bytes, no '/', ':' or white space, not "." or ".."
/// (dev_valid_name() in net/core/dev.c).
[[nodiscard]] bool is_interface_name(std::string_view text) noexcept;

/// A kernel driver or module name as a claim may give it: 1-63 of [a-z0-9_-].
[[nodiscard]] bool is_driver_name(std::string_view text) noexcept;

}  // namespace drasriov
