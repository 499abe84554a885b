// SPDX-License-Identifier: Apache-2.0
//
// Transfer: one attempt of a request as a libcurl easy handle, and Identity: what every attempt needs of the connection
// (server, certificates, token). Both are of the I/O thread of the client.
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/result.hpp"
#include "host/cluster/kube/connection.hpp"
#include "host/cluster/kube/file_text.hpp"
#include "host/cluster/kube/http_client.hpp"

namespace drasriov::cluster::kube {

/// Who the driver is and who the server must be; files are read again when they changed.
class Identity {
 public:
  explicit Identity(const Connection& connection);

  /// Sets address, TLS and proxy of the handle. Errors: a file that never could be read.
  [[nodiscard]] Status apply(CURL* easy);
  /// Empty when there is none.
  [[nodiscard]] Result<std::string_view> token() { return token_.read(); }
  /// After a 401: the file is read again whatever its time says.
  void distrust_token() { token_.forget(); }
  [[nodiscard]] const std::string& url_base() const { return url_base_; }
  /// "Host: …" for a server with tls-server-name, else empty.
  [[nodiscard]] const std::string& host_header() const { return host_header_; }
  [[nodiscard]] bool has_token() const { return !token_.empty(); }
  /// "host:port", for messages.
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  struct SlistDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  std::string address_;
  std::string url_base_;
  std::string host_header_;
  std::string proxy_;
  bool loopback_ = false;
  std::unique_ptr<curl_slist, SlistDeleter> connect_to_;
  FileText authority_;
  FileText certificate_;
  FileText key_;
  FileText token_;
};

class Transfer {
 public:
  /// Gets the bytes of the body; false ends the transfer.
  using Consume = std::function<bool(std::string_view)>;

  [[nodiscard]] static Result<std::unique_ptr<Transfer>> make(Identity& identity,
                                                              const HttpRequest& request,
                                                              const HttpSettings& settings,
                                                              std::chrono::milliseconds budget,
                                                              Consume consume);
  ~Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  [[nodiscard]] CURL* handle() const { return easy_.get(); }
  /// 0 until the status line came.
  [[nodiscard]] long code() const;
  /// False: the server cannot have seen any of it.
  [[nodiscard]] bool was_sent() const;
  [[nodiscard]] std::optional<std::chrono::seconds> retry_after() const;
  [[nodiscard]] std::string warning() const;
  [[nodiscard]] const std::string& token() const { return token_; }
  /// Why the transport failed, with what to do about it. UNAVAILABLE or DEADLINE_EXCEEDED.
  [[nodiscard]] Error failure(CURLcode result, const HttpRequest& request,
                              const Identity& identity) const;

 private:
  Transfer() = default;
  static std::size_t write(char* data, std::size_t size, std::size_t count, void* self);

  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct SlistDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  // libcurl refers to these until the handle is gone: it is declared last.
  Consume consume_;
  std::string token_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::unique_ptr<curl_slist, SlistDeleter> headers_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
};

/// Whether the same again may go better: no certificate that does not fit.
[[nodiscard]] bool is_passing(CURLcode result);

}  // namespace drasriov::cluster::kube
