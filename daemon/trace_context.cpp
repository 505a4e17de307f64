// SPDX-License-Identifier: Apache-2.0
#include "daemon/trace_context.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>

#include <fmt/core.h>
#include <sys/random.h>

namespace histod::daemon {

namespace {

constexpr std::size_t k_trace_at = 3, k_trace_digits = 32, k_parent_at = 36, k_parent_digits = 16, k_flags_at = 53,
                      k_length = 55;
constexpr unsigned k_sampled = 0x01, k_random = 0x02;  // the second is of level 2, which has the same version

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) { return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos; }

unsigned digit(char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); }

unsigned flags_of(std::string_view traceparent) {
  return digit(traceparent[k_flags_at]) * 16 + digit(traceparent[k_flags_at + 1]);
}

std::string hex(std::span<const std::byte> bytes) {
  std::string out;
  for (const std::byte byte : bytes) out += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  if (!is_id(out)) out.back() = '1';
  return out;
}

std::string compose(std::string_view trace, std::string_view parent, unsigned flags) {
  return fmt::format("00-{}-{}-{:02x}", trace, parent, flags);
}

}  // namespace

std::string parse_traceparent(std::string_view field) {
  if (field.size() < k_length) return {};
  const std::string_view version = field.substr(0, 2);
  if (!is_hex(version) || version == "ff") return {};
  if (field[2] != '-' || field[k_parent_at - 1] != '-' || field[k_flags_at - 1] != '-') return {};
  if (field.size() > k_length && (version == "00" || field[k_length] != '-')) return {};
  const auto trace = field.substr(k_trace_at, k_trace_digits), parent = field.substr(k_parent_at, k_parent_digits);
  if (!is_id(trace) || !is_id(parent) || !is_hex(field.substr(k_flags_at, 2))) return {};
  const unsigned known = version == "00" ? k_sampled | k_random : k_sampled;
  return compose(trace, parent, flags_of(field) & known);
}

std::string_view trace_id(std::string_view traceparent) {
  return traceparent.empty() ? traceparent : traceparent.substr(k_trace_at, k_trace_digits);
}

bool is_sampled(std::string_view traceparent) {
  return !traceparent.empty() && (flags_of(traceparent) & k_sampled) != 0;
}

std::string next_traceparent(std::string_view traceparent, const std::array<std::byte, 24>& random) {
  const auto parent = std::span(random).last(k_parent_digits / 2);
  if (!traceparent.empty()) return compose(trace_id(traceparent), hex(parent), flags_of(traceparent));
  return compose(hex(std::span(random).first(k_trace_digits / 2)), hex(parent), k_random);
}

std::string next_traceparent(std::string_view traceparent) {
  std::array<std::byte, 24> random{};
  while (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    if (errno != EINTR) throw std::system_error(errno, std::system_category(), "getrandom");
  return next_traceparent(traceparent, random);
}

LogField trace_field(std::string_view traceparent) {
  if (traceparent.empty()) return {"", ""};
  return {"trace_id", trace_id(traceparent)};
}

LogLevel trace_level(std::string_view traceparent) {
  return is_sampled(traceparent) ? LogLevel::info : LogLevel::debug;
}

}  // namespace histod::daemon
