// SPDX-License-Identifier: Apache-2.0
#pragma once

// What can be wrong with packets (Fault: counted by kind, no allocation) and with what is configured (Error: told to a
// person). Everything in net/rtp is pure: no I/O, no clock, no threads; an object is its owner's, one thread at a time.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace histod::net::rtp {

/// Why a datagram is no packet of the stream. The numbers are indices of counters.
enum class Fault : std::uint8_t {
  header_truncated,             ///< shorter than the fixed header (RFC 3550, 5.1)
  version_unknown,              ///< not version 2
  csrc_truncated,               ///< ends in the list of contributing sources
  extension_truncated,          ///< ends in the header extension (RFC 3550, 5.3.1)
  padding_invalid,              ///< the padding count is 0, or more than there is behind the header
  payload_type_unexpected,      ///< another payload type than the stream's: RTCP on the same port, say
  payload_header_truncated,     ///< ends in the payload header (RFC 4175, 4.2)
  payload_truncated,            ///< the payload header announces more octets than there are
  segment_empty,                ///< a length of 0 beside other segments
  segment_not_whole_pgroups,    ///< a length that is no multiple of the pgroup's octets
  offset_not_on_pgroup,         ///< an offset inside a pgroup
  line_not_on_pgroup,           ///< not the first line of those that share a pgroup (4:2:0)
  line_beyond_frame,            ///< a line number that the frame or field does not have
  line_not_of_field,            ///< F says the other field: the sender numbers lines in another way (LineNumbering)
  segment_beyond_line,          ///< more pixels than the line has
  second_field_of_progressive,  ///< F is set in a progressive stream
  fields_mixed,                 ///< one packet with lines of both fields (RFC 4175, 4.1)
  segments_out_of_order,        ///< segments of one packet overlap, or go upwards or to the left
};

inline constexpr std::size_t k_faults = 18;

/// The enumerator's name, as it is written in metrics.
std::string_view name_of(Fault fault);

/// What is wrong with a description, an option or a buffer, for a person to act on.
enum class Errc : std::uint8_t {
  malformed = 1,  ///< does not follow the grammar
  missing,        ///< a part that is required is not there
  unsupported,    ///< well-formed, but nothing that we take
  out_of_range,   ///< a number beyond its limits
  too_large,      ///< more text, lines, packets or octets than the limit
};

struct Error {
  Errc code{};
  std::string detail;       ///< one sentence without a full stop; of the input only short printable parts
  std::uint64_t value = 0;  ///< the offending value, where it is a number
  std::uint64_t limit = 0;  ///< the limit in the same unit; 0: there is none
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string detail, std::uint64_t value = 0, std::uint64_t limit = 0) {
  return std::unexpected(Error{code, std::move(detail), value, limit});
}

}  // namespace histod::net::rtp
