// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/config_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace histod::daemon::streams {

namespace json = boost::json;

namespace {

constexpr std::size_t k_shown_bytes_max = 64;

std::string shown(const json::value& value) {
  std::string text = value.is_string()   ? std::string(value.get_string())
                     : value.is_double() ? fmt::format("{}", value.get_double())
                                         : json::serialize(value);
  if (text.size() > k_shown_bytes_max) text = text.substr(0, k_shown_bytes_max) + "...";
  return text;
}

}  // namespace

std::optional<net::udp::Address> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view ip = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = ip.starts_with('[') && ip.ends_with(']');
  if (bracketed) ip = ip.substr(1, ip.size() - 2);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  const auto address = net::udp::parse_address(ip, port);
  if (!address || address->v6 != bracketed) return std::nullopt;
  return address;
}

const json::value* ConfigReader::take(std::string_view member) {
  taken_.emplace(member);
  return from_.if_contains(member);
}

void ConfigReader::fail(std::string_view member, std::string what, std::string value, std::string limit) {
  errors_.push_back({path_ + std::string(member), std::move(what), std::move(value), std::move(limit)});
}

void ConfigReader::text(std::string_view member, std::string& out) {
  const json::value* value = take(member);
  if (value == nullptr) return;
  if (!value->is_string()) return fail(member, "must be a text", shown(*value));
  out = value->get_string();
}

void ConfigReader::flag(std::string_view member, bool& out) {
  const json::value* value = take(member);
  if (value == nullptr) return;
  if (!value->is_bool()) return fail(member, "must be true or false", shown(*value));
  out = value->get_bool();
}

std::optional<std::uint64_t> ConfigReader::whole_of(std::string_view member, std::uint64_t min, std::uint64_t max) {
  const json::value* value = take(member);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<std::uint64_t>(error);
  if (!error && number >= min && number <= max) return number;
  fail(member, fmt::format("must be a whole number from {} to {}", min, max), shown(*value),
       std::to_string(!error && number > max ? max : min));
  return std::nullopt;
}

void ConfigReader::real(std::string_view member, double min, double max, double& out) {
  const json::value* value = take(member);
  if (value == nullptr) return;
  boost::system::error_code error;
  const auto number = value->to_number<double>(error);
  if (!error && std::isfinite(number) && number >= min && number <= max) {
    out = number;
    return;
  }
  fail(member, fmt::format("must be a number from {} to {}", min, max), shown(*value),
       fmt::format("{}", !error && number > max ? max : min));
}

void ConfigReader::address(std::string_view member, net::udp::Address& out) {
  std::string text_of_it;
  const std::size_t errors = errors_.size();
  text(member, text_of_it);
  if (errors != errors_.size() || !has(member)) return;
  const auto address = parse_endpoint(text_of_it);
  if (!address) return fail(member, "must be ADDRESS:PORT with a numeric address, IPv6 in brackets", text_of_it);
  out = *address;
}

void ConfigReader::addresses(std::string_view member, std::size_t count_max, std::vector<net::udp::Address>& out) {
  const json::value* value = take(member);
  if (value == nullptr) return;
  const json::array* list = value->if_array();
  if (list == nullptr) return fail(member, "must be a list of ADDRESS:PORT", shown(*value));
  if (list->size() > count_max)
    return fail(member, fmt::format("has at most {} addresses", count_max), std::to_string(list->size()),
                std::to_string(count_max));
  std::vector<net::udp::Address> read;
  for (const json::value& item : *list) {
    const auto address = item.is_string() ? parse_endpoint(item.get_string()) : std::nullopt;
    if (!address || address->port == 0 || address->is_any())
      return fail(member, "must be ADDRESS:PORT, each of them", shown(item));
    if (std::ranges::find(read, *address) != read.end()) return fail(member, "has an address twice", shown(item));
    read.push_back(*address);
  }
  out = std::move(read);
}

const json::object* ConfigReader::object(std::string_view member) {
  const json::value* value = take(member);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) fail(member, "must be an object", shown(*value));
  return value->if_object();
}

void ConfigReader::finish(std::string_view known) {
  for (const auto& [member, value] : from_)
    if (!taken_.contains(std::string_view(member)))
      fail(std::string_view(member), fmt::format("is unknown here; there are {}", known));
}

}  // namespace histod::daemon::streams
