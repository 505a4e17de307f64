// SPDX-License-Identifier: Apache-2.0
#include "net/rtp/fault.hpp"

#include <array>

namespace histod::net::rtp {

std::string_view name_of(Fault fault) {
  static constexpr std::array<std::string_view, k_faults> k_names{
      "header_truncated",  "version_unknown",           "csrc_truncated",           "extension_truncated",
      "padding_invalid",   "payload_type_unexpected",   "payload_header_truncated", "payload_truncated",
      "segment_empty",     "segment_not_whole_pgroups", "offset_not_on_pgroup",     "line_not_on_pgroup",
      "line_beyond_frame", "line_not_of_field",         "segment_beyond_line",      "second_field_of_progressive",
      "fields_mixed",      "segments_out_of_order"};
  return k_names[static_cast<std::size_t>(fault)];
}

}  // namespace histod::net::rtp
