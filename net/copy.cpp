// SPDX-License-Identifier: Apache-2.0
#include "net/copy.hpp"

#include <cstring>

namespace histod::net {

void move_bytes(std::byte* to, const std::byte* from, std::size_t bytes, Counter& copied_bytes) {
  if (bytes == 0 || to == from) return;
  std::memmove(to, from, bytes);
  copied_bytes.add(bytes);
}

}  // namespace histod::net
