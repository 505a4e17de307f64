// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "net/http/head_parser.hpp"
#include "net/http/message.hpp"
#include "net/http/websocket.hpp"

// The header section of a request. An upgrade that is accepted is one that RFC 6455, 4.2.1 describes.

namespace {

using namespace histod::net::http;

void require(bool holds) {
  if (!holds) std::abort();
}

bool inside(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  std::vector<Field> fields;
  const auto parsed = parse_head(data, {}, fields);
  if (!parsed) return 0;
  RequestHead head;
  head.method = parsed->guarded.method;
  head.fields = fields;
  head.content_length = parsed->guarded.content_length;
  head.chunked = parsed->guarded.chunked;
  head.version_minor = parsed->guarded.version_minor;
  for (const std::string_view subprotocol : websocket_subprotocols(head)) {
    require(!subprotocol.empty() && inside(subprotocol, data) && !subprotocol.contains(','));
  }
  if (const auto trouble = websocket_trouble(head)) {
    require((trouble->status == 400 || trouble->status == 426) && !trouble->detail.empty());
    return 0;
  }
  require(is_websocket_upgrade(head) && head.method == "GET" && data.contains("HTTP/1.1\r\n"));
  require(!head.chunked && head.content_length.value_or(0) == 0);
  require(head.field("sec-websocket-version") == "13" && head.field("sec-websocket-key").size() == 24);
  return 0;
}
