// SPDX-License-Identifier: Apache-2.0
#include "tests/cluster/kube/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <stdexcept>

namespace drasriov::cluster::kube::testing {
namespace {

constexpr long kSecondsOfDay = 24L * 60 * 60;

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("certificates: ") + what);
}

EVP_PKEY* make_key() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  require(key != nullptr, "no key");
  return key;
}

void extend(X509* certificate, X509* issuer, int extension, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, extension, value.c_str());
  require(made != nullptr, "bad extension");
  X509_add_ext(certificate, made, -1);
  X509_EXTENSION_free(made);
}

/// `issuer` nullptr = itself.
X509* make_certificate(const std::string& name, EVP_PKEY* key, X509* issuer, Validity validity) {
  static std::atomic<long> serial = 1;
  X509* certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), validity.from * kSecondsOfDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), validity.to * kSecondsOfDay);
  X509_set_pubkey(certificate, key);
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate,
                       X509_get_subject_name(issuer != nullptr ? issuer : certificate));
  return certificate;
}

template <typename Write>
std::string pem_of(Write write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

}  // namespace

Authority::Authority(const std::string& name)
    : key_(make_key()),
      certificate_(make_certificate(name, key_, nullptr, {-2, 2})) {
  extend(certificate_, certificate_, NID_basic_constraints, "critical,CA:TRUE");
  extend(certificate_, certificate_, NID_subject_key_identifier, "hash");
  require(X509_sign(certificate_, key_, EVP_sha256()) > 0, "not signed");
}

Authority::~Authority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

std::string Authority::certificate() const {
  return pem_of([this](BIO* bio) { PEM_write_bio_X509(bio, certificate_); });
}

TlsIdentity Authority::sign(const std::string& name, const std::string& alternative,
                            Validity validity) const {
  EVP_PKEY* key = make_key();
  X509* certificate = make_certificate(name, key, certificate_, validity);
  if (!alternative.empty()) extend(certificate, certificate_, NID_subject_alt_name, alternative);
  require(X509_sign(certificate, key_, EVP_sha256()) > 0, "not signed");
  TlsIdentity identity;
  identity.certificate = pem_of([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
  identity.key = pem_of(
      [&](BIO* bio) { PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
  X509_free(certificate);
  EVP_PKEY_free(key);
  return identity;
}

}  // namespace drasriov::cluster::kube::testing
