// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace histod::test {

/// Three octets that say what the video is like, then datagrams, each behind its length in 16 bits (RFC 4571). Ends the
/// process when what was read breaks a promise; says whether there was a packet with pixels.
bool receive_rtp(std::span<const std::byte> bytes);

/// A session description. Ends the process when what was read is not read again once it was written; says whether it
/// could be read.
bool read_sdp(std::span<const std::byte> bytes);

}  // namespace histod::test
