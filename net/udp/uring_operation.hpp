// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace histod::net::udp {

/// What a completion of a UringPort belongs to: in its upper half the operation, in its lower half the buffer or send.
inline constexpr std::uint64_t k_uring_multishot = 1ull << 32;
inline constexpr std::uint64_t k_uring_plain = 2ull << 32;
inline constexpr std::uint64_t k_uring_send = 3ull << 32;
inline constexpr std::uint64_t k_uring_cancel = 4ull << 32;

}  // namespace histod::net::udp
