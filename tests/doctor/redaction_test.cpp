// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/redaction.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace drasriov::doctor {
namespace {

struct Text {
  const char* name;
  const char* before;
  const char* after;
};

void PrintTo(const Text& text, std::ostream* out) {
  *out << text.name;
}

class Redaction : public testing::TestWithParam<Text> {};

TEST_P(Redaction, LeavesTheRest) {
  EXPECT_EQ(redact_text(GetParam().before), GetParam().after);
}

const Text kTexts[] = {
    {"Yaml", "user: me\npassword: a b, c\nport: 1\n", "user: me\npassword: (redacted)\nport: 1\n"},
    {"Kubeconfig",
     "users:\n- name: admin\n  user:\n    client-certificate-data: QUJD\n"
     "    client-key-data: REVG==\n    token: abc.def\n- name: b\n",
     "users:\n- name: admin\n  user:\n    client-certificate-data: (redacted)\n"
     "    client-key-data: (redacted)\n    token: (redacted)\n- name: b\n"},
    {"YamlBlock", "a:\n  token: |\n    line1\n    line2\n  b: 1\n",
     "a:\n  token: |\n    (redacted)\n  b: 1\n"},
    {"YamlNextLine", "password:\n  hunter2\nnext: 1\n", "password:\n  (redacted)\nnext: 1\n"},
    {"YamlQuoted", "password: 'it is'  # note\n", "password: '(redacted)'  # note\n"},
    {"Json", R"({"token":"a\"b","x":1})", R"j({"token":"(redacted)","x":1})j"},
    {"JsonInText", R"({"config":"{\"password\":\"p\",\"vlan\":3}"})",
     R"j({"config":"{\"password\":\"(redacted)\",\"vlan\":3}"})j"},
    {"RegistryLogin", R"({"auths": {"r": {"auth": "dXNlcjpwYXNz"}}})",
     R"j({"auths": {"r": {"auth": "(redacted)"}}})j"},
    {"Environment", "PCIDEVICE_X=0000:11:10.0 DB_PASSWORD=abc MODE=x\n",
     "PCIDEVICE_X=0000:11:10.0 DB_PASSWORD=(redacted) MODE=x\n"},
    {"Toml", "password = \"p\"\nserver = \"s\"\n", "password = \"(redacted)\"\nserver = \"s\"\n"},
    {"MountOption", "//h/s /m cifs rw,username=u,password=p,vers=3 0 0",
     "//h/s /m cifs rw,username=u,password=(redacted),vers=3 0 0"},
    {"CommandLine", "--token abc --api-key=def --verbose --node n",
     "--token (redacted) --api-key=(redacted) --verbose --node n"},
    {"Bearer", "GET /x\nX: Bearer abc.def-1\nHost: h\n", "GET /x\nX: Bearer (redacted)\nHost: h\n"},
    {"AuthorizationHeader", "Authorization: Basic dXNlcg==\nHost: h\n",
     "Authorization: (redacted)\nHost: h\n"},
    {"Url", "at https://me:pw@host:8443/x?y=1 and http://host/a@b",
     "at https://(redacted)@host:8443/x?y=1 and http://host/a@b"},
    {"UrlWithAtInPassword", "postgres://u:p@ss@db/x", "postgres://(redacted)@db/x"},
    {"Pem", "k\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nz",
     "k\n(redacted)\nz"},
    {"PemCutShort", "-----BEGIN PRIVATE KEY-----\nMII", "(redacted)"},
    {"Certificate", "a\n-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\nb",
     "a\n(redacted)\nb"},
    {"WebToken", "got eyJhbGciOi.eyJzdWIi.c2ln here", "got (redacted) here"},
    {"Prose", "the token of the claim was lost", "the token of the claim was lost"},
    {"Empty", "", ""},
    {"KeyAtTheEnd", "password:", "password:"},
    {"QuoteNeverCloses", "token: \"abc", "token: \"(redacted)"}};

INSTANTIATE_TEST_SUITE_P(Texts, Redaction, testing::ValuesIn(kTexts),
                         [](const auto& text) { return std::string(text.param.name); });

TEST(RedactJson, StaysJson) {
  auto json = nlohmann::ordered_json::parse(
      R"({"b":"password: x \" y","apiToken":7,"secrets":[{"key":"v"}],"a":["Bearer z"]})");
  redact_json(json);
  EXPECT_EQ(
      json.dump(),
      R"j({"b":"password: (redacted)","apiToken":"(redacted)","secrets":[{"key":"v"}],"a":["Bearer (redacted)"]})j");
}

TEST(RedactJson, ArgumentAfterAFlag) {
  auto json = nlohmann::ordered_json::parse(R"(["kubelet","--token","abc","--token","-v","2"])");
  redact_json(json);
  EXPECT_EQ(json.dump(), R"j(["kubelet","--token","(redacted)","--token","-v","2"])j");
}

}  // namespace
}  // namespace drasriov::doctor
