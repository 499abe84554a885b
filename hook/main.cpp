// SPDX-License-Identifier: Apache-2.0
//
// dra-driver-sriov-hook CLAIM-UID NAMESPACE/NAME DATA-DIRECTORY, the createRuntime hook of a claim with a network step: the
// OCI state is on standard input. Exit 0 when <data directory>/attached/<claim uid>/<sandbox id> is there, which the driver
// keeps only while the claim's devices are in that sandbox. Else 1 and one sentence on standard error, which the runtime
// passes on: the container does not start. It asks no other process, so it holds while the driver is away.
// With --check alone it does nothing and succeeds: `doctor` asks so whether it can be run.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <string_view>

#include "hook/attachment_check.hpp"

namespace {

/// Kubernetes limits all annotations of an object to 256 KiB; escaped, they may be six times as long.
constexpr std::size_t kLongestState = 4U << 20U;
char state_text[kLongestState];

constexpr int kRefused = 1;

int width(std::string_view text) {
  return static_cast<int>(text.size());
}

/// All of standard input; empty when that is not possible.
std::string_view read_state() {
  std::size_t size = 0;
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, state_text + size, sizeof state_text - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {state_text, got == 0 ? size : 0};
    size += static_cast<std::size_t>(got);
    if (size == sizeof state_text) return {};
  }
}

/// One marker of the claim, if there is any: the sandbox that has its network, and the pod as the driver wrote it.
struct Holder {
  char sandbox[256] = {};
  char pod[512] = {};
};

void read_holder(const char* folder, Holder& holder) {
  DIR* const all = ::opendir(folder);
  if (all == nullptr) return;
  while (const dirent* const entry = ::readdir(all)) {
    if (entry->d_name[0] == '.') continue;
    ::snprintf(holder.sandbox, sizeof holder.sandbox, "%s", entry->d_name);
    const int file = ::openat(::dirfd(all), entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    const ssize_t size = file < 0 ? 0 : ::read(file, holder.pod, sizeof holder.pod - 1);
    if (file >= 0) ::close(file);
    holder.pod[size > 0 ? size : 0] = '\0';
    holder.pod[::strcspn(holder.pod, "\n")] = '\0';
    for (char* at = holder.pod; *at != '\0'; ++at) {
      if (*at < ' ' || *at > '~') *at = '?';
    }
    break;
  }
  ::closedir(all);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--check") return 0;
  if (argc != 4 || !drasriov::hook::is_plain_name(argv[1]) || argv[3][0] != '/') {
    ::fprintf(stderr,
              "dra-driver-sriov-hook: needs CLAIM-UID NAMESPACE/NAME DATA-DIRECTORY, which the "
              "driver writes into the claim's CDI spec\n");
    return kRefused;
  }
  const char* const uid = argv[1];
  const char* const claim = argv[2];
  const auto sandbox = drasriov::hook::sandbox_of_state(read_state());
  if (sandbox.id.empty()) {
    ::fprintf(stderr,
              "dra-driver-sriov: claim %s (%s): whether its network is attached cannot be told: "
              "%.*s\n",
              claim, uid, width(sandbox.problem), sandbox.problem.data());
    return kRefused;
  }
  char path[4096];
  const int length = ::snprintf(path, sizeof path, "%s/attached/%s/%.*s", argv[3], uid,
                                width(sandbox.id), sandbox.id.data());
  struct stat found;
  int error = ENAMETOOLONG;
  if (length > 0 && static_cast<std::size_t>(length) < sizeof path) {
    error = ::lstat(path, &found) == 0 ? 0 : errno;
    if (error == 0 && !S_ISREG(found.st_mode)) error = EINVAL;
  }
  if (error == 0) return 0;
  Holder holder;
  char folder[sizeof path];
  if (::snprintf(folder, sizeof folder, "%s/attached/%s", argv[3], uid) <
      static_cast<int>(sizeof folder))
    read_holder(folder, holder);
  if (holder.sandbox[0] != '\0') {
    ::fprintf(stderr,
              "dra-driver-sriov: claim %s (%s): its network is not attached to sandbox %.*s: it is "
              "in sandbox %s of pod %s — hint: a claim with a network serves one pod at a time: "
              "wait until that one is gone, or give each pod a claim of its own by a "
              "ResourceClaimTemplate\n",
              claim, uid, width(sandbox.id), sandbox.id.data(), holder.sandbox, holder.pod);
    return kRefused;
  }
  ::fprintf(stderr,
            "dra-driver-sriov: claim %s (%s): its network is not attached to sandbox %.*s: %s: %s "
            "— hint: is the driver's pod of this node running and connected to the container "
            "runtime by NRI (dra-driver-sriov doctor, dra-driver-sriov claims)?\n",
            claim, uid, width(sandbox.id), sandbox.id.data(), path, ::strerror(error));
  return kRefused;
}
