// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "net/http/head_parser.hpp"
#include "net/http/header_guard.hpp"

// The first byte says in how large pieces the section arrives; the rest is the section. What is accepted must be what a
// strict reader could accept, and the same whether it came at once or in pieces.

namespace {

using namespace histod::net::http;

void require(bool holds) {
  if (!holds) std::abort();
}

std::size_t end_in_pieces(std::string_view data, std::size_t piece) {
  std::size_t scanned = 0;
  for (std::size_t size = 0; size < data.size();) {
    size = std::min(data.size(), size + piece);
    const auto end = find_header_end(data.substr(0, size), scanned, {});
    if (!end) return std::string_view::npos;
    if (*end > 0) return *end;
  }
  return 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const std::size_t end = end_in_pieces(data, 1u + bytes[0]);
  std::size_t scanned = 0;
  const auto at_once = find_header_end(data, scanned, {});
  if (end == std::string_view::npos || end == 0) {
    require(!at_once || *at_once == 0);
    return 0;
  }
  require(at_once && *at_once == end);
  std::vector<Field> fields;
  const auto parsed = parse_head(data.substr(0, end), {}, fields);
  if (!parsed) {
    require(parsed.error().status >= 400 && !parsed.error().detail.empty());
    return 0;
  }
  const GuardedHead& head = parsed->guarded;
  require(!(head.chunked && head.content_length));
  require(!(head.chunked && head.version_minor == 0));
  require(!head.method.empty() && !head.path.empty());
  require(head.fields == fields.size() && fields.size() <= 100);
  for (const Field& field : fields) {
    require(field.name.data() >= data.data() && field.name.data() + field.name.size() <= data.data() + end);
    require(field.name.find_first_of(" \t:\r\n") == std::string_view::npos);
    require(field.value.find_first_of("\r\n") == std::string_view::npos);
  }
  return 0;
}
