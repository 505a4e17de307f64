// SPDX-License-Identifier: Apache-2.0
#pragma once

// Network byte order (RFC 3550, 4): most significant octet first. The callers check bounds.

#include <cstddef>
#include <cstdint>

namespace histod::net::rtp {

inline std::uint16_t read_u16(const std::byte* at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(at[0]) << 8 | std::to_integer<unsigned>(at[1]));
}

inline std::uint32_t read_u32(const std::byte* at) { return std::uint32_t{read_u16(at)} << 16 | read_u16(at + 2); }

inline void write_u16(std::byte* at, unsigned value) {
  at[0] = static_cast<std::byte>(value >> 8);
  at[1] = static_cast<std::byte>(value);
}

inline void write_u32(std::byte* at, std::uint32_t value) {
  write_u16(at, value >> 16);
  write_u16(at + 2, value);
}

}  // namespace histod::net::rtp
