// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "compute/codec/codec.hpp"
#include "tests/support/image_files.hpp"

namespace histod::test {

namespace codec = compute::codec;
using compute::Errc;

compute::Arena& test_arena();
/// One of so many threads, kept for all tests.
compute::Arena& arena_of(unsigned threads);
inline constexpr unsigned k_threads[] = {1, 2, 4};

/// The order of calls that the codec's contract asks for, with memory of exactly the promised sizes.
class CodecRun {
 public:
  explicit CodecRun(FileBytes file, codec::DecodeOptions options = {}, codec::Limits limits = {},
                    compute::Arena& arena = test_arena());

  bool decoded() const { return image_.has_value(); }
  Errc error() const;  ///< of probe or decode; Errc{} when both went well
  const compute::Error& why() const { return error_; }
  const codec::FileInfo& info() const { return info_; }
  codec::Image& image() { return *image_; }
  /// The decoded samples of a page.
  Raster raster(std::size_t page = 0) const;
  /// Applies `change` to each sample of the colours of each page, extras left alone.
  void change(const std::function<unsigned(unsigned)>& change);

  compute::Result<FileBytes> encode(codec::FileFormat format, std::optional<int> quality = {});
  /// As encode(), which must go well.
  FileBytes encoded(codec::FileFormat format, std::optional<int> quality = {});
  /// In the format of the input.
  FileBytes encoded() { return encoded(info_.format); }

 private:
  struct AlignedDelete {
    void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
  };
  compute::Arena& arena_;
  FileBytes file_;
  codec::FileInfo info_;
  compute::Error error_;
  std::unique_ptr<std::byte[], AlignedDelete> pixels_;
  std::optional<codec::Image> image_;
};

/// Errc of the whole way of a file, encode in its own format included; Errc{} when all went well.
Errc way_of(const FileBytes& file, const codec::Limits& limits = {});

}  // namespace histod::test
