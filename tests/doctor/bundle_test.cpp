// SPDX-License-Identifier: Apache-2.0
#include "host/doctor/bundle.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/base/encoding.hpp"
#include "host/claim/record.hpp"
#include "tests/doctor/good_facts.hpp"
#include "tests/doctor/machine_tree.hpp"

namespace drasriov::doctor {
namespace {

using Files = std::map<std::string, std::string>;
constexpr std::chrono::system_clock::time_point kNow{std::chrono::seconds(1'700'000'000)};

/// Every file of a .tar.gz; {} when it is none.
Files unpack(const std::string& bytes) {
  struct Free {
    void operator()(::archive* it) const { archive_read_free(it); }
  };
  const std::unique_ptr<::archive, Free> in(archive_read_new());
  archive_read_support_filter_gzip(in.get());
  archive_read_support_format_tar(in.get());
  if (archive_read_open_memory(in.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) return {};
  Files files;
  ::archive_entry* entry = nullptr;
  while (archive_read_next_header(in.get(), &entry) == ARCHIVE_OK) {
    EXPECT_EQ(archive_entry_mtime(entry), 0);
    EXPECT_EQ(archive_entry_perm(entry), 0600U);
    std::string text(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
    const auto got = archive_read_data(in.get(), text.data(), text.size());
    EXPECT_EQ(got, static_cast<la_ssize_t>(text.size()));
    files[archive_entry_pathname(entry)] = text;
  }
  return files;
}

Files archived(const Bundle& bundle) {
  const auto bytes = bundle.archive("b", "1.2.3", kNow);
  EXPECT_TRUE(bytes);
  return unpack(*bytes);
}

nlohmann::json manifest_of(const Files& files) {
  return nlohmann::json::parse(files.at("b/manifest.json"));
}

nlohmann::json listed(const Files& files, std::string_view path) {
  const auto manifest = manifest_of(files);
  for (const auto& file : manifest["files"])
    if (file["path"] == path) return file;
  return nullptr;
}

TEST(Bundle, HoldsEachFileAndSaysWhereItCameFrom) {
  Bundle bundle;
  bundle.add("z.txt", "here", "last\n");
  bundle.add("a.txt", "there", "");
  bundle.add_missing("gone.txt", "/x", Error(Code::kNotFound, "open /x: not there"));
  const Files files = archived(bundle);
  EXPECT_EQ(files.size(), 3U);
  EXPECT_EQ(files.at("b/z.txt"), "last\n");
  EXPECT_EQ(files.at("b/a.txt"), "");
  const auto manifest = manifest_of(files);
  EXPECT_EQ(manifest["format"], 1);
  EXPECT_EQ(manifest["version"], "1.2.3");
  EXPECT_EQ(manifest["created"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(manifest["files"][0]["path"], "a.txt");
  EXPECT_EQ(
      listed(files, "z.txt"),
      (nlohmann::json{
          {"path", "z.txt"}, {"origin", "here"}, {"size", 5}, {"sha256", sha256_hex("last\n")}}));
  EXPECT_EQ(listed(files, "gone.txt")["error"], "open /x: not there");
  EXPECT_EQ(bundle.missing(), 1U);
}

TEST(Bundle, IsTheSameForTheSameContent) {
  const auto make = [](bool reversed) {
    Bundle bundle;
    bundle.add(reversed ? "b" : "a", "o", reversed ? "2" : "1");
    bundle.add(reversed ? "a" : "b", "o", reversed ? "1" : "2");
    return *bundle.archive("b", "1", kNow);
  };
  EXPECT_EQ(make(false), make(false));
  EXPECT_EQ(make(false), make(true));
}

TEST(Bundle, NamesThatNoTarKnowsAreEscaped) {
  Bundle bundle;
  bundle.add("claims/a\xff\n%.json", "o", "{}");
  const Files files = archived(bundle);
  EXPECT_TRUE(files.contains("b/claims/a%FF%0A%25.json"));
}

TEST(Bundle, JsonThatIsNestedTooDeeplyIsText) {
  Bundle bundle;
  bundle.add("deep.json", "o", std::string(1'000'000, '[') + R"("password: hunter2")");
  bundle.add("closed.json", "o", std::string(1'000'000, '[') + std::string(1'000'000, ']'));
  const Files files = archived(bundle);
  EXPECT_TRUE(files.contains("b/closed.json"));
  EXPECT_EQ(files.at("b/deep.json").find("hunter2"), std::string::npos);
}

TEST(Bundle, IsBounded) {
  Bundle bundle({.file = 10, .total = 15});
  bundle.add("1", "o", "0123456789abc");
  bundle.add("2", "o", "012345");
  bundle.add("3", "o", "01234");
  const Files files = archived(bundle);
  EXPECT_EQ(files.at("b/1"), "0123456789");
  EXPECT_EQ(listed(files, "1")["cut"], true);
  EXPECT_FALSE(files.contains("b/2"));
  EXPECT_EQ(listed(files, "2")["error"], "left out: the bundle has reached its size");
  EXPECT_EQ(files.at("b/3"), "01234");
}

TEST(Bundle, RedactsTextsJsonAndErrors) {
  Bundle bundle;
  bundle.add("a.txt", "o", "password: hunter2\n");
  bundle.add("b.json", "o", R"({"message":"token: hunter2 \" left","next":1})");
  bundle.add("c.json", "o", R"({"token":"hunter2", no json)");
  bundle.add_missing("d", "o", Error(Code::kUnknown, "GET https://u:hunter2@h/x"));
  const Files files = archived(bundle);
  for (const auto& [path, content] : files)
    EXPECT_EQ(content.find("hunter2"), std::string::npos) << path << ": " << content;
  EXPECT_EQ(nlohmann::json::parse(files.at("b/b.json"))["next"], 1);
}

TEST(Bundle, OfAMachine) {
  const MachineTree tree;
  const std::string claims = "plugins/sriovnetwork.openshift.io/claims/";
  tree.put("proc/cmdline", "quiet secret=hunter2 intel_iommu=on\n");
  tree.put("sys/bus/pci/devices/0000:11:00.0/vendor", "0x8086\n");
  tree.link("sys/bus/pci/devices/0000:11:00.0/driver", "../../drivers/igb");
  tree.put("cdi/ours.json", R"({"kind":"sriovnetwork.openshift.io/vf"})");
  tree.put("cdi/theirs.json", R"({"kind":"nvidia.com/gpu"})");
  claim::Record record;
  record.claim = {"ns", "c", "uid-1"};
  record.devices.resize(1);
  record.devices[0].plan.netconf_json = R"({"type":"x","wpa":"hunter2"})";
  record.devices[0].attachments.resize(1);
  record.devices[0].attachments[0].config_json = R"({"wpa":"hunter2"})";
  record.devices[0].attachments[0].result_json = R"({"wpa":"hunter2"})";
  tree.put(claims + "uid-1.json", claim::encode_record(record));
  tree.put(claims + "uid-2.json", "{\"netconf\":\"hunter2");
  tree.put(claims + "quarantine/uid-3.reason", "cut short");
  tree.put(claims + "uid-4.json", std::string(1'000'000, '[') + std::string(1'000'000, ']'));
  tree.put("elsewhere.json", R"({"nobody":"asked for this"})");
  tree.link(claims + "uid-5.json", tree.path("elsewhere.json"));
  const auto before = tree.listing();

  Bundle bundle;
  Facts facts = good_facts();
  facts.vfs.clear();
  add_machine(tree.configuration(), facts, bundle);
  EXPECT_EQ(tree.listing(), before);
  const Files files = archived(bundle);
  EXPECT_EQ(files.at("b/proc/cmdline"), "quiet secret=(redacted) intel_iommu=on\n");
  EXPECT_EQ(files.at("b/sys/0000:11:00.0.txt"),
            "== vendor\n0x8086\n== driver -> ../../drivers/igb\n");
  EXPECT_TRUE(files.contains("b/cdi/ours.json"));
  EXPECT_FALSE(files.contains("b/cdi/theirs.json"));
  EXPECT_NE(files.at("b/claims/uid-1.json").find("\"uid-1\""), std::string::npos);
  EXPECT_TRUE(files.contains("b/claims/quarantine/uid-3.reason"));
  EXPECT_NE(listed(files, "claims/uid-2.json")["error"].get<std::string>().find("no JSON"),
            std::string::npos);
  EXPECT_NE(listed(files, "claims/uid-4.json")["error"].get<std::string>().find("no JSON"),
            std::string::npos);
  EXPECT_FALSE(files.contains("b/claims/uid-5.json"));
  EXPECT_NE(files.at("b/directories.txt").find("uid-5.json -> "), std::string::npos);
  EXPECT_NE(listed(files, "proc/version")["error"], nullptr);
  for (const auto& [path, content] : files)
    EXPECT_EQ(content.find("hunter2"), std::string::npos) << path << ": " << content;
}

}  // namespace
}  // namespace drasriov::doctor
