// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/telemetry/event.hpp"

/// CloudEvents 1.0.2 over HTTP: what a request says. Pure; takes whatever anybody may have sent.
namespace histod::daemon::telemetry {

inline constexpr std::size_t k_batch_events_max = 256;
inline constexpr std::size_t k_events_body_bytes_max = 1u << 20;

/// Why no event of a request is taken.
struct EventsRefusal {
  enum class Kind {
    media_type,  ///< it is in none of the three modes
    form,        ///< the body is not what its media type says
    event,       ///< an event is none, or breaks a bound
    too_many,
  };
  Kind kind = Kind::form;
  std::string detail;  ///< a clause: what, the value, the limit; of an event with its index
  std::size_t value = 0, limit = 0;
};

/// Name and value of a header field, as sent.
using EventField = std::pair<std::string_view, std::string_view>;

/// Binary, structured or batch mode, by Content-Type and the fields `ce-*`. Whoever sends several wants all or none.
std::expected<std::vector<Event>, EventsRefusal> read_http_events(std::string_view content_type,
                                                                  std::span<const EventField> fields,
                                                                  std::string_view body);

/// One round of percent-decoding, of a value that may be quoted; the result is valid UTF-8. The error is a clause.
std::expected<std::string, std::string> decode_event_field(std::string_view value);

}  // namespace histod::daemon::telemetry
