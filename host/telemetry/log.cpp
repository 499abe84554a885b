// SPDX-License-Identifier: Apache-2.0
//
// The only file that sees spdlog: header-only, so that no shared library is mapped for it.
#define SPDLOG_SHORT_LEVEL_NAMES \
  { "I", "I", "I", "W", "E", "F", "O" }  // klog's letters; it has no debug

#include "host/telemetry/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>

#include "host/telemetry/escape.hpp"

namespace drasriov::telemetry {
namespace {

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kTrace: return spdlog::level::trace;
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarning: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

Level least_level(int verbosity) {
  if (verbosity >= 6) return Level::kTrace;
  return verbosity >= 4 ? Level::kDebug : Level::kInfo;
}

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// A whole line in one write(2), so that the lines of two processes on one pipe stay whole. A log
/// that nobody reads any more (EPIPE) must not stop the driver: what cannot be written is dropped.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit DescriptorSink(int fd) : fd_(fd) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const char* data = line.data();
    std::size_t left = line.size();
    while (left > 0) {
      const ssize_t written = ::write(fd_, data, left);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      data += written;
      left -= static_cast<std::size_t>(written);
    }
  }
  void flush_() override {}

  int fd_;
};

class SpdlogLog final : public Log {
 public:
  SpdlogLog(config::LogFormat format, int verbosity, int fd)
      : format_(format),
        least_(least_level(verbosity)),
        logger_("", std::make_shared<DescriptorSink>(fd)) {
    logger_.set_pattern(format == config::LogFormat::kJson ? R"({"ts":%E%e,"level":"%l",%v})"
                                                           : "%L%m%d %H:%M:%S.%f %7t %v");
    logger_.set_level(spdlog_level(least_));
  }

  bool enabled(Level level) const noexcept override { return level >= least_; }

  void write(Level level, std::string_view message, std::span<const Field> fields,
             const std::source_location* where) override {
    if (!enabled(level)) return;
    const std::string payload = format_ == config::LogFormat::kJson
                                    ? json_payload(message, fields, where)
                                    : text_payload(message, fields, where);
    logger_.log(spdlog_level(level), spdlog::string_view_t(payload.data(), payload.size()));
  }

 private:
  static std::string caller(const std::source_location& where) {
    return std::string(base_name(where.file_name())) + ":" + std::to_string(where.line());
  }

  static std::string text_payload(std::string_view message, std::span<const Field> fields,
                                  const std::source_location* where) {
    std::string text = where == nullptr ? "module" : caller(*where);
    text += "] ";
    append_escaped(text, message, Quotes::kKeep);
    for (const Field& field : fields) {
      text.append(" ").append(field.key).append("=\"");
      append_escaped(text, field.value, Quotes::kEscape);
      text += '"';
    }
    return text;
  }

  static std::string json_payload(std::string_view message, std::span<const Field> fields,
                                  const std::source_location* where) {
    std::string text;
    const auto member = [&text](std::string_view name, std::string_view value) {
      if (!text.empty()) text += ',';
      text += '"';
      append_escaped(text, name, Quotes::kEscape);
      text += "\":\"";
      append_escaped(text, value, Quotes::kEscape);
      text += '"';
    };
    if (where != nullptr) member("caller", caller(*where));
    member("msg", message);
    for (const Field& field : fields) member(field.key, field.value);
    return text;
  }

  config::LogFormat format_;
  Level least_;
  spdlog::logger logger_;
};

}  // namespace

std::unique_ptr<Log> make_log(config::LogFormat format, int verbosity, int fd) {
  return std::make_unique<SpdlogLog>(format, verbosity, fd);
}

}  // namespace drasriov::telemetry
