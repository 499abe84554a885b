// SPDX-License-Identifier: Apache-2.0
// Must be refused by clang's thread-safety analysis unless GUARDED is defined. Never built.
#include "host/base/thread_annotations.hpp"

namespace {

class Counter {
 public:
  int value() {
#ifdef GUARDED
    const drasriov::MutexLock lock(mutex_);
#endif
    return value_;
  }

 private:
  drasriov::Mutex mutex_;
  int value_ DRASRIOV_GUARDED_BY(mutex_) = 0;
};

}  // namespace

int main() {
  return Counter().value();
}
