// SPDX-License-Identifier: Apache-2.0
//
// ObjectFolder: the files of a folder of API objects, which of them holds which object, and which
// changed since it was last looked at. Does the reading and writing for DirectoryCluster, which
// serialises all calls.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/base/result.hpp"
#include "host/cluster/directory/object_file.hpp"
#include "host/cluster/directory/object_store.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::cluster {

class ObjectFolder {
 public:
  ObjectFolder(std::filesystem::path root, telemetry::Log& log)
      : root_(std::move(root)),
        log_(log) {}

  [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }

  /// The root and the folders directly below it.
  [[nodiscard]] std::vector<std::filesystem::path> directories() const {
    return directories_of(root_);
  }

  /// Removes the temporary files of objects that a killed process left in `root` and the folders directly below it.
  static void remove_stale_temporaries(const std::filesystem::path& root);

  /// Brings `store` in line with all files.
  void refresh_all(ObjectStore& store);
  /// With one file, which may be new, changed, gone or no object file at all, and whose writer has
  /// closed it.
  void refresh(const std::filesystem::path& file, ObjectStore& store);

  /// With the file that the object is in or would be written to: takes in what another program
  /// wrote just now.
  void refresh(const Resource& resource, const StoreKey& key, ObjectStore& store);

  /// Writes `object` in place of the one with its key, or as a new file for a key that is nowhere
  /// yet, and puts it into the store. Returns the stored form. A failed write changes nothing.
  [[nodiscard]] Result<Json> write(const Resource& resource, const StoreKey& key, Json object,
                                   ObjectStore& store);
  /// Writes the status of `object`, which is otherwise as stored, into its document and the store;
  /// the rest of the document stays as its author wrote it.
  [[nodiscard]] Result<Json> write_status(const StoreKey& key, Json object, ObjectStore& store);
  /// Takes the object out of its file and the store.
  [[nodiscard]] Status erase(const StoreKey& key, ObjectStore& store);

  /// What to do about an object that is not there: it may be in a file that cannot be read.
  [[nodiscard]] std::string hint_for_missing() const;

 private:
  /// Tells whether a file is the one that was read.
  struct Identity {
    ino_t inode = 0;
    off_t size = 0;
    timespec changed{};
    friend bool operator==(const Identity& a, const Identity& b) {
      return a.inode == b.inode && a.size == b.size && a.changed.tv_sec == b.changed.tv_sec &&
             a.changed.tv_nsec == b.changed.tv_nsec;
    }
  };
  struct File {
    Identity identity;
    std::vector<StoreKey> keys;  ///< of the objects that come from here
    std::string
        problem;  ///< why it cannot be read now, the keys are of its last good content; else empty
  };

  [[nodiscard]] static std::vector<std::filesystem::path> directories_of(
      const std::filesystem::path& root);
  /// refresh() of a file that may be in the middle of being written: one that was emptied is left
  /// for the event of its closing.
  void look_at(const std::filesystem::path& file, ObjectStore& store);
  [[nodiscard]] std::filesystem::path file_of(const Resource& resource, const StoreKey& key) const;
  [[nodiscard]] static std::optional<Identity> identity_of(const std::filesystem::path& file);
  void load(const std::filesystem::path& file, const Identity& identity, ObjectStore& store);
  void forget(const std::filesystem::path& file, ObjectStore& store);
  /// Changes one object in the file that was read last, or in a new one.
  [[nodiscard]] Status edit(const std::filesystem::path& file, const StoreKey& key,
                            const DocumentEdit& edit);

  std::filesystem::path root_;
  telemetry::Log& log_;
  std::map<std::filesystem::path, File> files_;
  std::map<StoreKey, std::filesystem::path> owners_;
};

}  // namespace drasriov::cluster
