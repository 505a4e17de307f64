// SPDX-License-Identifier: Apache-2.0
#include "net/http/header_guard.hpp"

#include <algorithm>
#include <charconv>

#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

constexpr std::size_t k_method_bytes_max = 32;

std::unexpected<Refusal> malformed(std::string detail) {
  Refusal refusal;
  refusal.detail = std::move(detail);
  return std::unexpected(std::move(refusal));
}

std::unexpected<Refusal> over_limit(unsigned status, std::string_view code, std::string detail, std::uint64_t value,
                                    std::uint64_t limit) {
  return std::unexpected(Refusal{status, code, std::move(detail), value, limit});
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\r' && c != '\n') || byte == 0x7f;
}

/// Set to a refusal's text when the byte at `at` can never be right; data[at + 1] may not have arrived yet.
const char* bad_byte(std::string_view data, std::size_t at) {
  const char c = data[at];
  if (is_control(c)) return "control character in the header section";
  if (c == '\n' && (at == 0 || data[at - 1] != '\r')) return "line feed without carriage return";
  if (at > 0 && data[at - 1] == '\r' && c != '\n') return "carriage return without line feed";
  if (at == 0 && !is_token_char(c)) return "the request does not start with a method";
  return nullptr;
}

std::expected<void, Refusal> check_size(std::string_view data, std::size_t end, const GuardLimits& limits) {
  const std::string_view seen = data.substr(0, end);
  const std::size_t line_end = seen.find('\r');
  const std::size_t line_bytes_max = k_method_bytes_max + limits.target_bytes + sizeof " HTTP/1.1";
  if (line_end == std::string_view::npos && seen.size() > line_bytes_max) {
    return over_limit(414, "target-too-long", "the request line is too long", seen.size(), line_bytes_max);
  }
  if (seen.size() <= limits.header_bytes) return {};
  return over_limit(431, "header-too-large", "the header section is too large", seen.size(), limits.header_bytes);
}

bool is_path_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && std::string_view("\"#<>\\^`{|}?").find(c) == std::string_view::npos;
}

bool is_query_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && std::string_view("\"#<>").find(c) == std::string_view::npos;
}

bool is_authority_char(char c) {
  return is_alpha(c) || is_digit(c) || std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
}

bool escapes_are_whole(std::string_view text) {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (at + 2 >= text.size() || hex_value(text[at + 1]) < 0 || hex_value(text[at + 2]) < 0) return false;
  }
  return true;
}

template <class Predicate>
bool all_of(std::string_view text, Predicate predicate) {
  for (const char c : text) {
    if (!predicate(c)) return false;
  }
  return true;
}

/// Field by field, what bears on framing; the same checks whatever the order of the fields.
class FieldGuard {
 public:
  FieldGuard(GuardedHead& head, const GuardLimits& limits, bool of_request)
      : head_(head), limits_(limits), of_request_(of_request) {}

  std::expected<void, Refusal> take(std::string_view line) {
    if (line.front() == ' ' || line.front() == '\t') return malformed("folded or indented header field");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("header field without a colon");
    const std::string_view name = line.substr(0, colon);
    if (!is_token(name)) return malformed("header field name is empty or has a bad character");
    if (++head_.fields > limits_.header_fields) {
      return over_limit(431, "header-too-large", "too many header fields", head_.fields, limits_.header_fields);
    }
    return take(name, trim(line.substr(colon + 1)));
  }

  std::expected<void, Refusal> finish() const {
    if (of_request_ && head_.version_minor == 1 && hosts_ == 0) return malformed("no Host field");
    if (head_.chunked && head_.version_minor == 0) return malformed("Transfer-Encoding with HTTP/1.0");
    if (head_.chunked && head_.content_length) return malformed("both Content-Length and Transfer-Encoding");
    return {};
  }

 private:
  std::expected<void, Refusal> take(std::string_view name, std::string_view value) {
    if (iequals(name, "content-length")) return take_content_length(value);
    if (iequals(name, "transfer-encoding")) return take_transfer_encoding(value);
    if (!of_request_) return {};
    if (iequals(name, "host")) return take_host(value);
    if (iequals(name, "expect")) return take_expect(value);
    return {};
  }

  std::expected<void, Refusal> take_content_length(std::string_view value) {
    if (head_.content_length) return malformed("more than one Content-Length");
    if (value.empty() || !all_of(value, is_digit)) return malformed("Content-Length is not a plain decimal number");
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    // Signed 63 bits: what a proxy with a signed length would read as negative is no length.
    if (error != std::errc() || length > INT64_MAX) return malformed("Content-Length is out of range");
    head_.content_length = length;
    return {};
  }

  std::expected<void, Refusal> take_transfer_encoding(std::string_view value) {
    if (head_.chunked) return malformed("more than one Transfer-Encoding");
    if (value != "chunked") return malformed("a Transfer-Encoding other than chunked");
    head_.chunked = true;
    return {};
  }

  std::expected<void, Refusal> take_host(std::string_view value) {
    if (++hosts_ > 1) return malformed("more than one Host");
    if (value.empty() || !all_of(value, is_authority_char)) return malformed("Host is empty or has a bad character");
    head_.host = value;
    return {};
  }

  std::expected<void, Refusal> take_expect(std::string_view value) {
    if (!iequals(value, "100-continue")) {
      return std::unexpected(Refusal{417, "expectation-failed", "the only known expectation is 100-continue", 0, 0});
    }
    head_.expect_continue = head_.version_minor == 1;
    return {};
  }

  GuardedHead& head_;
  const GuardLimits& limits_;
  const bool of_request_;
  std::size_t hosts_ = 0;
};

/// All lines from `at` on, up to the empty one.
std::expected<void, Refusal> guard_fields(std::string_view section, std::size_t at, FieldGuard& fields) {
  while (at + 2 < section.size()) {
    const std::size_t line_end = section.find('\r', at);
    auto taken = fields.take(section.substr(at, line_end - at));
    if (!taken) return taken;
    at = line_end + 2;
  }
  return fields.finish();
}

std::expected<void, Refusal> check_whole(std::string_view section, const GuardLimits& limits) {
  std::size_t scanned = 0;
  const auto end = find_header_end(section, scanned, limits);
  if (!end) return std::unexpected(end.error());
  if (*end != section.size() || section.empty()) return malformed("not one whole header section");
  return {};
}

/// "HTTP/1.1 200 OK"; the phrase may be empty, but not the space before it.
std::expected<GuardedHead, Refusal> guard_status_line(std::string_view line, unsigned& status) {
  GuardedHead head;
  const std::string_view version = line.substr(0, line.find(' '));
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return malformed("the version is neither HTTP/1.1 nor HTTP/1.0");
  head.version_minor = version.back() == '1' ? 1 : 0;
  const std::string_view digits = line.substr(std::min(version.size() + 1, line.size()), 3);
  const std::size_t phrase = version.size() + 1 + 3;
  if (digits.size() != 3 || !all_of(digits, is_digit) || line.size() <= phrase || line[phrase] != ' ')
    return malformed("the status is not three digits between two spaces");
  std::from_chars(digits.data(), digits.data() + digits.size(), status);
  if (status < 100 || status > 599) return malformed("the status is not from 100 to 599");
  return head;
}

std::expected<GuardedHead, Refusal> guard_request_line(std::string_view line, const GuardLimits& limits) {
  GuardedHead head;
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return malformed("the request line has not three parts");
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(head.method) || head.method.size() > k_method_bytes_max) return malformed("the method is not a token");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return malformed("the version is neither HTTP/1.1 nor HTTP/1.0");
  head.version_minor = version.back() == '1' ? 1 : 0;
  if (head.target.size() > limits.target_bytes) {
    return over_limit(414, "target-too-long", "the request target is too long", head.target.size(),
                      limits.target_bytes);
  }
  auto target = split_target(head.method, head.target);
  if (!target) return std::unexpected(std::move(target.error()));
  head.path = target->path;
  head.query = target->query;
  head.host = target->authority;
  return head;
}

}  // namespace

std::expected<std::size_t, Refusal> find_header_end(std::string_view data, std::size_t& scanned,
                                                    const GuardLimits& limits) {
  for (std::size_t at = scanned; at < data.size(); ++at) {
    if (const char* const detail = bad_byte(data, at)) return malformed(detail);
    if (data[at] == '\n' && at >= 3 && data[at - 2] == '\n') {
      const auto sized = check_size(data, at + 1, limits);
      if (!sized) return std::unexpected(sized.error());
      return at + 1;
    }
  }
  scanned = data.size();
  const auto sized = check_size(data, data.size(), limits);
  if (!sized) return std::unexpected(sized.error());
  return 0;
}

std::expected<GuardedHead, Refusal> guard_header(std::string_view section, const GuardLimits& limits) {
  const auto whole = check_whole(section, limits);
  if (!whole) return std::unexpected(whole.error());
  const std::size_t line_end = section.find('\r');
  auto head = guard_request_line(section.substr(0, line_end), limits);
  if (!head) return head;
  const std::string_view authority = head->host;
  FieldGuard fields(*head, limits, true);
  const auto guarded = guard_fields(section, line_end + 2, fields);
  if (!guarded) return std::unexpected(guarded.error());
  if (!authority.empty() && !iequals(authority, head->host)) return malformed("Host and the request target disagree");
  return head;
}

std::expected<GuardedAnswer, Refusal> guard_answer(std::string_view section, const GuardLimits& limits) {
  const auto whole = check_whole(section, limits);
  if (!whole) return std::unexpected(whole.error());
  const std::size_t line_end = section.find('\r');
  unsigned status = 0;
  auto head = guard_status_line(section.substr(0, line_end), status);
  if (!head) return std::unexpected(head.error());
  FieldGuard fields(*head, limits, false);
  const auto guarded = guard_fields(section, line_end + 2, fields);
  if (!guarded) return std::unexpected(guarded.error());
  const bool bodiless = status < 200 || status == 204;
  if (bodiless && (head->chunked || head->content_length.value_or(0) > 0))
    return malformed("a body is announced with a status that has none");
  return GuardedAnswer{status, head->version_minor, head->fields, head->content_length, head->chunked};
}

std::expected<Target, Refusal> split_target(std::string_view method, std::string_view target) {
  Target parts;
  std::string_view rest = target;
  if (method == "OPTIONS" && target == "*") return Target{target, {}, {}};
  if (!rest.starts_with('/')) {
    const std::size_t scheme = rest.find("://");
    if (scheme == std::string_view::npos) return malformed("the request target is no path");
    if (!iequals(rest.substr(0, scheme), "http") && !iequals(rest.substr(0, scheme), "https")) {
      return malformed("the request target is neither a path nor an http URL");
    }
    rest.remove_prefix(scheme + 3);
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return malformed("the request target has no path");
    parts.authority = rest.substr(0, slash);
    if (parts.authority.empty() || !all_of(parts.authority, is_authority_char)) {
      return malformed("the authority of the request target is empty or has a bad character");
    }
    rest.remove_prefix(slash);
  }
  const std::size_t mark = rest.find('?');
  parts.path = rest.substr(0, mark);
  if (mark != std::string_view::npos) parts.query = rest.substr(mark + 1);
  if (!all_of(parts.path, is_path_char) || !all_of(parts.query, is_query_char)) {
    return malformed("bad character in the request target");
  }
  if (!escapes_are_whole(parts.path) || !escapes_are_whole(parts.query)) {
    return malformed("broken percent-encoding in the request target");
  }
  return parts;
}

}  // namespace histod::net::http
