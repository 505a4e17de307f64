// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "compute/codec/codec.hpp"

namespace histod::test {

/// One file the whole way, sniff to encode in its own format and in PNG, with small limits. Ends the process when a
/// promise of the codec's contract is broken; says whether the file could be decoded.
bool decode_one(std::span<const std::byte> file);

/// As decode_one(), for files that sniff() takes for one of `formats` only.
bool decode_one_of(std::span<const compute::codec::FileFormat> formats, std::span<const std::byte> file);

}  // namespace histod::test
