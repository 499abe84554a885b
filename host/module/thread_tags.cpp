// SPDX-License-Identifier: Apache-2.0
#include "host/module/thread_tags.hpp"

#include <cstdio>
#include <cstdlib>

namespace drasriov::module {
namespace {

#ifdef NDEBUG
constexpr bool kChecked = false;
#else
constexpr bool kChecked = true;
#endif

}  // namespace

void ThreadTags::violated(const char* tag, const char* function, std::string_view other) const {
  std::fprintf(stderr,
               "module %s: %s function %s was called while %.*s is running: the host breaks the "
               "thread rules of "
               "the module ABI\n",
               instance_.c_str(), tag, function, static_cast<int>(other.size()), other.data());
  std::abort();
}

ThreadTags::Control::Control(ThreadTags& tags, const char* function) : tags_(tags) {
  if constexpr (kChecked) {
    if (const char* other = tags_.control_.exchange(function))
      tags_.violated("[control]", function, other);
  }
}

ThreadTags::Control::~Control() {
  if constexpr (kChecked) tags_.control_.store(nullptr);
}

ThreadTags::Worker::Worker(ThreadTags& tags, const char* function, const Subject& subject)
    : tags_(tags) {
  if constexpr (kChecked) {
    enter(function, "claim ", subject.claim);
    enter(function, "device ", subject.device);
    enter(function, "sandbox ", subject.sandbox);
  }
}

ThreadTags::Worker::~Worker() {
  if constexpr (kChecked) {
    const MutexLock lock(tags_.mutex_);
    for (const std::string& key : keys_) tags_.running_.erase(key);
  }
}

void ThreadTags::Worker::enter(const char* function, std::string_view kind, std::string_view name) {
  if (name.empty()) return;
  std::string key(kind);
  key += name;
  const MutexLock lock(tags_.mutex_);
  if (!tags_.running_.insert(key).second) tags_.violated("[worker]", function, "a call for " + key);
  keys_.insert(std::move(key));
}

}  // namespace drasriov::module
