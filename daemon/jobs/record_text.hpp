// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <boost/json/value.hpp>
#include <fmt/core.h>

#include "daemon/jobs/digest.hpp"

/// The form that all records of the spool have: a first line `MAGIC VERSION LENGTH SHA256`, of the JSON that follows
/// and ends with the file.
namespace histod::daemon::jobs {

inline constexpr std::size_t k_record_bytes_max = 1u << 20;

struct RecordError {
  bool newer = false;  ///< written by a later release: leave it alone
  std::string reason;
};
inline std::unexpected<RecordError> broken(std::string reason) {
  return std::unexpected(RecordError{false, std::move(reason)});
}

/// `magic` ends with a space.
std::string encode_payload(std::string_view magic, unsigned version, const std::string& payload);
/// `version` is the latest that is known.
std::expected<boost::json::value, RecordError> decode_payload(std::string_view magic, unsigned version,
                                                              std::string_view bytes);

/// No control characters: these texts end in header fields, logs and pages.
bool is_plain(std::string_view s);
/// As JSON can hold it.
boost::json::string text(std::string_view s);

/// Takes members out of an object and remembers the first thing that is wrong.
class RecordReader {
 public:
  RecordReader(const boost::json::value& value, std::string where, std::string& error)
      : where_(std::move(where)), error_(error) {
    object_ = value.if_object();
    if (object_ == nullptr) fail("", "must be an object");
  }

  const boost::json::value* member(std::string_view name) {
    if (object_ == nullptr) return nullptr;
    const boost::json::value* value = object_->if_contains(name);
    if (value == nullptr) fail(name, "is missing");
    return value;
  }
  const boost::json::value* optional(std::string_view name) const {
    return object_ == nullptr ? nullptr : object_->if_contains(name);
  }

  void take(std::string_view name, std::string& out) {
    if (const boost::json::value* value = member(name)) take_text(name, *value, out);
  }
  void take(std::string_view name, bool& out) {
    const boost::json::value* value = member(name);
    if (value == nullptr) return;
    if (!value->is_bool()) return fail(name, "must be true or false");
    out = value->get_bool();
  }
  template <class T>
    requires(std::is_arithmetic_v<T> && !std::same_as<T, bool>)
  void take(std::string_view name, T& out) {
    const boost::json::value* value = member(name);
    if (value == nullptr) return;
    boost::system::error_code error;
    out = value->to_number<T>(error);
    if (error) return fail(name, "must be a number in its range");
    if constexpr (std::is_signed_v<T>) {
      if (out < 0) fail(name, "must not be negative");
    }
  }
  void take_digest(std::string_view name, std::string& out, bool may_be_empty) {
    take(name, out);
    if (!(out.empty() && may_be_empty) && !is_sha256_hex(out)) fail(name, "must be a SHA-256 in hexadecimal");
  }
  template <class V>
  void take_map(std::string_view name, std::map<std::string, V>& out) {
    const boost::json::value* value = member(name);
    if (value == nullptr) return;
    RecordReader inner(*value, where_ + std::string(name) + ".", error_);
    if (inner.object_ == nullptr) return;
    for (const auto& [key, unused] : *inner.object_) {
      if (!is_plain(key)) return inner.fail("a name", "has control characters");
      inner.take(key, out[std::string(key)]);
    }
  }
  void fail(std::string_view name, std::string_view what) {
    if (!error_.empty()) return;
    std::string subject = where_ + std::string(name);
    if (subject.ends_with('.')) subject.pop_back();
    error_ = fmt::format("{} {}", subject.empty() ? "content" : subject, what);
  }

 private:
  void take_text(std::string_view name, const boost::json::value& value, std::string& out) {
    if (!value.is_string()) return fail(name, "must be a text");
    out = std::string(value.get_string());
    if (!is_plain(out)) fail(name, "has control characters");
  }
  const boost::json::object* object_ = nullptr;
  std::string where_;
  std::string& error_;
};

}  // namespace histod::daemon::jobs
