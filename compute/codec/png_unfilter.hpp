// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "compute/codec/internal.hpp"

namespace histod::compute::codec::png {

/// Undoes one of the filters 0 to 4. `in` is the row without the filter's number, `above` the finished row above (all 0
/// for the first row); `out` is none of them. 1, 2, 3, 4, 6 or 8 bytes a pixel. The bytes are the same whether or not
/// kernels() is the scalar table.
void unfilter_row(unsigned filter, const std::byte* in, const std::byte* above, std::size_t bytes,
                  std::size_t bytes_per_pixel, std::byte* out);

/// The same for rows that lie one behind the other in `lines`, each behind its filter's number; in `out` they lie
/// `stride_bytes` apart. Returns how many were done: fewer than there are when a filter does not exist.
std::size_t unfilter_rows(Bytes lines, const std::byte* above, std::size_t bytes, std::size_t bytes_per_pixel,
                          std::byte* out, std::size_t stride_bytes);

}  // namespace histod::compute::codec::png
