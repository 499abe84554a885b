// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/bundle.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/base/encoding.hpp"
#include "host/doctor/host_files.hpp"
#include "host/doctor/redaction.hpp"

namespace drasriov::doctor {
namespace {

std::string utc(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::string text(32, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts));
  return text;
}

struct FreeArchive {
  void operator()(::archive* it) const { archive_write_free(it); }
};
struct FreeEntry {
  void operator()(::archive_entry* it) const { archive_entry_free(it); }
};

/// JSON stays JSON, if it is any.
std::string redacted(std::string_view path, std::string_view text) {
  if (path.ends_with(".json")) {
    if (auto json = parse_shallow(text)) {
      redact_json(*json);
      return json->dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    }
  }
  return redact_text(text);
}

/// A path that every tar and file system takes: other bytes as %XX.
std::string portable(std::string_view path) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:@+=,";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string result;
  for (const char c : path) {
    if (kPlain.find(c) != std::string_view::npos) {
      result.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result.append({'%', kDigits[byte >> 4U], kDigits[byte & 0xFU]});
    }
  }
  return result;
}

la_ssize_t append(::archive* /*archive*/, void* out, const void* bytes, std::size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

class Writer {
 public:
  explicit Writer(std::string& out) : archive_(archive_write_new()) {
    keep(archive_write_add_filter_gzip(archive_.get()));
    keep(archive_write_set_format_pax_restricted(archive_.get()));
    keep(archive_write_set_options(archive_.get(), "gzip:!timestamp"));
    keep(archive_write_open2(archive_.get(), &out, nullptr, append, nullptr, nullptr));
  }

  void file(const std::string& path, std::string_view content) {
    const std::unique_ptr<::archive_entry, FreeEntry> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), path.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0600);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
    archive_entry_set_mtime(entry.get(), 0, 0);
    keep(archive_write_header(archive_.get(), entry.get()));
    if (archive_write_data(archive_.get(), content.data(), content.size()) < 0) keep(ARCHIVE_FATAL);
  }

  Status close() {
    keep(archive_write_close(archive_.get()));
    if (failure_.empty()) return {};
    return Error(Code::kInternal, "write the archive: " + failure_);
  }

 private:
  void keep(int outcome) {
    if (outcome >= ARCHIVE_OK || !failure_.empty()) return;
    const char* const text = archive_error_string(archive_.get());
    failure_ = text == nullptr ? "error " + std::to_string(outcome) : text;
  }

  std::unique_ptr<::archive, FreeArchive> archive_;
  std::string failure_;
};

}  // namespace

void Bundle::add(std::string_view path, std::string origin, std::string_view text) {
  Entry entry;
  entry.path = portable(path);
  entry.origin = std::move(origin);
  entry.content = redacted(entry.path, text);
  entry.cut = entry.content.size() > limits_.file;
  if (entry.cut) entry.content.resize(limits_.file);
  if (total_ + entry.content.size() > limits_.total) {
    entry.content.clear();
    entry.error = "left out: the bundle has reached its size";
    entry.present = false;
  }
  total_ += entry.content.size();
  entries_.push_back(std::move(entry));
}

void Bundle::add_missing(std::string_view path, std::string origin, const Error& error) {
  Entry entry;
  entry.path = portable(path);
  entry.origin = std::move(origin);
  entry.error = redact_text(error.to_string());
  entry.present = false;
  entries_.push_back(std::move(entry));
}

void Bundle::add_file(std::string_view path, const std::filesystem::path& file) {
  const auto text = read_some(file, limits_.file + 1);
  if (text) {
    add(path, file.native(), *text);
  } else {
    add_missing(path, file.native(), text.error());
  }
}

std::size_t Bundle::missing() const noexcept {
  return static_cast<std::size_t>(std::ranges::count(entries_, false, &Entry::present));
}

std::string Bundle::manifest(const std::vector<const Entry*>& entries, std::string_view version,
                             std::chrono::system_clock::time_point created) const {
  using Json = nlohmann::ordered_json;
  Json files = Json::array();
  for (const Entry* entry : entries) {
    Json file = {{"path", entry->path}, {"origin", entry->origin}};
    if (entry->present) {
      file["size"] = entry->content.size();
      file["sha256"] = sha256_hex(entry->content);
    }
    if (entry->cut) file["cut"] = true;
    if (!entry->error.empty()) file["error"] = entry->error;
    files.push_back(std::move(file));
  }
  const Json json = {
      {"format", 1}, {"version", version}, {"created", utc(created)}, {"files", std::move(files)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::string> Bundle::archive(std::string_view root, std::string_view version,
                                    std::chrono::system_clock::time_point created) const {
  std::vector<const Entry*> entries;
  for (const Entry& entry : entries_) entries.push_back(&entry);
  std::ranges::stable_sort(entries, {},
                           [](const Entry* entry) -> const std::string& { return entry->path; });
  std::string out;
  Writer writer(out);
  const std::string folder = std::string(root) + "/";
  writer.file(folder + "manifest.json", manifest(entries, version, created));
  for (const Entry* entry : entries) {
    if (entry->present) writer.file(folder + entry->path, entry->content);
  }
  if (auto closed = writer.close(); !closed) return closed.error();
  return out;
}

}  // namespace drasriov::doctor
