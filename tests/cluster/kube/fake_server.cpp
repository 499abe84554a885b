// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/kube/fake_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <stdexcept>

namespace drasriov::cluster::kube::testing {
namespace {

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string("fake server: ") + what);
}

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
};

X509* read_certificate(const std::string& pem) {
  const std::unique_ptr<BIO, BioDeleter> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
}

SSL_CTX* make_context(const TlsIdentity& identity) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  X509* certificate = read_certificate(identity.certificate);
  const std::unique_ptr<BIO, BioDeleter> key_bio(
      BIO_new_mem_buf(identity.key.data(), static_cast<int>(identity.key.size())));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr);
  const bool good = SSL_CTX_use_certificate(context, certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(context, key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!good) fail("bad certificate");
  if (!identity.client_authority.empty()) {
    X509* authority = read_certificate(identity.client_authority);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
    X509_free(authority);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

Request parse_head(std::string_view head) {
  Request request;
  const auto line = head.substr(0, head.find("\r\n"));
  const auto first = line.find(' ');
  const auto target = line.substr(first + 1, line.find(' ', first + 1) - first - 1);
  request.method = line.substr(0, first);
  const auto mark = target.find('?');
  request.path = target.substr(0, mark);
  std::string_view query =
      mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    request.query[decoded(pair.substr(0, equals))] = decoded(pair.substr(equals + 1));
  }
  head.remove_prefix(std::min(line.size() + 2, head.size()));
  while (!head.empty()) {
    const auto end = head.find("\r\n");
    const auto header = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
    const auto colon = header.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name(header.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    request.headers[name] = header.substr(std::min(colon + 2, header.size()));
  }
  return request;
}

}  // namespace

struct FakeServer::Connection final : Reply {
  explicit Connection(int fd, int stop_fd) : socket(fd), stop(stop_fd) {}
  ~Connection() override {
    if (ssl != nullptr) SSL_free(ssl);
  }

  void raw(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto sent =
          ssl != nullptr
              ? SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size()))
              : static_cast<int>(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
      if (sent <= 0) {
        close_after = true;
        return;
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void cut() override { close_after = true; }
  void hold() override {
    pause(-1);
    close_after = true;
  }
  void pause(int milliseconds) override {
    std::array<pollfd, 2> fds{pollfd{socket.get(), POLLRDHUP, 0}, pollfd{stop, POLLIN, 0}};
    (void)::poll(fds.data(), fds.size(), milliseconds);
  }

  /// Bytes as they come; empty = the client has gone or the server stops.
  std::string read_some() {
    std::array<char, 16384> buffer{};
    if (ssl == nullptr || SSL_pending(ssl) == 0) {
      std::array<pollfd, 2> fds{pollfd{socket.get(), POLLIN, 0}, pollfd{stop, POLLIN, 0}};
      if (::poll(fds.data(), fds.size(), -1) < 0 || fds[1].revents != 0) return {};
    }
    const auto got = ssl != nullptr
                         ? SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()))
                         : static_cast<int>(::recv(socket.get(), buffer.data(), buffer.size(), 0));
    return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
  }

  UniqueFd socket;
  const int stop;
  SSL* ssl = nullptr;
  bool close_after = false;
  std::thread thread;
};

void Reply::json(int code, std::string_view body, std::string_view more_headers) {
  std::string text =
      "HTTP/1.1 " + std::to_string(code) +
      " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n";
  text.append(more_headers).append("\r\n").append(body);
  raw(text);
}

void Reply::begin_stream() {
  raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

void Reply::chunk(std::string_view bytes) {
  std::array<char, 20> size{};
  (void)std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  raw(std::string(size.data()).append(bytes).append("\r\n"));
}

FakeServer::FakeServer(Handler handler, std::optional<TlsIdentity> tls, int port)
    : handler_(std::move(handler)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (tls) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to clients that have gone
    tls_ = make_context(*tls);
  }
  const int one = 1;
  ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_.get(), generic, size) != 0) fail("bind");
  if (::listen(listener_.get(), 64) != 0) fail("listen");
  if (::getsockname(listener_.get(), generic, &size) != 0) fail("getsockname");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeServer::~FakeServer() {
  const std::uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof(one));
  acceptor_.join();
  std::list<std::unique_ptr<Connection>> connections;
  {
    const MutexLock lock(mutex_);
    connections.swap(connections_);
  }
  for (const auto& connection : connections) connection->thread.join();
  if (tls_ != nullptr) SSL_CTX_free(tls_);
}

std::string FakeServer::url() const {
  return std::string(tls_ != nullptr ? "https" : "http") + "://127.0.0.1:" + std::to_string(port_);
}

std::vector<std::string> FakeServer::lines() const {
  const MutexLock lock(mutex_);
  return lines_;
}

std::size_t FakeServer::connections() const {
  const MutexLock lock(mutex_);
  return connections_.size();
}

void FakeServer::accept_all() {
  for (;;) {
    std::array<pollfd, 2> fds{pollfd{listener_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 || fds[1].revents != 0) return;
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    auto connection = std::make_unique<Connection>(fd, stop_.get());
    Connection& present = *connection;
    const MutexLock lock(mutex_);
    connections_.push_back(std::move(connection));
    present.thread = std::thread([this, &present] {
      serve(present);
      ::shutdown(present.socket.get(), SHUT_RDWR);
    });
  }
}

void FakeServer::serve(Connection& connection) {
  if (tls_ != nullptr) {
    connection.ssl = SSL_new(tls_);
    SSL_set_fd(connection.ssl, connection.socket.get());
    if (SSL_accept(connection.ssl) != 1) return;
  }
  std::string bytes;
  while (!connection.close_after) {
    std::size_t end = 0;
    while ((end = bytes.find("\r\n\r\n")) == std::string::npos) {
      const std::string more = connection.read_some();
      if (more.empty()) return;
      bytes += more;
    }
    Request request = parse_head(std::string_view(bytes).substr(0, end));
    bytes.erase(0, end + 4);
    const auto length = request.headers.find("content-length");
    const std::size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
    while (bytes.size() < size) {
      const std::string more = connection.read_some();
      if (more.empty()) return;
      bytes += more;
    }
    request.body = bytes.substr(0, size);
    bytes.erase(0, size);
    if (connection.ssl != nullptr) {
      if (X509* peer = SSL_get1_peer_certificate(connection.ssl)) {
        std::array<char, 64> name{};
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name.data(),
                                  static_cast<int>(name.size()));
        request.client = name.data();
        X509_free(peer);
      }
    }
    {
      const MutexLock lock(mutex_);
      lines_.push_back(request.line());
    }
    handler_(request, connection);
  }
}

}  // namespace drasriov::cluster::kube::testing
