// SPDX-License-Identifier: Apache-2.0
#include "ttrpc.hpp"

#include <algorithm>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "mux.hpp"
#include "utf8.hpp"

namespace drasriov::runtime_nri {
namespace {

// ttrpc.Request, ttrpc.Response and google.rpc.Status.
constexpr protozero::pbf_tag_type kService = 1;
constexpr protozero::pbf_tag_type kMethod = 2;
constexpr protozero::pbf_tag_type kPayload = 3;
constexpr protozero::pbf_tag_type kTimeoutNano = 4;
constexpr protozero::pbf_tag_type kStatus = 1;
constexpr protozero::pbf_tag_type kResponsePayload = 2;
constexpr protozero::pbf_tag_type kStatusCode = 1;
constexpr protozero::pbf_tag_type kStatusMessage = 2;

/// What a runtime's log and a pod's event can show.
constexpr std::size_t kMaxErrorText = 4096;

std::string_view text(const protozero::data_view& view) {
  return {view.data(), view.size()};
}
protozero::data_view view(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

bool MessageReader::take(std::string_view& bytes) {
  if (header_size_ < kTtrpcHeaderSize) {
    const std::size_t taken = std::min(bytes.size(), kTtrpcHeaderSize - header_size_);
    std::copy_n(bytes.data(), taken, header_.data() + header_size_);
    header_size_ += taken;
    bytes.remove_prefix(taken);
    if (header_size_ < kTtrpcHeaderSize) return false;
    left_ = read_u32(header_.data());
    message_.stream = read_u32(header_.data() + 4);
    message_.type = static_cast<std::uint8_t>(header_[8]);
    message_.too_long = left_ > kMaxReceivedMessage;
  }
  const std::string_view piece = bytes.substr(0, left_);
  if (!message_.too_long) message_.data.append(piece);
  left_ -= static_cast<std::uint32_t>(piece.size());
  bytes.remove_prefix(piece.size());
  if (left_ > 0) return false;
  header_size_ = 0;
  return true;
}

void append_message(std::string& trunk, std::uint32_t connection, std::uint32_t stream,
                    std::uint8_t type, std::string_view data) {
  std::string header;
  append_u32(header, static_cast<std::uint32_t>(data.size()));
  append_u32(header, stream);
  header.push_back(static_cast<char>(type));
  header.push_back(0);  // flags: unary
  append_mux_frame(trunk, connection, header);
  if (!data.empty()) append_mux_frame(trunk, connection, data);
}

std::optional<Request> parse_request(std::string_view data) try {
  Request request;
  protozero::pbf_reader reader(view(data));
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(kService, protozero::pbf_wire_type::length_delimited):
        request.service = text(reader.get_view());
        break;
      case tag_and_type(kMethod, protozero::pbf_wire_type::length_delimited):
        request.method = text(reader.get_view());
        break;
      case tag_and_type(kPayload, protozero::pbf_wire_type::length_delimited):
        request.payload = text(reader.get_view());
        break;
      case tag_and_type(kTimeoutNano, protozero::pbf_wire_type::varint):
        request.timeout = std::chrono::nanoseconds(std::max<std::int64_t>(reader.get_int64(), 0));
        break;
      default: reader.skip();
    }
  }
  return request;
} catch (const protozero::exception&) {
  return std::nullopt;
}

std::optional<Response> parse_response(std::string_view data) try {
  Response response;
  protozero::pbf_reader reader(view(data));
  while (reader.next(kStatus, protozero::pbf_wire_type::length_delimited)) {
    protozero::pbf_reader status = reader.get_message();
    while (status.next()) {
      switch (status.tag_and_type()) {
        case tag_and_type(kStatusCode, protozero::pbf_wire_type::varint):
          response.code = static_cast<sdk::Code>(status.get_int32());
          break;
        case tag_and_type(kStatusMessage, protozero::pbf_wire_type::length_delimited):
          response.message = text(status.get_view());
          break;
        default: status.skip();
      }
    }
  }
  return response;
} catch (const protozero::exception&) {
  return std::nullopt;
}

std::string encode_request(const Request& request) {
  std::string data;
  protozero::pbf_writer writer(data);
  writer.add_string(kService, view(request.service));
  writer.add_string(kMethod, view(request.method));
  writer.add_bytes(kPayload, view(request.payload));
  writer.add_int64(kTimeoutNano, request.timeout.count());
  return data;
}

std::string encode_success(std::string_view payload) {
  std::string data;
  if (!payload.empty()) protozero::pbf_writer(data).add_bytes(kResponsePayload, view(payload));
  return data;
}

std::string encode_failure(sdk::Code code, std::string_view message) {
  const std::string clean = valid_utf8(message.substr(0, kMaxErrorText));
  std::string data;
  protozero::pbf_writer writer(data);
  protozero::pbf_writer status(writer, kStatus);
  status.add_int32(kStatusCode, static_cast<std::int32_t>(code));
  status.add_string(kStatusMessage, clean);
  status.commit();
  return data;
}

}  // namespace drasriov::runtime_nri
