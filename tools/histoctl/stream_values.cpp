// SPDX-License-Identifier: Apache-2.0
#include "tools/histoctl/stream_values.hpp"

#include <numeric>

#include "tools/histoctl/cli_checks.hpp"

namespace histod::ctl {
namespace rtp = net::rtp;
namespace {

constexpr std::size_t k_decimals_max = 3;
constexpr std::uint64_t k_rate_max = 1000, k_seconds_max = 100;  ///< 1000 frames a second, or one in 100 s

std::optional<std::uint64_t> digits(std::string_view text, std::uint64_t high) {
  std::uint64_t number = 0;
  if (text.empty() || text.size() > 9 || !checks::read_all(text, number) || number > high) return std::nullopt;
  return number;
}

std::optional<rtp::FrameRate> fraction_of(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto numerator = digits(text.substr(0, slash), 1'000'000);
    const auto denominator = digits(text.substr(slash + 1), 10'000);
    if (!numerator || !denominator) return std::nullopt;
    return rtp::FrameRate{static_cast<std::uint32_t>(*numerator), static_cast<std::uint32_t>(*denominator)};
  }
  const std::size_t point = text.find('.');
  const std::string_view decimals = point == std::string_view::npos ? "" : text.substr(point + 1);
  const auto whole = digits(text.substr(0, point), k_rate_max);
  if (!whole || decimals.size() > k_decimals_max) return std::nullopt;
  const auto rest = decimals.empty() ? std::optional<std::uint64_t>(0) : digits(decimals, 999);
  if (!rest || (point != std::string_view::npos && decimals.empty())) return std::nullopt;
  std::uint32_t scale = 1;
  for (std::size_t i = 0; i < decimals.size(); ++i) scale *= 10;
  return rtp::FrameRate{static_cast<std::uint32_t>(*whole * scale + *rest), scale};
}

}  // namespace

std::optional<HostPort> host_port_of(std::string_view text, std::uint16_t least) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const auto port = digits(text.substr(colon + 1), 65535);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  // An IPv6 address without brackets would lose its end to the port.
  if (!port || *port < least || host.empty() || host.contains(':') != bracketed) return std::nullopt;
  return HostPort{std::string(host), static_cast<std::uint16_t>(*port)};
}

std::optional<PictureSize> picture_size_of(std::string_view text) {
  const std::size_t x = text.find('x');
  if (x == std::string_view::npos) return std::nullopt;
  const auto width = digits(text.substr(0, x), rtp::k_dimension_max);
  const auto height = digits(text.substr(x + 1), rtp::k_dimension_max);
  if (!width || !height || *width == 0 || *height == 0) return std::nullopt;
  return PictureSize{static_cast<unsigned>(*width), static_cast<unsigned>(*height)};
}

std::optional<rtp::FrameRate> frame_rate_of(std::string_view text) {
  auto rate = fraction_of(text);
  if (!rate || rate->numerator == 0 || rate->denominator == 0) return std::nullopt;
  if (rate->numerator > k_rate_max * rate->denominator) return std::nullopt;
  if (rate->numerator * k_seconds_max < rate->denominator) return std::nullopt;
  const std::uint32_t common = std::gcd(rate->numerator, rate->denominator);
  return rtp::FrameRate{rate->numerator / common, rate->denominator / common};
}

std::optional<std::vector<std::string>> targets_of(std::string_view text) {
  std::vector<std::string> targets;
  if (text == "none") return targets;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    if (!host_port_of(one)) return std::nullopt;
    targets.emplace_back(one);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return targets;
}

}  // namespace histod::ctl
