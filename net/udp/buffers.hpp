// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace histod::net::udp {

/// Anonymous memory of the kernel's, zeroed, on page boundaries. What was never touched costs no RAM.
class Mapping {
 public:
  static std::expected<Mapping, std::error_code> make(std::size_t bytes);
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

/// Receive buffers of one size, each lent as often as there are datagrams in it.
class Buffers {
 public:
  static std::expected<Buffers, std::error_code> make(unsigned count, std::size_t bytes_each);

  unsigned count() const { return static_cast<unsigned>(lent_.size()); }
  std::size_t bytes_each() const { return bytes_each_; }
  std::byte* at(unsigned index) const { return memory_.bytes().data() + index * stride_; }
  void lend(unsigned index, unsigned times) { lent_[index] = static_cast<std::uint16_t>(lent_[index] + times); }
  /// True when it is home.
  bool give_back(unsigned index) {
    assert(lent_[index] > 0);
    return --lent_[index] == 0;
  }

 private:
  Mapping memory_;
  std::size_t bytes_each_ = 0;
  std::size_t stride_ = 0;
  std::vector<std::uint16_t> lent_;
};

}  // namespace histod::net::udp
