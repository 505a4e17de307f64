// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/redact.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <utility>
#include <vector>

namespace histod::daemon::telemetry {

namespace {

constexpr std::string_view k_key_begin = "-----BEGIN ";
constexpr std::string_view k_dashes = "-----";  // of a key; they belong to no word
constexpr std::string_view k_key_end = "-----END ";
constexpr std::string_view k_private_key = "PRIVATE KEY";
constexpr std::size_t k_label_bytes_max = 64;  // of "RSA PRIVATE KEY-----"

bool is_alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_word(char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_space(char c) { return is_blank(c) || c == '\n' || c == '\r'; }
bool is_quote(char c) { return c == '"' || c == '\'' || c == '`'; }

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

/// "clientKey_data.x" -> client, key, data, x.
std::vector<std::string> name_words(std::string_view name) {
  std::vector<std::string> words(1);
  char before = 0;
  for (const char c : name) {
    const bool hump = is_upper(c) && is_lower_digit(before);
    if ((hump || !is_alnum(c)) && !words.back().empty()) words.emplace_back();
    if (is_alnum(c)) words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    before = c;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

constexpr std::array<std::string_view, 12> k_secret_parts{"password",  "passwd",     "passphrase",    "secret",
                                                          "token",     "credential", "authorization", "apikey",
                                                          "accesskey", "privatekey", "cookie",        "sessionid"};
constexpr std::array<std::string_view, 6> k_secret_ends{"key", "keys", "pwd", "pass", "auth", "pin"};
constexpr std::array<std::string_view, 10> k_open_ends{"file",    "path", "name", "ref",   "expiry",
                                                       "expires", "ttl",  "type", "count", "timeout"};
constexpr std::array<std::string_view, 10> k_open_keys{"public", "resource", "id",      "host",  "partition",
                                                       "sort",   "primary",  "foreign", "cache", "routing"};

bool all_of_prefix(std::string_view word, std::string_view prefix, std::size_t tail_min) {
  return word.starts_with(prefix) && word.size() >= prefix.size() + tail_min;
}

/// AKIAIOSFODNN7EXAMPLE and its kin.
bool is_aws_id(std::string_view word) {
  constexpr std::array<std::string_view, 8> k_kinds{"AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA", "ANVA", "ABIA"};
  return word.size() >= 16 && word.size() <= 128 && is_one_of(word.substr(0, 4), k_kinds) &&
         std::ranges::all_of(word, [](char c) { return is_upper(c) || (c >= '0' && c <= '9'); });
}

/// abcdef.0123456789abcdef
bool is_kubeadm_token(std::string_view word) {
  return word.size() == 23 && word[6] == '.' && std::ranges::all_of(word.substr(0, 6), is_lower_digit) &&
         std::ranges::all_of(word.substr(7), is_lower_digit);
}

bool is_web_token(std::string_view word) {
  return word.starts_with("eyJ") && word.size() >= 20 && word.find('.') != std::string_view::npos;
}

bool looks_secret(std::string_view word) {
  struct Prefix {
    std::string_view text;
    std::size_t tail_min;
  };
  constexpr std::array<Prefix, 14> k_prefixes{{{"ghp_", 16},
                                               {"gho_", 16},
                                               {"ghu_", 16},
                                               {"ghs_", 16},
                                               {"ghr_", 16},
                                               {"github_pat_", 16},
                                               {"glpat-", 16},
                                               {"xoxb-", 10},
                                               {"xoxp-", 10},
                                               {"xoxa-", 10},
                                               {"hvs.", 16},
                                               {"hvb.", 16},
                                               {"npm_", 30},
                                               {"dop_v1_", 32}}};
  while (word.ends_with('.')) word.remove_suffix(1);
  return is_aws_id(word) || is_kubeadm_token(word) || is_web_token(word) ||
         std::ranges::any_of(k_prefixes, [&](const Prefix& p) { return all_of_prefix(word, p.text, p.tail_min); });
}

class TextRedactor {
 public:
  explicit TextRedactor(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (take_private_key() || take_user_information() || take_word()) continue;
      out_ += text_[at_++];
    }
    return std::move(out_);
  }

 private:
  char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  void keep_until(std::size_t end) {
    out_ += text_.substr(at_, end - at_);
    at_ = end;
  }
  void drop_until(std::size_t end) {
    out_ += k_redacted;
    at_ = end;
  }
  std::size_t skip(std::size_t at, bool (*good)(char)) const {
    while (at < text_.size() && good(text_[at])) ++at;
    return at;
  }
  std::size_t skip_word(std::size_t at) const {
    return skip(at, [](char c) { return !is_space(c) && !is_quote(c); });
  }

  bool take_private_key() {
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(k_key_begin)) return false;
    const std::string_view label = rest.substr(k_key_begin.size(), k_label_bytes_max);
    if (label.find(k_private_key) == std::string_view::npos) return false;
    const std::size_t tail = rest.find(k_key_end);
    const std::size_t name = tail == std::string_view::npos ? tail : rest.find(k_private_key, tail);
    if (name == std::string_view::npos) {
      drop_until(text_.size());
    } else {
      drop_until(skip(at_ + name + k_private_key.size(), [](char c) { return c == '-'; }));
    }
    return true;
  }

  /// Behind "://" up to the last '@' before the path.
  bool take_user_information() {
    if (!text_.substr(at_).starts_with("://")) return false;
    keep_until(at_ + 3);
    const std::size_t end =
        skip(at_, [](char c) { return !is_space(c) && !is_quote(c) && c != '/' && c != '?' && c != '#' && c != '\\'; });
    const std::size_t sign = text_.substr(at_, end - at_).rfind('@');
    if (sign != std::string_view::npos) drop_until(at_ + sign);
    return true;
  }

  bool take_word() {
    if (text_.substr(at_).starts_with(k_dashes)) {
      out_ += text_[at_++];
      return true;
    }
    std::size_t end = at_;
    while (end < text_.size() && is_word(text_[end]) && !text_.substr(end).starts_with(k_dashes)) ++end;
    if (end == at_) return false;
    const std::string_view word = text_.substr(at_, end - at_);
    if (looks_secret(word)) {
      drop_until(end);
      return true;
    }
    const bool bearer = lowered(word) == "bearer";
    const bool secret = !bearer && is_secret_name(word);
    keep_until(end);
    if (bearer && is_blank(peek(at_))) take_next_word("");
    if (word == "-u" || word == "--user" || word == "--proxy-user") take_next_word(":");
    if (secret) take_named_value(word);
    return true;
  }

  /// When it contains `part`.
  void take_next_word(std::string_view part) {
    const std::size_t begin = skip(at_, is_blank);
    const std::size_t end = skip_word(begin);
    if (end == begin || !text_.substr(begin, end - begin).contains(part)) return;
    keep_until(begin);
    if (!text_.substr(at_).starts_with(k_redacted)) drop_until(end);
  }

  /// From behind the name to the value's first character, or npos where no value follows.
  std::size_t find_value(std::string_view name) const {
    std::size_t at = skip(at_, [](char c) { return c == '\\' || is_quote(c) || c == ']'; });
    const bool closed = at != at_;
    at = skip(at, is_blank);
    const char separator = peek(at);
    const bool option = name.starts_with('-');
    if (separator == '=' || separator == ':') {
      at = skip(at, [](char c) { return c == '=' || c == ':' || c == '>'; });
    } else if (option && closed && separator == ',') {
      ++at;
    } else if (!option || at == at_) {
      return std::string_view::npos;
    }
    return skip(at, is_blank);
  }

  void take_named_value(std::string_view name) {
    const std::size_t begin = find_value(name);
    if (begin == std::string_view::npos || begin >= text_.size()) return;
    const std::size_t opened = skip(begin, [](char c) { return c == '\\'; });
    if (is_quote(peek(opened))) return take_quoted(begin, opened);
    const char first = peek(begin);
    if (text_.substr(begin).starts_with(k_redacted)) return keep_until(begin + k_redacted.size());
    if (first == '[' || first == '{') return take_bracket(begin, first == '[' ? ']' : '}');
    take_plain(begin, name);
  }

  /// The value ends at a quote with no more backslashes before it than the first one had.
  void take_quoted(std::size_t begin, std::size_t opened) {
    const char quote = text_[opened];
    const std::size_t slashes_max = opened - begin;
    std::size_t slashes = 0;
    std::size_t at = opened + 1;
    for (; at < text_.size(); ++at) {
      const bool doubled = slashes_max == 0 && peek(at + 1) == quote;  // SQL's and YAML's way to write a quote
      if (text_[at] == quote && slashes <= slashes_max && !doubled) break;
      if (text_[at] == quote && doubled) ++at;
      slashes = text_[at] == '\\' ? slashes + 1 : 0;
    }
    keep_until(opened + 1);
    if (at == at_) return;
    drop_until(at - (at < text_.size() ? std::min(slashes, at - at_) : 0));
  }

  void take_bracket(std::size_t begin, char end) {
    const std::size_t at = text_.find(end, begin);
    keep_until(begin);
    drop_until(at == std::string_view::npos ? text_.size() : at + 1);
  }

  void take_plain(std::size_t begin, std::string_view name) {
    constexpr std::array<std::string_view, 6> k_schemes{"bearer", "basic", "digest", "token", "negotiate", "apikey"};
    constexpr std::array<std::string_view, 5> k_nothing{"true", "false", "null", "none", "nil"};
    const std::string lower = lowered(name);
    std::size_t end = begin;
    if (lower.contains("authorization") || lower.contains("cookie")) {
      end = skip(begin, [](char c) { return c != '\n' && c != '\r' && !is_quote(c); });
    } else {
      end = plain_end(begin);
      const std::string word = lowered(text_.substr(begin, end - begin));
      if (is_one_of(word, k_nothing)) return;
      if (const std::size_t next = skip(end, is_blank); is_one_of(word, k_schemes) && next > end) end = plain_end(next);
    }
    if (end == begin) return;
    keep_until(begin);
    drop_until(end);
  }

  /// One word; a comma, semicolon or bracket at its end is the sentence's.
  std::size_t plain_end(std::size_t begin) const {
    std::size_t end = skip_word(begin);
    while (end > begin && std::string_view(",;)}]").contains(text_[end - 1])) --end;
    return end;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

bool is_secret_name(std::string_view name) {
  const std::vector<std::string> words = name_words(name);
  if (words.empty() || is_one_of(words.back(), k_open_ends)) return false;
  std::string joined;
  for (const std::string& word : words) joined += word;
  if (joined == "automountserviceaccounttoken") return false;
  if (std::ranges::any_of(k_secret_parts, [&](std::string_view part) { return joined.contains(part); })) return true;
  if (!is_one_of(words.back(), k_secret_ends)) {
    return words.size() > 1 && words.back() == "data" && words[words.size() - 2] == "key";  // client-key-data
  }
  return words.size() == 1 || !is_one_of(words[words.size() - 2], k_open_keys);
}

std::string redact_text(std::string_view text) { return TextRedactor(text).run(); }

std::string LineRedactor::line(std::string_view text) {
  std::string out;
  const bool value = std::exchange(name_before_, false) && !text.empty();
  if (inside_key_) {
    const std::size_t tail = text.find(k_key_end);
    if (tail == std::string_view::npos) return std::string(k_redacted);
    const std::size_t dashes = text.find("-----", tail + k_key_end.size());
    text.remove_prefix(dashes == std::string_view::npos ? text.size() : dashes + 5);
    inside_key_ = false;
    out = k_redacted;
  }
  const std::size_t begin = text.rfind(k_key_begin);
  inside_key_ = begin != std::string_view::npos &&
                text.substr(begin, k_key_begin.size() + k_label_bytes_max).contains(k_private_key) &&
                text.find(k_key_end, begin) == std::string_view::npos;
  if (value) return std::string(k_redacted);
  if (text.ends_with(':') || text.ends_with('=')) {
    const std::string_view before = text.substr(0, text.size() - 1);
    const auto word = std::find_if_not(before.rbegin(), before.rend(), is_word);
    name_before_ = is_secret_name(before.substr(static_cast<std::size_t>(before.rend() - word)));
  }
  return out + redact_text(text);
}

}  // namespace histod::daemon::telemetry
