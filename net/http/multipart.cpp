// SPDX-License-Identifier: Apache-2.0
#include "net/http/multipart.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

constexpr std::size_t k_boundary_bytes_max = 70;

std::unexpected<Refusal> malformed(std::string detail) {
  return std::unexpected(Refusal{400, "bad-request", "multipart: " + std::move(detail), 0, 0});
}

/// RFC 2046, 5.1.1; the space is allowed except at the end.
bool is_boundary(std::string_view text) {
  if (text.empty() || text.size() > k_boundary_bytes_max || text.back() == ' ') return false;
  return std::ranges::all_of(text, [](char c) {
    return is_alpha(c) || is_digit(c) ||
           (c != '\0' && std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos);
  });
}

/// One parameter after another of a field value: ; name=token or ; name="quoted".
class Parameters {
 public:
  explicit Parameters(std::string_view text) : rest_(text) {}

  struct Parameter {
    std::string_view name;
    std::string value;
  };

  /// Empty at the end; bad() tells whether it was a good end.
  std::optional<Parameter> next() {
    rest_ = trim(rest_);
    if (rest_.empty()) return std::nullopt;
    bad_ = true;
    if (rest_.front() != ';') return std::nullopt;
    rest_ = trim(rest_.substr(1));
    const std::size_t equals = rest_.find('=');
    if (equals == std::string_view::npos || !is_token(rest_.substr(0, equals))) return std::nullopt;
    Parameter parameter{rest_.substr(0, equals), {}};
    rest_.remove_prefix(equals + 1);
    const bool good = rest_.starts_with('"') ? take_quoted(parameter.value) : take_token(parameter.value);
    if (!good) return std::nullopt;
    bad_ = false;
    return parameter;
  }
  bool bad() const { return bad_; }

 private:
  bool take_token(std::string& value) {
    const auto end = std::ranges::find_if_not(rest_, is_token_char);
    value.assign(rest_.begin(), end);
    rest_.remove_prefix(value.size());
    return !value.empty();
  }

  /// A backslash escapes a quote or a backslash only: browsers of old sent paths of Windows with single ones.
  bool take_quoted(std::string& value) {
    for (std::size_t at = 1; at < rest_.size(); ++at) {
      if (rest_[at] == '"') {
        rest_.remove_prefix(at + 1);
        return true;
      }
      const bool escaped =
          rest_[at] == '\\' && at + 1 < rest_.size() && (rest_[at + 1] == '"' || rest_[at + 1] == '\\');
      if (escaped) ++at;
      value.push_back(rest_[at]);
    }
    return false;
  }

  std::string_view rest_;
  bool bad_ = false;
};

/// Browsers write a quote inside a name as %22 (the HTML standard's form encoding).
std::string unescape_quotes(std::string text) {
  for (std::size_t at = text.find("%22"); at != std::string::npos; at = text.find("%22", at + 1)) {
    text.replace(at, 3, "\"");
  }
  return text;
}

std::expected<void, Refusal> read_disposition(std::string_view value, Part& part) {
  const std::size_t semicolon = value.find(';');
  if (!iequals(trim(value.substr(0, semicolon)), "form-data")) return malformed("a part that is no form-data");
  if (semicolon == std::string_view::npos) return malformed("a part without a name");
  bool named = false;
  Parameters parameters(value.substr(semicolon));
  while (auto parameter = parameters.next()) {
    if (iequals(parameter->name, "name")) {
      if (std::exchange(named, true)) return malformed("a part with two names");
      part.name = unescape_quotes(std::move(parameter->value));
    } else if (iequals(parameter->name, "filename")) {
      if (part.filename) return malformed("a part with two file names");
      part.filename = unescape_quotes(std::move(parameter->value));
    }
  }
  if (parameters.bad()) return malformed("broken Content-Disposition");
  if (!named || part.name.empty()) return malformed("a part without a name");
  return {};
}

/// `header`: the lines of a part's header, each with its CRLF.
std::expected<Part, Refusal> read_part_header(std::string_view header) {
  Part part;
  part.content_type = "text/plain";
  bool disposed = false;
  while (!header.empty()) {
    const std::size_t end = header.find("\r\n");
    const std::string_view line = header.substr(0, end);
    header.remove_prefix(end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) || !is_field_text(line)) {
      return malformed("broken header field in a part");
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (iequals(name, "content-type")) part.content_type = value;
    if (iequals(name, "content-transfer-encoding") && !iequals(value, "binary") && !iequals(value, "8bit") &&
        !iequals(value, "7bit")) {
      return malformed("a part with a transfer encoding");
    }
    if (!iequals(name, "content-disposition")) continue;
    if (std::exchange(disposed, true)) return malformed("a part with two Content-Dispositions");
    if (auto read = read_disposition(value, part); !read) return std::unexpected(std::move(read.error()));
  }
  if (!disposed) return malformed("a part without Content-Disposition");
  return part;
}

/// The header's lines at the front of `text`, without the empty line.
std::expected<std::string_view, Refusal> cut_part_header(std::string_view text, std::size_t bytes_max) {
  if (text.starts_with("\r\n")) return text.substr(0, 0);
  const std::string_view window = text.substr(0, bytes_max + 2);
  const std::size_t end = window.find("\r\n\r\n");
  if (end != std::string_view::npos) return text.substr(0, end + 2);
  if (text.size() <= bytes_max) return malformed("the header of a part does not end");
  return std::unexpected(Refusal{413, "too-large", "multipart: the header of a part is too large", 0, bytes_max});
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::expected<std::string, Refusal> multipart_boundary(std::string_view content_type) {
  const std::size_t semicolon = content_type.find(';');
  if (!iequals(trim(content_type.substr(0, semicolon)), "multipart/form-data")) {
    return std::unexpected(Refusal{415, "unsupported", "the body is not multipart/form-data", 0, 0});
  }
  std::optional<std::string> boundary;
  Parameters parameters(semicolon == std::string_view::npos ? std::string_view() : content_type.substr(semicolon));
  while (auto parameter = parameters.next()) {
    if (!iequals(parameter->name, "boundary")) continue;
    if (boundary) return malformed("two boundaries in Content-Type");
    boundary = std::move(parameter->value);
  }
  if (parameters.bad()) return malformed("broken Content-Type");
  if (!boundary || !is_boundary(*boundary)) return malformed("Content-Type has no good boundary");
  return std::move(*boundary);
}

std::expected<std::vector<Part>, Refusal> parse_multipart(std::span<std::byte> body, std::string_view boundary,
                                                          const MultipartLimits& limits) {
  const std::string_view text = as_text(body);
  const std::string delimiter = "\r\n--" + std::string(boundary);
  const std::boyer_moore_horspool_searcher searcher(delimiter.begin(), delimiter.end());
  if (!text.starts_with(std::string_view(delimiter).substr(2)))
    return malformed("the body does not start with the boundary");
  std::vector<Part> parts;
  for (std::size_t at = delimiter.size() - 2;;) {
    if (text.substr(at, 2) == "--") break;
    if (text.substr(at, 2) != "\r\n") return malformed("a boundary is followed by something else");
    at += 2;
    if (parts.size() == limits.parts) {
      return std::unexpected(Refusal{413, "too-large", "multipart: too many parts", parts.size() + 1, limits.parts});
    }
    const auto header = cut_part_header(text.substr(at), limits.part_header_bytes);
    if (!header) return std::unexpected(header.error());
    auto part = read_part_header(*header);
    if (!part) return std::unexpected(std::move(part.error()));
    at += header->size() + 2;
    // The empty line's CRLF may be that of the delimiter behind an empty part.
    const auto end = std::search(text.begin() + static_cast<std::ptrdiff_t>(at - 2), text.end(), searcher);
    if (end == text.end()) return malformed("the closing boundary is missing");
    const auto end_at = static_cast<std::size_t>(end - text.begin());
    if (end_at < at) {
      part->body = body.subspan(at, 0);
    } else {
      part->body = body.subspan(at, end_at - at);
    }
    parts.push_back(std::move(*part));
    at = end_at + delimiter.size();
  }
  return parts;
}

}  // namespace histod::net::http
