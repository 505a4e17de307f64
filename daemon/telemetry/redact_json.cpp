// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "daemon/telemetry/redact.hpp"
#include "daemon/utf8.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

constexpr std::size_t k_json_name_bytes_max = 128;
constexpr std::string_view k_cut = "[cut]";

bool is_noise(std::string_view name) {
  return name == "managedFields" || name == "kubectl.kubernetes.io/last-applied-configuration";
}

bool has_text(const json::object& object, std::string_view name, std::string_view text) {
  const json::value* found = object.if_contains(name);
  return found && found->is_string() && found->get_string() == text;
}

/// Whether the member `value` of this object is a secret: beside "name": "DB_PASSWORD", or "sensitive": true.
bool has_secret_value(const json::object& object) {
  const json::value* sensitive = object.if_contains("sensitive");
  if (sensitive && sensitive->is_bool() && sensitive->get_bool()) return true;
  const json::value* name = object.if_contains("name");
  return name && name->is_string() && is_secret_name(name->get_string());
}

class JsonRedactor {
 public:
  explicit JsonRedactor(const JsonBounds& bounds) : bounds_(bounds), left_(bounds.total_bytes_max) {}

  json::value copy(const json::value& value, unsigned depth) {
    if (left_ == 0) return json::value(k_cut);
    if (const json::string* string = value.if_string()) return json::value(text(*string, bounds_.string_bytes_max));
    if (!value.is_structured()) {
      spend(8);
      return value;
    }
    if (depth == bounds_.depth_max) return json::value(k_cut);
    if (const json::array* array = value.if_array()) return copy_array(*array, depth);
    return copy_object(value.get_object(), depth);
  }

 private:
  void spend(std::size_t bytes) { left_ -= std::min(left_, bytes); }

  std::string text(std::string_view from, std::size_t bytes_max) {
    std::string out = clean_text(redact_text(clean_text(from, from.size(), true)), bytes_max, true);
    spend(out.size() + 4);
    return out;
  }

  json::value copy_array(const json::array& array, unsigned depth) {
    json::array out;
    bool behind_option = false;
    for (const json::value& each : array) {
      if (out.size() == bounds_.members_max || left_ == 0) {
        out.emplace_back(fmt::format("[{} more]", array.size() - out.size()));
        break;
      }
      out.push_back(behind_option ? json::value(k_redacted) : copy(each, depth + 1));
      const json::string* word = each.if_string();
      behind_option = !behind_option && word && word->starts_with('-') && is_secret_name(*word);
    }
    return out;
  }

  json::value copy_object(const json::object& object, unsigned depth) {
    const bool kubernetes_secret = has_text(object, "kind", "Secret");
    const bool secret_value = has_secret_value(object);
    json::object out;
    for (const auto& [name, value] : object) {
      if (is_noise(name)) continue;
      if (out.size() == bounds_.members_max || left_ == 0) {
        out[k_cut] = fmt::format("{} members", object.size());
        break;
      }
      const bool secret = is_secret_name(name) || (secret_value && name == "value") ||
                          (kubernetes_secret && (name == "data" || name == "stringData"));
      const bool empty = value.is_null() || value.is_bool();
      out[text(name, k_json_name_bytes_max)] = secret && !empty ? json::value(k_redacted) : copy(value, depth + 1);
    }
    return out;
  }

  const JsonBounds bounds_;
  std::size_t left_;
};

/// The bytes of a terminal sequence at the beginning of `text`, which begins with ESC.
std::size_t escape_bytes(std::string_view text) {
  if (text.size() < 2 || text[1] != '[') return std::min<std::size_t>(text.size(), 2);
  std::size_t at = 2;
  while (at < text.size() && text[at] >= 0x20 && text[at] < 0x40) ++at;
  return std::min(at + 1, text.size());
}

bool is_unseen(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

}  // namespace

json::value redact_json(const json::value& value, const JsonBounds& bounds) {
  return JsonRedactor(bounds).copy(value, 0);
}

std::string clean_text(std::string_view text, std::size_t bytes_max, bool keep_lines) {
  constexpr std::string_view k_more = "…";
  std::string out;
  std::size_t fits = 0;  // of `out`, when "…" must follow
  while (!text.empty()) {
    const char first = text.front();
    const CodePoint code = first_code_point(text);
    std::string_view piece = text.substr(0, code.bytes);
    std::size_t taken = code.bytes;
    if (code.bytes == 0) {
      piece = "\xef\xbf\xbd";
      taken = 1;
    } else if (first == '\x1b') {
      piece = {};
      taken = escape_bytes(text);
    } else if (is_unseen(code.value)) {
      piece = first == '\n' && keep_lines ? "\n" : first == '\n' || first == '\t' ? " " : "";
    }
    if (out.size() + piece.size() > bytes_max) {
      out.resize(fits);
      return bytes_max < k_more.size() ? out : out += k_more;
    }
    out += piece;
    if (out.size() + k_more.size() <= bytes_max) fits = out.size();
    text.remove_prefix(taken);
  }
  return out;
}

}  // namespace histod::daemon::telemetry
