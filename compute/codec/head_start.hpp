// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "compute/codec/codec.hpp"

namespace histod::compute::codec {

namespace png {
class PixelReader;
}

/// Decodes a file while it is still coming in: a PNG whose pixels can be read in pieces. It reports no errors: whatever
/// it gives up is decode()'s to do and to explain, from the first byte on. Used by one thread at a time.
class HeadStart {
 public:
  enum class Verdict : std::uint8_t { undecided, no, yes };

  HeadStart();
  HeadStart(HeadStart&&) noexcept;
  HeadStart& operator=(HeadStart&&) noexcept;
  ~HeadStart();

  /// At the beginning of a file of `file_bytes`. After a yes, info() says what memory decoding takes. Never undecided
  /// with a MiB or more.
  Verdict look(std::span<const std::byte> beginning, std::uint64_t file_bytes, const Limits& limits);
  const FileInfo& info() const { return info_; }

  /// `pixels` as for decode(); they and the arena outlive the work.
  void begin(std::span<std::byte> pixels, Arena& arena);
  /// The file as far as it is in, from its first byte on; takes what is new.
  void feed(std::span<const std::byte> so_far);
  std::size_t fed_bytes() const { return fed_bytes_; }

  /// Whether finish() may work, for what probe() says of the whole file.
  bool fits(const FileInfo& whole) const;
  /// Takes the rest. Empty: the file must be decoded by decode(), perhaps into the same pixels.
  std::optional<Image> finish(std::span<const std::byte> file, const FileInfo& whole);

 private:
  FileInfo info_;
  std::span<std::byte> pixels_;
  std::unique_ptr<png::PixelReader> reader_;  ///< null: not begun, or given up
  std::size_t fed_bytes_ = 0;
};

}  // namespace histod::compute::codec
