// SPDX-License-Identifier: Apache-2.0
#include "host/cluster/kube/transfer.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>

namespace drasriov::cluster::kube {
namespace {

using std::chrono::milliseconds;

/// A peer that is gone is noticed after this time, also on a quiet watch.
constexpr long kKeepAliveSeconds = 30;
constexpr unsigned kUserTimeoutMilliseconds = 20'000;

/// Verification results of OpenSSL (x509_vfy.h) that have a cure of their own.
constexpr long kNotYetValid = 9;
constexpr long kExpired = 10;
constexpr long kSelfSigned = 18;
constexpr long kUnknownIssuer = 20;

int set_socket_options(void* /*self*/, curl_socket_t socket, curlsocktype /*purpose*/) {
  // Bytes that nobody acknowledges end the connection, and so do unanswered keep-alive probes.
  // Where the kernel refuses, the deadline of the request still holds.
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMilliseconds,
                     sizeof(kUserTimeoutMilliseconds));
  return CURL_SOCKOPT_OK;
}

Status set_blob(CURL* easy, CURLoption option, FileText& material) {
  if (material.empty()) return {};
  auto text = material.read();
  if (!text) return text.error();
  curl_blob blob{const_cast<char*>(text->data()), text->size(), CURL_BLOB_COPY};
  if (curl_easy_setopt(easy, option, &blob) != CURLE_OK) {
    return Error(Code::kResourceExhausted, "libcurl is out of memory");
  }
  return {};
}

void append(std::unique_ptr<curl_slist, void (*)(curl_slist*)>& list, const std::string& line) {
  if (curl_slist* longer = curl_slist_append(list.get(), line.c_str())) {
    (void)list.release();
    list.reset(longer);
  }
}

std::string certificate_hint(long verify_result) {
  switch (verify_result) {
    case kNotYetValid:
    case kExpired: return "compare the clock of this node with the dates of the certificate";
    case kSelfSigned:
    case kSelfSigned + 1:
    case kUnknownIssuer:
    case kUnknownIssuer + 1:
      return "certificate-authority must be the one that signed the API server's certificate";
    default:
      return "the server's certificate must carry the name or address that the driver connects to "
             "(kubeconfig: tls-server-name)";
  }
}

}  // namespace

Identity::Identity(const Connection& connection)
    : address_(host_of(connection.server) + ":" + port_of(connection.server)),
      url_base_(connection.server),
      proxy_(connection.proxy_url),
      loopback_(is_loopback(host_of(connection.server))),
      authority_(connection.authority, "certificate-authority"),
      certificate_(connection.client_certificate, "client-certificate"),
      key_(connection.client_key, "client-key"),
      token_(connection.token, "token") {
  if (connection.tls_server_name.empty()) return;
  // libcurl verifies the host of the URL: the URL gets the name, and the connection goes elsewhere.
  const std::string host = host_of(connection.server);
  const std::string port = port_of(connection.server);
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  host_header_ = "Host: " + shown + ":" + port;
  const auto authority_begin = url_base_.find("://") + 3;
  const auto path = url_base_.find('/', authority_begin);
  url_base_ = url_base_.substr(0, authority_begin) + connection.tls_server_name + ":" + port +
              (path == std::string::npos ? std::string() : url_base_.substr(path));
  const std::string redirect = "::" + shown + ":" + port;
  connect_to_.reset(curl_slist_append(nullptr, redirect.c_str()));
}

Status Identity::apply(CURL* easy) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!authority_.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);  // this authority and no other
    if (auto set = set_blob(easy, CURLOPT_CAINFO_BLOB, authority_); !set) return set;
  }
  if (auto set = set_blob(easy, CURLOPT_SSLCERT_BLOB, certificate_); !set) return set;
  if (auto set = set_blob(easy, CURLOPT_SSLKEY_BLOB, key_); !set) return set;
  if (connect_to_) curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to_.get());
  if (!proxy_.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy_.c_str());
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  } else if (loopback_) {
    curl_easy_setopt(easy, CURLOPT_PROXY, "");  // as Go: what is on this machine needs no proxy
  }
  return {};
}

Result<std::unique_ptr<Transfer>> Transfer::make(Identity& identity, const HttpRequest& request,
                                                 const HttpSettings& settings, milliseconds budget,
                                                 Consume consume) {
  std::unique_ptr<Transfer> transfer(new Transfer());
  transfer->easy_.reset(curl_easy_init());
  CURL* easy = transfer->easy_.get();
  if (easy == nullptr) return Error(Code::kResourceExhausted, "libcurl is out of memory");
  if (auto applied = identity.apply(easy); !applied) {
    return applied.error().with_context(request.name);
  }
  auto token = identity.token();
  if (!token) return token.error().with_context(request.name);
  transfer->token_ = *token;
  transfer->consume_ = std::move(consume);

  std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(nullptr, curl_slist_free_all);
  append(headers, "Accept: " + request.accept);
  append(headers, "Expect:");
  if (!request.content_type.empty()) append(headers, "Content-Type: " + request.content_type);
  if (!identity.host_header().empty()) append(headers, identity.host_header());
  if (!transfer->token_.empty()) append(headers, "Authorization: Bearer " + transfer->token_);
  transfer->headers_.reset(headers.release());

  curl_easy_setopt(easy, CURLOPT_URL, (identity.url_base() + request.target).c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers_.get());
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
  if (!request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
  }
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // never wait for a resolver that hangs
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error_.data());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::min(budget, settings.connect_timeout).count()));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(budget.count()));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, kKeepAliveSeconds);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, kKeepAliveSeconds / 3);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, set_socket_options);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::write);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
  return transfer;
}

std::size_t Transfer::write(char* data, std::size_t size, std::size_t count, void* self) {
  const std::string_view bytes(data, size * count);
  return static_cast<Transfer*>(self)->consume_(bytes) ? bytes.size() : 0;
}

long Transfer::code() const {
  long code = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &code);
  return code;
}

bool Transfer::was_sent() const {
  curl_off_t begun = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &begun);
  return begun != 0;
}

std::optional<std::chrono::seconds> Transfer::retry_after() const {
  curl_header* header = nullptr;
  if (curl_easy_header(easy_.get(), "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
    return std::nullopt;
  }
  const std::string_view text(header->value);
  int seconds = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  // The other form, a date, is not used by API servers.
  if (failed != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

std::string Transfer::warning() const {
  curl_header* header = nullptr;
  return curl_easy_header(easy_.get(), "Warning", 0, CURLH_HEADER, -1, &header) == CURLHE_OK
             ? std::string(header->value)
             : std::string();
}

Error Transfer::failure(CURLcode result, const HttpRequest& request,
                        const Identity& identity) const {
  const char* detail = error_[0] != '\0' ? error_.data() : curl_easy_strerror(result);
  std::string message =
      request.name + ": API server " + identity.address() + ": " + std::string(detail);
  std::string hint;
  Code code = Code::kUnavailable;
  switch (result) {
    case CURLE_OPERATION_TIMEDOUT: code = Code::kDeadlineExceeded; break;
    case CURLE_COULDNT_RESOLVE_HOST:
      hint = "the node's DNS does not know this name: an address in its place needs no DNS";
      break;
    case CURLE_COULDNT_RESOLVE_PROXY: hint = "the name of the proxy is not known to DNS"; break;
    case CURLE_COULDNT_CONNECT: hint = "is the API server up and reachable from this node?"; break;
    case CURLE_PEER_FAILED_VERIFICATION: {
      long verify_result = 0;
      curl_easy_getinfo(easy_.get(), CURLINFO_SSL_VERIFYRESULT, &verify_result);
      hint = certificate_hint(verify_result);
      break;
    }
    case CURLE_SSL_CERTPROBLEM:
      hint = "client-certificate and client-key must be PEM and belong together";
      break;
    case CURLE_SSL_CACERT_BADFILE:
      hint = "certificate-authority must be a PEM file with a certificate";
      break;
    default: break;
  }
  return {code, std::move(message), std::move(hint)};
}

bool is_passing(CURLcode result) {
  switch (result) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_WRITE_ERROR: return false;
    default: return true;
  }
}

}  // namespace drasriov::cluster::kube
