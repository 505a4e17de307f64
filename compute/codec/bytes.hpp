// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

/// Reading and writing bytes of either order, for the codecs only. Bounds are the caller's duty (asserted here).
namespace histod::compute::codec {

using Bytes = std::span<const std::byte>;

template <class T>
T load(Bytes bytes, std::size_t at, std::endian order) {
  assert(at <= bytes.size() && sizeof(T) <= bytes.size() - at);
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return order == std::endian::native ? value : std::byteswap(value);
}

template <class T>
T load_big(Bytes bytes, std::size_t at) {
  return load<T>(bytes, at, std::endian::big);
}

template <class T>
void store(std::span<std::byte> bytes, std::size_t at, T value, std::endian order) {
  assert(at <= bytes.size() && sizeof(T) <= bytes.size() - at);
  if (order != std::endian::native) value = std::byteswap(value);
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

inline Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline bool starts_with(Bytes bytes, std::string_view prefix) { return as_text(bytes).starts_with(prefix); }

/// Copies `count` 16-bit samples and turns each one's byte order round. `to` may be `from`.
inline void copy_swapped16(std::byte* to, const std::byte* from, std::size_t count) {
  constexpr std::uint64_t k_low = 0x00ff00ff00ff00ff;
  std::size_t at = 0;
  for (; at + 8 <= 2 * count; at += 8) {  // four samples at once
    std::uint64_t four;
    std::memcpy(&four, from + at, 8);
    four = (four & k_low) << 8 | (four >> 8 & k_low);
    std::memcpy(to + at, &four, 8);
  }
  for (; at < 2 * count; at += 2) {
    std::uint16_t value;
    std::memcpy(&value, from + at, 2);
    value = std::byteswap(value);
    std::memcpy(to + at, &value, 2);
  }
}

/// Appends to memory of a fixed size. What does not fit is not written, and full() says so from then on.
class Output {
 public:
  explicit Output(std::span<std::byte> memory) : memory_(memory) {}

  bool put(Bytes bytes) {
    if (!reserve(bytes.size())) return false;
    if (!bytes.empty()) std::memcpy(memory_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
    return true;
  }
  bool put(std::string_view text) { return put(as_bytes(text)); }

  template <class T>
  bool put_number(T value, std::endian order) {
    if (!reserve(sizeof(T))) return false;
    store(memory_, used_, value, order);
    used_ += sizeof(T);
    return true;
  }

  /// `bytes` more, to be filled through the pointer; null when they do not fit.
  std::byte* take(std::size_t bytes) {
    if (!reserve(bytes)) return nullptr;
    used_ += bytes;
    return memory_.data() + used_ - bytes;
  }

  std::span<std::byte> rest() const { return memory_.subspan(used_); }
  std::span<std::byte> written() const { return memory_.first(used_); }
  std::size_t size() const { return used_; }
  bool full() const { return full_; }

 private:
  bool reserve(std::size_t bytes) {
    full_ = full_ || bytes > memory_.size() - used_;
    return !full_;
  }

  std::span<std::byte> memory_;
  std::size_t used_ = 0;
  bool full_ = false;
};

}  // namespace histod::compute::codec
