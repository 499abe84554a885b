// SPDX-License-Identifier: Apache-2.0
//
// FileText: the text of a Material, read again when its file changes (projected tokens and certificates are replaced by
// an atomic swap of a symbolic link, so the path is opened anew). One thread.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/cluster/kube/connection.hpp"

namespace drasriov::cluster::kube {

class FileText {
 public:
  /// `what` names it in messages: "token". Errors hold the path, never the text.
  FileText(Material material, std::string_view what)
      : material_(std::move(material)),
        what_(what) {}

  /// Without white space around. When the file cannot be read any more, or is empty for now, the last text stays.
  [[nodiscard]] Result<std::string_view> read();
  [[nodiscard]] bool empty() const { return material_.empty(); }
  /// The next read() opens the file even if nothing about it seems to have changed.
  void forget() { seen_.reset(); }

 private:
  struct Seen {
    dev_t device;
    ino_t inode;
    off_t size;
    timespec changed;
  };
  [[nodiscard]] Status load();

  Material material_;
  std::string_view what_;
  std::string text_;
  std::optional<Seen> seen_;
};

}  // namespace drasriov::cluster::kube
