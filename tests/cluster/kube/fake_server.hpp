// SPDX-License-Identifier: Apache-2.0
//
// FakeServer: an HTTP/1.1 server on loopback, plain or TLS, whose answers a test writes byte for byte: what an API server
// says, and every fault between it and the client. A thread for each connection.
#pragma once

#include <openssl/ssl.h>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "host/base/thread_annotations.hpp"
#include "host/base/unique_fd.hpp"

namespace drasriov::cluster::kube::testing {

struct Request {
  std::string method;
  std::string path;                            ///< without the query
  std::map<std::string, std::string> query;    ///< decoded
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string client;  ///< CN of the client's certificate, or empty
  std::string line() const { return method + " " + path; }
};

/// The way back to the client, for the time of one handler call.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual void raw(std::string_view bytes) = 0;
  /// After the handler the connection is closed.
  virtual void cut() = 0;
  /// Until the client goes or the server stops.
  virtual void hold() = 0;
  /// The same, for at most so long.
  virtual void pause(int milliseconds) = 0;

  void json(int code, std::string_view body, std::string_view more_headers = {});
  /// 200 with a body in chunks, as a watch.
  void begin_stream();
  void chunk(std::string_view bytes);
  void end_stream() { raw("0\r\n\r\n"); }
};

/// PEM texts.
struct TlsIdentity {
  std::string certificate;
  std::string key;
  std::string client_authority;  ///< when set, clients must have a certificate of it
};

class FakeServer {
 public:
  using Handler = std::function<void(const Request&, Reply&)>;

  /// `port` 0 = any free one.
  explicit FakeServer(Handler handler, std::optional<TlsIdentity> tls = {}, int port = 0);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  /// "http://127.0.0.1:port", or https.
  [[nodiscard]] std::string url() const;
  /// What was asked, in order: "GET /api/v1/nodes".
  [[nodiscard]] std::vector<std::string> lines() const;
  [[nodiscard]] std::size_t connections() const;

 private:
  struct Connection;
  void accept_all();
  void serve(Connection& connection);

  Handler handler_;
  SSL_CTX* tls_ = nullptr;
  UniqueFd listener_;
  UniqueFd stop_;  ///< readable once the server stops
  int port_ = 0;
  std::thread acceptor_;
  mutable Mutex mutex_;
  std::list<std::unique_ptr<Connection>> connections_ DRASRIOV_GUARDED_BY(mutex_);
  std::vector<std::string> lines_ DRASRIOV_GUARDED_BY(mutex_);
};

}  // namespace drasriov::cluster::kube::testing
