// SPDX-License-Identifier: Apache-2.0
#include "net/http/head_parser.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include "net/http/text.hpp"

namespace histod::net::http {

namespace {

namespace beast = boost::beast;
using beast::error_code;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

/// Keeps views where Beast's own container would copy every field.
template <bool request>
class FieldCollector final : public beast::http::basic_parser<request> {
 public:
  explicit FieldCollector(std::vector<Field>& fields) : fields_(fields) {}

 private:
  void on_request_impl(beast::http::verb, beast::string_view, beast::string_view, int, error_code&) override {}
  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value, error_code&) override {
    fields_.push_back({view(name), trim(view(value))});
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override { return body.size(); }
  void on_finish_impl(error_code&) override {}

  std::vector<Field>& fields_;
};

template <bool request>
bool same_framing(const FieldCollector<request>& parser, const auto& guarded) {
  const auto length = parser.content_length();
  return parser.chunked() == guarded.chunked && length.has_value() == guarded.content_length.has_value() &&
         (!length || *length == *guarded.content_length);
}

/// What the guard let pass, read by Beast: whether the connection stays, and the fields.
template <bool request>
std::expected<bool, Refusal> collect(std::string_view section, const auto& guarded, std::vector<Field>& fields) {
  fields.clear();
  FieldCollector<request> parser(fields);
  parser.header_limit(static_cast<std::uint32_t>(section.size() + 1));
  parser.body_limit(boost::none);
  parser.skip(true);
  error_code error;
  const std::size_t used = parser.put(boost::asio::buffer(section.data(), section.size()), error);
  const bool parsed = !error && used == section.size() && parser.is_header_done();
  if (!parsed || !same_framing(parser, guarded) || fields.size() != guarded.fields) {
    return std::unexpected(Refusal{400, "framing", "the header section is ambiguous", 0, 0});
  }
  return parser.keep_alive();
}

}  // namespace

std::expected<ParsedHead, Refusal> parse_head(std::string_view section, const GuardLimits& limits,
                                              std::vector<Field>& fields) {
  auto guarded = guard_header(section, limits);
  if (!guarded) return std::unexpected(std::move(guarded.error()));
  const auto keep_alive = collect<true>(section, *guarded, fields);
  if (!keep_alive) return std::unexpected(keep_alive.error());
  return ParsedHead{*guarded, *keep_alive};
}

std::expected<ParsedAnswer, Refusal> parse_answer_head(std::string_view section, const GuardLimits& limits,
                                                       std::vector<Field>& fields) {
  auto guarded = guard_answer(section, limits);
  if (!guarded) return std::unexpected(std::move(guarded.error()));
  const auto keep_alive = collect<false>(section, *guarded, fields);
  if (!keep_alive) return std::unexpected(keep_alive.error());
  return ParsedAnswer{*guarded, *keep_alive};
}

}  // namespace histod::net::http
