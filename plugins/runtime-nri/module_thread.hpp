// SPDX-License-Identifier: Apache-2.0
//
// Threads of this module: named for `top -H`, and with every signal blocked, because signals belong
// to the host.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace drasriov::runtime_nri {

/// Blocks all signals of the calling thread, and of the threads that it starts, while it lives.
class SignalBlock {
 public:
  SignalBlock() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;
  ~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// name: at most 15 characters (pthread_setname_np).
template <typename Body>
[[nodiscard]] std::thread start_thread(const char* name, Body body) {
  const SignalBlock block;
  std::thread thread(std::move(body));
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace drasriov::runtime_nri
