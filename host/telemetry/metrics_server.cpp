// SPDX-License-Identifier: Apache-2.0
#include "host/telemetry/metrics_server.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <cstdint>
#include <deque>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "host/base/unique_fd.hpp"

namespace drasriov::telemetry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr std::uint32_t kMostHeaderBytes = 8192;
/// A client that sends without end is not read for ever: reads that find something at once leave a timer no room.
constexpr std::size_t kMostDrained = 4U << 20U;
/// Who comes while the server looks at others waits here.
constexpr int kBacklog = 16;
/// After an accept() that fails for want of descriptors, so that the thread does not spin.
constexpr std::chrono::milliseconds kAcceptPause{200};

constexpr const char* kPath = "/metrics";
constexpr const char* kSeriesType = "text/plain; version=0.0.4; charset=utf-8";
constexpr const char* kTextType = "text/plain; charset=utf-8";

struct Listener {
  UniqueFd fd;
  int family = AF_UNSPEC;
  int port = 0;
};

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// What to do about bind()'s error.
std::string hint_of(int error) {
  switch (error) {
    case EADDRINUSE:
      return "another program has the port: set metrics-port to a free one, 0 (any) or -1 (off)";
    case EADDRNOTAVAIL: return "set metrics-address to an address of this machine";
    case EACCES: return "set metrics-port to one above 1023: those below need a capability";
    default: return "set metrics-address and metrics-port to what this machine can serve";
  }
}

int port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  std::array<char, NI_MAXSERV> port{};
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  if (::getsockname(fd, raw, &size) != 0 ||
      ::getnameinfo(raw, size, nullptr, 0, port.data(), port.size(), NI_NUMERICSERV) != 0) {
    return 0;
  }
  return std::stoi(port.data());
}

/// Not through Asio, whose sockets a child process would inherit: a CNI plugin's daemon would keep the port.
Result<Listener> listen_on(const std::string& address, int port) {
  const std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
  const std::string what = "metrics: cannot listen on " + host + ":" + std::to_string(port) + ": ";
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int failed =
          ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &wanted, &found);
      failed != 0) {
    return Error(Code::kUnavailable, what + ::gai_strerror(failed), hint_of(EADDRNOTAVAIL));
  }
  const Addresses addresses(found, &::freeaddrinfo);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    UniqueFd fd(::socket(entry->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    // Connections of an earlier process that linger in the kernel do not keep the port.
    if (fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        ::bind(fd.get(), entry->ai_addr, entry->ai_addrlen) == 0 &&
        ::listen(fd.get(), kBacklog) == 0) {
      const int bound = port_of(fd.get());
      return Listener{std::move(fd), entry->ai_family, bound};
    }
    error = errno;
  }
  return Error(Code::kUnavailable, what + std::generic_category().message(error), hint_of(error));
}

/// One request and its answer. Lives as long as something of it is pending.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const Metrics& metrics)
      : stream_(std::move(socket)),
        metrics_(metrics),
        buffer_(kMostHeaderBytes) {
    parser_.header_limit(kMostHeaderBytes);
    // A body is refused with its method, not for its length.
    parser_.body_limit(std::numeric_limits<std::uint64_t>::max());
  }

  void start(std::chrono::milliseconds patience) {
    stream_.expires_after(patience);  // never set again: it is for all that follows
    http::async_read_header(
        stream_, buffer_, parser_,
        [self = shared_from_this()](ErrorCode error, std::size_t) { self->answer(error); });
  }

  void cut() { stream_.close(); }

 private:
  void answer(ErrorCode error) {
    using http::status;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return reply(status::request_header_fields_too_large, kTextType,
                   "the request's header is too long\n");
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message) return;
    if (error && error.category() == make_error_code(http::error::bad_method).category())
      return reply(status::bad_request, kTextType, "this is no HTTP request\n");
    if (error) return;  // the client is gone or too slow

    const auto target = parser_.get().target();
    if (target.substr(0, target.find('?')) != kPath)
      return reply(status::not_found, kTextType, "not found: the metrics are at /metrics\n");
    if (parser_.get().method() != http::verb::get) {
      response_.set(http::field::allow, "GET");
      return reply(status::method_not_allowed, kTextType, "only GET is served\n");
    }
    reply(status::ok, kSeriesType, metrics_.text());
  }

  void reply(http::status status, const char* type, std::string body) {
    response_.result(status);
    response_.version(11);
    response_.keep_alive(false);
    response_.set(http::field::content_type, type);
    // An answer to HEAD has no body.
    if (parser_.get().method() != http::verb::head) response_.body() = std::move(body);
    response_.prepare_payload();
    http::async_write(stream_, response_,
                      [self = shared_from_this()](ErrorCode error, std::size_t) {
                        ErrorCode ended;
                        if (!error)
                          self->stream_.socket().shutdown(tcp::socket::shutdown_send, ended);
                        if (!error && !ended) self->drain();
                      });
  }

  /// A socket that is closed with something unread in it takes back what was written: what the client still sends is read.
  void drain() {
    stream_.async_read_some(asio::buffer(unread_),
                            [self = shared_from_this()](ErrorCode error, std::size_t size) {
                              self->drained_ += size;
                              if (!error && self->drained_ < kMostDrained) self->drain();
                            });
  }

  beast::tcp_stream stream_;
  const Metrics& metrics_;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> response_;
  std::array<char, 16384> unread_{};
  std::size_t drained_ = 0;
};

}  // namespace

class MetricsServer::Impl {
 public:
  Impl(Settings settings, Listener listener, const Metrics& metrics)
      : settings_(std::move(settings)),
        family_(listener.family),
        metrics_(metrics),
        listener_(io_, listener.fd.release()),
        pause_(io_) {
    await();
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Impl() {
    io_.stop();
    thread_.join();
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

 private:
  void await() {
    listener_.async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode error) {
      if (!error) accept();
    });
  }

  void accept() {
    UniqueFd fd(
        ::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      pause_.expires_after(kAcceptPause);
      pause_.async_wait([this](ErrorCode error) {
        if (!error) await();
      });
      return;
    }
    if (fd) serve(std::move(fd));
    await();
  }

  void serve(UniqueFd fd) {
    std::erase_if(connections_, [](const auto& connection) { return connection.expired(); });
    if (connections_.size() >= settings_.most_connections) {
      if (const auto oldest = connections_.front().lock()) oldest->cut();
      connections_.pop_front();
    }
    tcp::socket socket(io_);
    ErrorCode error;
    socket.assign(family_ == AF_INET6 ? tcp::v6() : tcp::v4(), fd.get(), error);
    if (error) return;
    (void)fd.release();
    const auto connection = std::make_shared<Connection>(std::move(socket), metrics_);
    connections_.push_back(connection);
    connection->start(settings_.patience);
  }

  const Settings settings_;
  const int family_;
  const Metrics& metrics_;
  std::deque<std::weak_ptr<Connection>> connections_;  ///< the oldest first
  asio::io_context io_{1};                             ///< holds what is pending
  asio::posix::stream_descriptor listener_;
  asio::steady_timer pause_;
  std::thread thread_;
};

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(Settings settings,
                                                            const Metrics& metrics) {
  auto listener = listen_on(settings.address, settings.port);
  if (!listener) return std::move(listener).error();
  const int port = listener->port;
  auto impl = std::make_unique<Impl>(std::move(settings), *std::move(listener), metrics);
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl), port));
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl, int port)
    : impl_(std::move(impl)),
      port_(port) {}

MetricsServer::~MetricsServer() = default;

}  // namespace drasriov::telemetry
