// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/file_text.hpp"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace drasriov::cluster::kube {
namespace {

constexpr off_t kLargest = 1 << 20;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

Result<std::string_view> FileText::read() {
  if (material_.file.empty()) return trimmed(material_.text);
  auto loaded = load();
  if (!loaded && text_.empty()) return loaded.error();
  return std::string_view(text_);
}

Status FileText::load() {
  const std::string context = std::string(what_) + " " + material_.file.string();
  struct stat now {};
  if (::stat(material_.file.c_str(), &now) != 0) return errno_error(errno, context);
  if (seen_ && seen_->device == now.st_dev && seen_->inode == now.st_ino &&
      seen_->size == now.st_size && seen_->changed.tv_sec == now.st_mtim.tv_sec &&
      seen_->changed.tv_nsec == now.st_mtim.tv_nsec) {
    return {};
  }
  if (now.st_size > kLargest) {
    return Error(Code::kInvalidArgument, context + ": larger than 1 MiB");
  }
  std::ifstream in(material_.file, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  const std::string_view text = trimmed(content.view());
  if (!in || text.empty()) {
    return Error(Code::kFailedPrecondition, context + (in ? ": is empty" : ": cannot be read"));
  }
  text_ = text;
  seen_ = Seen{now.st_dev, now.st_ino, now.st_size, now.st_mtim};
  return {};
}

}  // namespace drasriov::cluster::kube
