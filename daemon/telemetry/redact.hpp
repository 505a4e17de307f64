// SPDX-License-Identifier: Apache-2.0
#pragma once

// Takes secrets out of what tools say, by their names and by their looks. Pure, linear in time, thread-safe. What has
// neither a telling name nor a known look cannot be found: the normalisers leave out whole fields that may hold such.

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

namespace histod::daemon::telemetry {

inline constexpr std::string_view k_redacted = "[redacted]";

/// Whether a member, variable or option of this name holds a secret: password, token, secret, credential,
/// authorization, cookie and the like anywhere in it, or "key" as its last word ("apiKey", "client-key"), but not
/// where it names something else ("public_key", "token_file", "resource_key").
bool is_secret_name(std::string_view name);

/// `text` without private keys in PEM (up to the end where that is missing), what stands behind "Bearer", user
/// information in URLs, values behind secret names ("password=x", "token: x", "--token x", `\"secret\":\"x\"`), and
/// words that look like credentials (of AWS, GitHub, GitLab, Slack, Vault, kubeadm; JSON web tokens). Of an unquoted
/// value one word is taken. Redacting again changes nothing.
std::string redact_text(std::string_view text);

/// The same for lines of one text: a private key may go over several, and behind a line that ends with a secret name
/// and a colon ("Using certificate key:") the next one is its value.
class LineRedactor {
 public:
  std::string line(std::string_view text);

 private:
  bool inside_key_ = false;
  bool name_before_ = false;
};

/// What redact_json() keeps; the rest is cut, and says so.
struct JsonBounds {
  unsigned depth_max = 10;
  std::size_t members_max = 100;         ///< of each object and array
  std::size_t string_bytes_max = 2'048;  ///< of each string
  std::size_t total_bytes_max = 12'288;  ///< of all strings and names together
};

/// A copy within `bounds`: strings by redact_text(), members by their names; also `value` beside a secret `name` or
/// beside `sensitive: true`, the word behind "--token" in an array, all of the data of a Kubernetes Secret. Kubernetes'
/// managedFields and last-applied-configuration are left out.
boost::json::value redact_json(const boost::json::value& value, const JsonBounds& bounds = {});

/// Valid UTF-8 without control characters and terminal sequences, at most `bytes_max` bytes with "…" where it was cut.
/// Newlines and tabs become blanks, or stay newlines with `keep_lines`.
std::string clean_text(std::string_view text, std::size_t bytes_max, bool keep_lines = false);

}  // namespace histod::daemon::telemetry
