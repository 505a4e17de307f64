// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "net/http/head_parser.hpp"
#include "net/http/header_guard.hpp"

// The header section of an answer from a peer. What is accepted must be what a strict reader could accept.

namespace {

using namespace histod::net::http;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  std::size_t scanned = 0;
  const auto end = find_header_end(data, scanned, {});
  if (!end || *end == 0) return 0;
  std::vector<Field> fields;
  const auto parsed = parse_answer_head(data.substr(0, *end), {}, fields);
  if (!parsed) {
    require(!parsed.error().detail.empty());
    return 0;
  }
  const GuardedAnswer& head = parsed->guarded;
  require(data.starts_with("HTTP/1.") && head.status >= 100 && head.status <= 599);
  require(!(head.chunked && head.content_length) && !(head.chunked && head.version_minor == 0));
  const bool bodiless = head.status < 200 || head.status == 204;
  require(!bodiless || (!head.chunked && head.content_length.value_or(0) == 0));
  require(head.fields == fields.size() && fields.size() <= 100);
  for (const Field& field : fields) {
    require(field.name.data() >= data.data() && field.name.data() + field.name.size() <= data.data() + *end);
    require(field.name.find_first_of(" \t:\r\n") == std::string_view::npos);
    require(field.value.find_first_of("\r\n") == std::string_view::npos);
  }
  return 0;
}
