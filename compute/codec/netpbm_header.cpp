// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/netpbm_header.hpp"

#include <charconv>

namespace histod::compute::codec::netpbm {
namespace {

constexpr std::size_t k_comments_max = 10'000;

bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }

/// Walks the words of a header. An empty word means that the file ended.
struct Words {
  std::string_view text;
  std::size_t at;
  std::vector<std::string_view>& comments;

  std::string_view rest_of_line() {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = std::min(end + 1, text.size());
    return line;
  }

  void skip_blanks() {
    while (at < text.size() && (blank(text[at]) || text[at] == '#')) {
      if (text[at] != '#') {
        ++at;
        continue;
      }
      std::string_view comment = rest_of_line();
      if (comment.ends_with('\r')) comment.remove_suffix(1);
      if (comments.size() < k_comments_max) comments.push_back(comment);
    }
  }

  std::string_view next() {
    skip_blanks();
    const std::size_t begin = at;
    while (at < text.size() && !blank(text[at]) && text[at] != '#') ++at;
    return text.substr(begin, at - begin);
  }
};

Result<std::uint32_t> number(std::string_view word) {
  if (word.empty()) return fail(Errc::truncated, "the file ends inside its netpbm header");
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size())
    return fail(Errc::corrupt, "the netpbm header has something other than a number where one is needed");
  return value;
}

Result<void> read_number(Words& words, std::uint32_t& to) {
  const auto value = number(words.next());
  if (!value) return std::unexpected(value.error());
  to = *value;
  return {};
}

Result<void> read_pnm_fields(Words& words, Header& header) {
  for (std::uint32_t* field : {&header.width, &header.height, &header.maxval})
    if (auto done = read_number(words, *field); !done) return done;
  header.channels = header.kind == '3' || header.kind == '6' ? 3 : 1;
  if (words.at >= words.text.size()) return fail(Errc::truncated, "the file ends after its netpbm header");
  if (!blank(words.text[words.at])) return fail(Errc::corrupt, "no white space between netpbm header and raster");
  ++words.at;
  return {};
}

Result<void> read_pam_fields(Words& words, Header& header) {
  for (;;) {
    const std::string_view word = words.next();
    if (word.empty()) return fail(Errc::truncated, "the file ends inside its PAM header");
    if (word == "ENDHDR") break;
    if (word == "TUPLTYPE") {
      while (words.at < words.text.size() && (words.text[words.at] == ' ' || words.text[words.at] == '\t')) ++words.at;
      header.tuple_type = words.rest_of_line();
      while (!header.tuple_type.empty() && blank(header.tuple_type.back())) header.tuple_type.remove_suffix(1);
      continue;
    }
    std::uint32_t* field = word == "WIDTH"    ? &header.width
                           : word == "HEIGHT" ? &header.height
                           : word == "DEPTH"  ? &header.channels
                           : word == "MAXVAL" ? &header.maxval
                                              : nullptr;
    if (field == nullptr) return fail(Errc::corrupt, "the PAM header has a line that is not known");
    if (auto done = read_number(words, *field); !done) return done;
  }
  words.rest_of_line();
  if (header.channels == 0 || header.channels > 255)
    return fail(Errc::unsupported_feature, "number of channels of the PAM", header.channels, 255);
  return {};
}

}  // namespace

PixelFormat Header::pixel_format() const {
  const bool alpha = (channels == 2 || channels == 4) && tuple_type.ends_with("_ALPHA");
  return {.colors = static_cast<std::uint8_t>(channels - alpha),
          .extras = static_cast<std::uint8_t>(alpha),
          .alpha = alpha,
          .depth_bits = static_cast<std::uint8_t>(maxval > 255 ? 16 : 8)};
}

Result<Header> read_header(Bytes file) {
  Header header;
  header.kind = as_text(file)[1];
  if (header.kind == '1' || header.kind == '4')
    return fail(Errc::unsupported_feature, "a netpbm bitmap (P1 or P4) has no levels to equalize");
  Words words{as_text(file), 2, header.comments};
  const auto done = header.kind == '7' ? read_pam_fields(words, header) : read_pnm_fields(words, header);
  if (!done) return std::unexpected(done.error());
  if (header.maxval == 0 || header.maxval > 65535)
    return fail(Errc::corrupt, "the netpbm maxval is not between 1 and 65535", header.maxval, 65535);
  header.data_offset = words.at;
  return header;
}

}  // namespace histod::compute::codec::netpbm
