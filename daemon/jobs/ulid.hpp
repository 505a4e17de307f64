// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace histod::daemon::jobs {

/// Makes ids of 26 Crockford base-32 digits: 48 bits of milliseconds, 80 random bits. Ids of one source ascend
/// strictly, also within a millisecond and when the clock jumps back. Not thread-safe.
class UlidSource {
 public:
  using Random = std::array<std::uint8_t, 10>;
  UlidSource();  ///< the kernel's randomness
  explicit UlidSource(std::function<Random()> random);
  std::string next(std::int64_t now_ms);

 private:
  std::function<Random()> random_;
  std::int64_t last_ms_ = -1;
  Random last_{};
};

/// Whether `text` is an id as UlidSource makes them: nothing else ever becomes a path.
bool is_ulid(std::string_view text);
/// The milliseconds since 1970 in an id.
std::int64_t ulid_ms(std::string_view ulid);

}  // namespace histod::daemon::jobs
