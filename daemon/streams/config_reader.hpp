// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "daemon/streams/config.hpp"

namespace histod::daemon::streams {

/// Takes members out of an object, one by one, and gathers what is wrong with them. What is absent is left as it was.
class ConfigReader {
 public:
  /// `path`: of the object itself, with a dot; empty for the outermost.
  ConfigReader(const boost::json::object& from, ConfigErrors& errors, std::string path = {})
      : from_(from), errors_(errors), path_(std::move(path)) {}

  const boost::json::value* take(std::string_view member);
  bool has(std::string_view member) const { return from_.contains(member); }
  void text(std::string_view member, std::string& out);
  void flag(std::string_view member, bool& out);
  /// Whole numbers; of TOML and JSON alike.
  template <class Number>
  void whole(std::string_view member, std::uint64_t min, std::uint64_t max, Number& out) {
    if (const auto number = whole_of(member, min, max)) out = static_cast<Number>(*number);
  }
  void real(std::string_view member, double min, double max, double& out);
  void address(std::string_view member, net::udp::Address& out);
  void addresses(std::string_view member, std::size_t count_max, std::vector<net::udp::Address>& out);
  const boost::json::object* object(std::string_view member);

  void fail(std::string_view member, std::string what, std::string value = {}, std::string limit = {});
  /// What was not taken is unknown.
  void finish(std::string_view known);

 private:
  std::optional<std::uint64_t> whole_of(std::string_view member, std::uint64_t min, std::uint64_t max);

  const boost::json::object& from_;
  ConfigErrors& errors_;
  std::string path_;
  std::set<std::string, std::less<>> taken_;
};

/// "192.0.2.1:5004" or "[2001:db8::1]:5004".
std::optional<net::udp::Address> parse_endpoint(std::string_view text);

}  // namespace histod::daemon::streams
