// SPDX-License-Identifier: Apache-2.0
#include "host/device/fields.hpp"

#include <set>

#include "host/base/thread_annotations.hpp"

namespace drasriov::device {

const std::string& Key::shared(std::string_view text) {
  struct Texts {
    Mutex mutex;
    std::set<std::string, std::less<>> all DRASRIOV_GUARDED_BY(mutex);
  };
  static Texts& texts = *new Texts;  // keys may outlive static objects
  const MutexLock lock(texts.mutex);
  const auto found = texts.all.find(text);
  return found != texts.all.end() ? *found : *texts.all.emplace(text).first;
}

}  // namespace drasriov::device
