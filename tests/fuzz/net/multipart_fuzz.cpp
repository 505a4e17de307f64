// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "net/http/multipart.hpp"

// The first line is the Content-Type, the rest is the body. Parts lie inside the body, in order, and hold no boundary.

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace histod::net::http;
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  const std::size_t line = data.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto boundary = multipart_boundary(data.substr(0, line));
  if (!boundary) return 0;
  require(!boundary->empty() && boundary->size() <= 70);
  const std::string_view rest = data.substr(line + 1);
  std::vector<std::byte> body(rest.size());
  for (std::size_t i = 0; i < rest.size(); ++i) body[i] = static_cast<std::byte>(rest[i]);
  const auto parts = parse_multipart(body, *boundary, {.parts = 4, .part_header_bytes = 256});
  if (!parts) {
    require(parts.error().status == 400 || parts.error().status == 413);
    return 0;
  }
  require(parts->size() <= 4);
  const std::byte* last = body.data();
  for (const Part& part : *parts) {
    require(!part.name.empty());
    require(part.body.data() >= last && part.body.data() + part.body.size() <= body.data() + body.size());
    const std::string_view text(reinterpret_cast<const char*>(part.body.data()), part.body.size());
    require(text.find("\r\n--" + *boundary) == std::string_view::npos);
    last = part.body.data() + part.body.size();
  }
  return 0;
}
