// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/curl_late.hpp"

#include <curl/curl.h>
#include <dlfcn.h>

#include <cstdarg>
#include <string>

// They check the types of arguments and name these functions; here the functions themselves are defined.
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

namespace drasriov::cluster::kube {
namespace {

/// Of libcurl with OpenSSL; the other builds of Debian have names of their own.
constexpr const char* kLibrary = "libcurl.so.4";

struct Functions {
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_header) easy_header;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_setopt) multi_setopt;
  decltype(&::curl_multi_wakeup) multi_wakeup;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
};

Functions functions;

Status load() {
  // Never closed: its own libraries have threads and handlers at exit.
  void* const library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  const auto failed = [] {
    const char* const why = ::dlerror();
    return Error(Code::kFailedPrecondition,
                 std::string("load libcurl: ") + (why != nullptr ? why : kLibrary),
                 "install the Debian package libcurl4: `cluster: kube` needs it");
  };
  if (library == nullptr) return failed();
  bool complete = true;
  const auto find = [&](auto& function, const char* name) {
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    complete = complete && function != nullptr;
  };
  find(functions.easy_cleanup, "curl_easy_cleanup");
  find(functions.easy_getinfo, "curl_easy_getinfo");
  find(functions.easy_header, "curl_easy_header");
  find(functions.easy_init, "curl_easy_init");
  find(functions.easy_setopt, "curl_easy_setopt");
  find(functions.easy_strerror, "curl_easy_strerror");
  find(functions.global_init, "curl_global_init");
  find(functions.multi_add_handle, "curl_multi_add_handle");
  find(functions.multi_cleanup, "curl_multi_cleanup");
  find(functions.multi_info_read, "curl_multi_info_read");
  find(functions.multi_init, "curl_multi_init");
  find(functions.multi_perform, "curl_multi_perform");
  find(functions.multi_poll, "curl_multi_poll");
  find(functions.multi_remove_handle, "curl_multi_remove_handle");
  find(functions.multi_setopt, "curl_multi_setopt");
  find(functions.multi_wakeup, "curl_multi_wakeup");
  find(functions.slist_append, "curl_slist_append");
  find(functions.slist_free_all, "curl_slist_free_all");
  if (!complete) return failed();
  if (functions.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return Error(Code::kInternal, "libcurl cannot be initialised");
  return {};
}

}  // namespace

Status load_curl() {
  static const Status loaded = load();
  return loaded;
}

}  // namespace drasriov::cluster::kube

using drasriov::cluster::kube::functions;

// An argument of any type that libcurl takes here (long, curl_off_t, pointer) has one register's width.
static_assert(sizeof(void*) == sizeof(long) && sizeof(void*) == sizeof(curl_off_t));
#define DRASRIOV_LAST_ARGUMENT(after)           \
  std::va_list arguments;                       \
  va_start(arguments, after);                   \
  void* const value = va_arg(arguments, void*); \
  va_end(arguments)

// The signatures are libcurl's: clang minds that an enumeration is the last parameter before the "...".
#ifdef __clang__
#pragma clang diagnostic ignored "-Wvarargs"
#endif

extern "C" {

void curl_easy_cleanup(CURL* easy) {
  functions.easy_cleanup(easy);
}
CURLcode curl_easy_getinfo(CURL* easy, CURLINFO info, ...) {
  DRASRIOV_LAST_ARGUMENT(info);
  return functions.easy_getinfo(easy, info, value);
}
CURLHcode curl_easy_header(CURL* easy, const char* name, size_t index, unsigned int origin,
                           int request, struct curl_header** found) {
  return functions.easy_header(easy, name, index, origin, request, found);
}
CURL* curl_easy_init() {
  return functions.easy_init();
}
CURLcode curl_easy_setopt(CURL* easy, CURLoption option, ...) {
  DRASRIOV_LAST_ARGUMENT(option);
  return functions.easy_setopt(easy, option, value);
}
const char* curl_easy_strerror(CURLcode code) {
  return functions.easy_strerror(code);
}
CURLMcode curl_multi_add_handle(CURLM* multi, CURL* easy) {
  return functions.multi_add_handle(multi, easy);
}
CURLMcode curl_multi_cleanup(CURLM* multi) {
  return functions.multi_cleanup(multi);
}
CURLMsg* curl_multi_info_read(CURLM* multi, int* left) {
  return functions.multi_info_read(multi, left);
}
CURLM* curl_multi_init() {
  return functions.multi_init();
}
CURLMcode curl_multi_perform(CURLM* multi, int* running) {
  return functions.multi_perform(multi, running);
}
CURLMcode curl_multi_poll(CURLM* multi, struct curl_waitfd* fds, unsigned int count, int timeout,
                          int* ready) {
  return functions.multi_poll(multi, fds, count, timeout, ready);
}
CURLMcode curl_multi_remove_handle(CURLM* multi, CURL* easy) {
  return functions.multi_remove_handle(multi, easy);
}
CURLMcode curl_multi_setopt(CURLM* multi, CURLMoption option, ...) {
  DRASRIOV_LAST_ARGUMENT(option);
  return functions.multi_setopt(multi, option, value);
}
CURLMcode curl_multi_wakeup(CURLM* multi) {
  return functions.multi_wakeup(multi);
}
struct curl_slist* curl_slist_append(struct curl_slist* list, const char* text) {
  return functions.slist_append(list, text);
}
void curl_slist_free_all(struct curl_slist* list) {
  functions.slist_free_all(list);
}

}  // extern "C"
