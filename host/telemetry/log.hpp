// SPDX-License-Identifier: Apache-2.0
//
// Log: where every part of the host, and through the host every module, writes its lines. Abstract,
// so that tests keep the lines; make_log() gives the one of the process, which app/ owns and hands
// down by reference. [any] thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <span>
#include <string_view>

#include "host/base/result.hpp"
#include "host/config/configuration.hpp"

namespace drasriov::telemetry {

/// From kDebug on the same numbers as DRASRIOV_LOG_… of the module ABI.
enum class Level : std::uint8_t {
  kTrace = 0,    ///< requests and answers; from verbosity 6 on
  kDebug = 1,    ///< how a decision was made; from verbosity 4 on
  kInfo = 2,     ///< what an operator acts on
  kWarning = 3,  ///< degraded, works
  kError = 4,    ///< something was not done
};

/// A key and a value beside the message, borrowed for the call. The keys of this driver are fixed:
/// see namespace key.
struct Field {
  std::string_view key;
  std::string_view value;
};

namespace key {
inline constexpr std::string_view kClaim = "claim";    ///< "namespace/name"
inline constexpr std::string_view kDevice = "device";  ///< name in the slice
inline constexpr std::string_view kModule = "module";  ///< instance name
inline constexpr std::string_view kPod = "pod";        ///< "namespace/name"
inline constexpr std::string_view kNode = "node";
inline constexpr std::string_view kCall = "call";  ///< correlation id of one call into a module
}  // namespace key

class Log {
 public:
  virtual ~Log() = default;

  /// Whether a line of this level is written at all: ask before building an expensive message.
  [[nodiscard]] virtual bool enabled(Level level) const noexcept = 0;
  /// One line. Message and values are text of any origin: what is not printable is escaped.
  virtual void write(Level level, std::string_view message, std::span<const Field> fields,
                     const std::source_location* where) = 0;

  using Fields = std::initializer_list<Field>;
  using Where = std::source_location;
  void debug(std::string_view message, Fields fields = {}, Where where = Where::current()) {
    line(Level::kDebug, message, fields, where);
  }
  void info(std::string_view message, Fields fields = {}, Where where = Where::current()) {
    line(Level::kInfo, message, fields, where);
  }
  void warning(std::string_view message, Fields fields = {}, Where where = Where::current()) {
    line(Level::kWarning, message, fields, where);
  }
  void error(std::string_view message, Fields fields = {}, Where where = Where::current()) {
    line(Level::kError, message, fields, where);
  }
  /// "message — hint: hint" of an error that is handled here.
  void error(const Error& error, Fields fields = {}, Where where = Where::current()) {
    line(Level::kError, error.to_string(), fields, where);
  }
  void warning(const Error& error, Fields fields = {}, Where where = Where::current()) {
    line(Level::kWarning, error.to_string(), fields, where);
  }

 private:
  void line(Level level, std::string_view message, Fields fields, const Where& where) {
    if (enabled(level)) write(level, message, {fields.begin(), fields.size()}, &where);
  }
};

/// Lines to descriptor `fd` (not owned), one write(2) each. `verbosity` 0-9 as the flag --v. The
/// forms are klog's:
///   text  `I0102 15:04:05.123456    1234 file.cpp:42] message key="value"`
///   json
///   `{"ts":1735830245123,"level":"info","caller":"file.cpp:42","msg":"message","key":"value"}`
[[nodiscard]] std::unique_ptr<Log> make_log(config::LogFormat format, int verbosity, int fd = 2);

}  // namespace drasriov::telemetry
