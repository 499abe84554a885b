// SPDX-License-Identifier: Apache-2.0
//
// The runtime's side of the wire for tests, written from the NRI and ttrpc message definitions and
// not from the module's own encoder: what a containerd or CRI-O would send, and what it reads of
// our answers. Values; one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drasriov::runtime_nri::testing {

/// "00ff…" (spaces are skipped) as bytes.
[[nodiscard]] std::string unhex(std::string_view hex);

struct TestPod {
  std::string id = "cafe01";
  std::string name = "web";
  std::string uid = "1234-uid";
  std::string namespace_ = "default";
  std::string handler = "runc";
  std::string netns = "/var/run/netns/cni-1";  ///< empty = no entry of type network
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::uint32_t pid = 0;

  [[nodiscard]] std::string encode() const;
};

struct TestContainer {
  std::string id = "c1";
  std::string sandbox = "cafe01";
  std::string name = "app";
  int state = 1;

  [[nodiscard]] std::string encode() const;
};

[[nodiscard]] std::string configure_request(std::string_view name = "containerd",
                                            std::int64_t registration_ms = 5000,
                                            std::int64_t request_ms = 2000,
                                            std::string_view version = "v9.9.9");
[[nodiscard]] std::string synchronize_request(const std::vector<TestPod>& pods,
                                              const std::vector<TestContainer>& containers,
                                              bool more = false);
/// Body of RunPodSandbox, StopPodSandbox, RemovePodSandbox and CreateContainer.
[[nodiscard]] std::string hook_request(const TestPod& pod,
                                       const std::optional<TestContainer>& container = {});
[[nodiscard]] std::string state_change(int event, const TestPod& pod);

/// A ttrpc request frame of the Plugin service, without mux framing.
[[nodiscard]] std::string request_frame(std::uint32_t stream, std::string_view method,
                                        std::string_view payload,
                                        std::chrono::nanoseconds timeout = std::chrono::seconds(2),
                                        std::string_view service = "nri.pkg.api.v1alpha1.Plugin");
[[nodiscard]] std::string response_frame(std::uint32_t stream, std::string_view data = {});
/// bytes as one mux frame.
[[nodiscard]] std::string mux(std::uint32_t connection, std::string_view bytes);
/// bytes as mux frames of at most `size` bytes each.
[[nodiscard]] std::string mux_in_pieces(std::uint32_t connection, std::string_view bytes,
                                        std::size_t size);

/// One ttrpc message that the plugin wrote.
struct Written {
  std::uint32_t connection = 0;
  std::uint32_t stream = 0;
  std::uint8_t type = 0;
  int code = 0;         ///< of a response's status
  std::string message;  ///< likewise
  std::string payload;  ///< of a response or a request
  std::string method;   ///< of a request
};

/// Reads what the plugin writes as Go does: one mux frame for one read of at most 4,096 bytes, or
/// of exactly the rest of the message. A frame that Go would not take is a problem.
class GoReader {
 public:
  /// Whole messages so far; problem() tells why there will be no more.
  [[nodiscard]] std::vector<Written> feed(std::string_view bytes);
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  struct Stream {
    std::string buffer;
  };
  void take_frame(std::uint32_t connection, std::string_view payload, std::vector<Written>& to);

  std::string trunk_;
  std::map<std::uint32_t, Stream> streams_;
  std::string problem_;
};

}  // namespace drasriov::runtime_nri::testing
