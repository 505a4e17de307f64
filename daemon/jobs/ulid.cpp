// SPDX-License-Identifier: Apache-2.0
#include "daemon/jobs/ulid.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/random.h>

namespace histod::daemon::jobs {
namespace {

constexpr std::string_view k_digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t k_time_digits = 10, k_random_digits = 16;
constexpr std::int64_t k_ms_max = (std::int64_t{1} << 48) - 1;

UlidSource::Random kernel_random() {
  UlidSource::Random bytes{};
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    if (errno != EINTR) throw std::system_error(errno, std::system_category(), "getrandom");
  }
  return bytes;
}

/// Adds one to a big-endian number; false when it wrapped to zero.
bool increment(UlidSource::Random& number) {
  for (std::size_t i = number.size(); i-- > 0;)
    if (++number[i] != 0) return true;
  return false;
}

}  // namespace

UlidSource::UlidSource() : UlidSource(kernel_random) {}

UlidSource::UlidSource(std::function<Random()> random) : random_(std::move(random)) {}

std::string UlidSource::next(std::int64_t now_ms) {
  now_ms = std::clamp<std::int64_t>(now_ms, 0, k_ms_max);
  if (now_ms > last_ms_) {
    last_ms_ = now_ms;
    last_ = random_();
  } else if (!increment(last_)) {
    ++last_ms_;  // 2^80 ids within a millisecond: the next one it is
  }
  std::string id(k_time_digits + k_random_digits, '0');
  std::int64_t time = last_ms_;
  for (std::size_t i = k_time_digits; i-- > 0; time >>= 5) id[i] = k_digits[time & 31];
  for (std::size_t digit = 0; digit < k_random_digits; ++digit) {
    unsigned value = 0;
    for (std::size_t bit = digit * 5; bit < digit * 5 + 5; ++bit)
      value = value << 1 | (last_[bit / 8] >> (7 - bit % 8) & 1);
    id[k_time_digits + digit] = k_digits[value];
  }
  return id;
}

bool is_ulid(std::string_view text) {
  return text.size() == k_time_digits + k_random_digits && text[0] <= '7' &&
         std::ranges::all_of(text, [](char c) { return k_digits.find(c) != std::string_view::npos; });
}

std::int64_t ulid_ms(std::string_view ulid) {
  assert(is_ulid(ulid));
  std::int64_t ms = 0;
  for (const char c : ulid.substr(0, k_time_digits)) ms = ms << 5 | static_cast<std::int64_t>(k_digits.find(c));
  return ms;
}

}  // namespace histod::daemon::jobs
