// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <new>
#include <optional>
#include <span>

#include <opencv2/core.hpp>

#include "compute/arena.hpp"
#include "compute/codec/codec.hpp"
#include "compute/equalize.hpp"

namespace histod::bench {

/// What a daemon does with a file between receiving and sending, step by step, in this process. Memory is taken once
/// and kept, as the daemon keeps its pool. Throws Failure.
class Coder {
 public:
  /// `file` must outlive this. `luma_plane`: a colour JPEG is decoded to its Y plane, and keeps its chroma.
  Coder(std::span<const std::byte> file, unsigned threads, bool luma_plane = false);

  void decode();
  void equalize(const compute::EqualizeOptions& options);
  std::span<const std::byte> encode(const compute::codec::EncodeOptions& options);  ///< valid until the next call

  cv::Mat pixels() const;  ///< of the first page, RGB when it has three colors, where they lie

 private:
  struct AlignedDelete {
    void operator()(std::byte* at) const { ::operator delete[](at, std::align_val_t(64)); }
  };
  using Memory = std::unique_ptr<std::byte[], AlignedDelete>;
  static Memory memory(std::size_t bytes);

  std::span<const std::byte> file_;
  compute::Arena arena_;
  compute::codec::FileInfo info_;
  Memory pixels_, out_;
  std::size_t out_bytes_ = 0;
  std::optional<compute::codec::Image> image_;
};

}  // namespace histod::bench
