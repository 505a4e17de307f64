// SPDX-License-Identifier: Apache-2.0
#include "net/udp/buffers.hpp"

#include <cerrno>

#include <sys/mman.h>

namespace histod::net::udp {

std::expected<Mapping, std::error_code> Mapping::make(std::size_t bytes) {
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return std::unexpected(std::error_code(errno, std::system_category()));
  Mapping mapping;
  mapping.bytes_ = {static_cast<std::byte*>(at), bytes};
  return mapping;
}

Mapping::~Mapping() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

std::expected<Buffers, std::error_code> Buffers::make(unsigned count, std::size_t bytes_each) {
  Buffers buffers;
  buffers.bytes_each_ = bytes_each;
  // Whole cache lines, an odd number of them: the beginnings of the buffers, where headers lie and where small
  // datagrams end, would otherwise all compete for the same few sets of the cache.
  constexpr std::size_t k_line = 64;
  buffers.stride_ = ((bytes_each + k_line - 1) / k_line | 1) * k_line;
  auto memory = Mapping::make(count * buffers.stride_);
  if (!memory) return std::unexpected(memory.error());
  buffers.memory_ = std::move(*memory);
  buffers.lent_.resize(count);
  return buffers;
}

}  // namespace histod::net::udp
