// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/record_text.hpp"

#include <algorithm>
#include <charconv>

#include <boost/json/parse.hpp>

#include "daemon/api/problem.hpp"

namespace histod::daemon::jobs {
namespace {

namespace json = boost::json;

constexpr std::size_t k_first_line_max = 128;
constexpr std::size_t k_depth_max = 8;

template <class T>
bool take_number(std::string_view& line, T& out) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out);
  if (error != std::errc{} || end == line.data() + line.size() || *end != ' ') return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
  return true;
}

}  // namespace

bool is_plain(std::string_view s) {
  return std::ranges::none_of(s, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

json::string text(std::string_view s) { return json::string(api::valid_utf8(s)); }

std::string encode_payload(std::string_view magic, unsigned version, const std::string& payload) {
  return fmt::format("{}{} {} {}\n{}", magic, version, payload.size(), sha256_hex(payload), payload);
}

std::expected<json::value, RecordError> decode_payload(std::string_view magic, unsigned known, std::string_view bytes) {
  if (bytes.size() > k_record_bytes_max) {
    return broken(fmt::format("the record has {} bytes, more than {}", bytes.size(), k_record_bytes_max));
  }
  std::string_view line = bytes.substr(0, bytes.substr(0, k_first_line_max).find('\n'));
  if (line.size() >= std::min(bytes.size(), k_first_line_max) || !line.starts_with(magic)) {
    return broken(fmt::format("the record does not start with a line `{}VERSION LENGTH SHA256`", magic));
  }
  const std::string_view payload = bytes.substr(line.size() + 1);
  line.remove_prefix(magic.size());
  unsigned version = 0;
  if (!take_number(line, version) || version == 0) return broken("the record's version is no number");
  if (version > known) {
    return std::unexpected(
        RecordError{true, fmt::format("the record has version {}, but this release knows {}", version, known)});
  }
  std::size_t length = 0;
  if (!take_number(line, length)) return broken("the record's length is no number");
  if (payload.size() != length) {
    return broken(
        fmt::format("the record has {} bytes after its first line, but should have {}", payload.size(), length));
  }
  if (line != sha256_hex(payload)) return broken("the record's checksum is wrong");
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = k_depth_max;
  json::value value = json::parse(payload, error, {}, options);
  if (error) return broken(fmt::format("the record is no JSON: {}", error.message()));
  return value;
}

}  // namespace histod::daemon::jobs
