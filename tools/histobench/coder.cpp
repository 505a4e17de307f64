// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/coder.hpp"

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace codec = compute::codec;

namespace {

template <class T>
T value_of(compute::Result<T> result) {
  if (!result) throw Failure(result.error().detail);
  return std::move(*result);
}

}  // namespace

Coder::Memory Coder::memory(std::size_t bytes) {
  return std::unique_ptr<std::byte[], AlignedDelete>(new (std::align_val_t(64)) std::byte[bytes]);
}

Coder::Coder(std::span<const std::byte> file, unsigned threads, bool luma_plane)
    : file_(file),
      arena_({.cpus = {}, .threads = threads}),
      info_(value_of(codec::probe(file, {}, {.jpeg_luma_plane = luma_plane}))),
      pixels_(memory(info_.pixel_bytes)) {}

void Coder::decode() { image_ = value_of(codec::decode(file_, info_, {pixels_.get(), info_.pixel_bytes}, {}, arena_)); }

void Coder::equalize(const compute::EqualizeOptions& options) {
  compute::EqualizePage page{.image = image_->pages.front(), .levels = info_.pages.front().levels};
  value_of(compute::equalize({&page, 1}, options, arena_));
  image_->pages.front() = page.image;
}

std::span<const std::byte> Coder::encode(const codec::EncodeOptions& options) {
  const std::size_t bytes = codec::encoded_bytes_max(*image_, options);
  if (bytes > out_bytes_) {
    out_ = memory(bytes);
    out_bytes_ = bytes;
  }
  return {out_.get(), value_of(codec::encode(*image_, options, {out_.get(), out_bytes_}, arena_))};
}

cv::Mat Coder::pixels() const {
  const compute::ImageView& view = image_->pages.front();
  const int type = CV_MAKETYPE(view.format.depth_bits == 8 ? CV_8U : CV_16U, static_cast<int>(view.format.channels()));
  return {static_cast<int>(view.height), static_cast<int>(view.width), type, view.data, view.stride_bytes};
}

}  // namespace histod::bench
