// SPDX-License-Identifier: Apache-2.0
//
// HttpClient: requests to one API server over libcurl's multi interface, with keep-alive and TLS >= 1.2 that is always
// verified. One I/O thread does all transfers and makes all sink calls; perform() and stream() from any other thread.
//
// HTTP/1.1: the multiplexing of HTTP/2 in Debian 12's libcurl 7.88 is known to stall streams that share a connection, and
// a watch that stalls is worse than the two connections that it saves.
//
// Repeated within the deadline: any request that never reached the server, 429 and 5xx answers with Retry-After, and
// idempotent requests after every transport error and 5xx. Everything else is for the caller to repeat.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/deadline.hpp"
#include "host/base/result.hpp"
#include "host/cluster/kube/connection.hpp"
#include "host/telemetry/log.hpp"

namespace drasriov::cluster::kube {

struct HttpRequest {
  std::string method = "GET";
  std::string target;  ///< path and query
  std::string body;
  std::string content_type;
  std::string accept = "application/json";
  std::string name;          ///< how messages call it: "get nodes worker-1"
  bool idempotent = true;    ///< doing it twice is doing it once
  bool rate_limited = true;  ///< waits for KUBE_API_QPS; false = the lane of prepare
};

struct HttpResponse {
  long code = 0;
  std::string body;
  std::string warning;  ///< of the header Warning, empty if there was none
};

/// What a stream tells, on the I/O thread.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  /// Bytes of the body of a 200 answer. True = they end in the middle of a message; an error ends the stream.
  [[nodiscard]] virtual Result<bool> data(std::string_view bytes) = 0;
  /// The stream is over, no call follows. Success: the server ended it, or the connection was cut after it had begun.
  /// `refusal` is set when the answer was another one than 200.
  virtual void closed(const Status& status, const HttpResponse* refusal) = 0;
};

/// A running stream; destroying it ends it, and no sink call is under way or follows then.
class HttpStream {
 public:
  virtual ~HttpStream() = default;
};

struct HttpSettings {
  std::string user_agent;
  double requests_per_second = 5;
  int burst = 10;
  std::size_t largest_body = 16U << 20U;
  std::chrono::milliseconds connect_timeout{std::chrono::seconds(5)};
  /// Of a stream: until its first header, and of an unfinished message until its end.
  std::chrono::milliseconds stream_patience{std::chrono::seconds(30)};
  std::chrono::milliseconds first_backoff{100};
  std::chrono::milliseconds longest_backoff{std::chrono::seconds(5)};
  int attempts = 4;             ///< of one request, all counted
  int attempts_when_told = 10;  ///< when the server itself said Retry-After
};

class HttpClient {
 public:
  /// Starts the thread; connects when there is something to ask. `log` outlives the client.
  /// Errors of a token or certificate that cannot be read, the first time.
  [[nodiscard]] static Result<std::unique_ptr<HttpClient>> start(const Connection& connection,
                                                                 HttpSettings settings,
                                                                 telemetry::Log& log);
  /// Ends all requests with CANCELLED. REQUIRES: the streams are gone.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// The server's answer, whatever its code. UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, INVALID_ARGUMENT (too large).
  [[nodiscard]] Result<HttpResponse> perform(HttpRequest request, Deadline deadline);
  /// Follows an answer that goes on, for at most `longest`. `sink` outlives the stream.
  [[nodiscard]] std::unique_ptr<HttpStream> stream(HttpRequest request,
                                                   std::chrono::milliseconds longest,
                                                   StreamSink& sink);
  /// From now on every perform() has ended by then, whatever its own deadline. A later call replaces the deadline.
  void end_by(Deadline deadline);

 private:
  class Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace drasriov::cluster::kube
