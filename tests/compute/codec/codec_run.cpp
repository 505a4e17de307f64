// SPDX-License-Identifier: Apache-2.0
#include "tests/compute/codec/codec_run.hpp"

#include <cstring>
#include <map>
#include <new>

#include <gtest/gtest.h>

namespace histod::test {
namespace {

unsigned get(const compute::ImageView& view, std::uint32_t y, std::size_t index) {
  if (view.format.depth_bits == 8) return std::to_integer<unsigned>(view.row(y)[index]);
  std::uint16_t value;
  std::memcpy(&value, view.row(y) + 2 * index, 2);
  return value;
}

void set(const compute::ImageView& view, std::uint32_t y, std::size_t index, unsigned value) {
  if (view.format.depth_bits == 8) {
    view.row(y)[index] = static_cast<std::byte>(value);
  } else {
    const auto wide = static_cast<std::uint16_t>(value);
    std::memcpy(view.row(y) + 2 * index, &wide, 2);
  }
}

}  // namespace

compute::Arena& arena_of(unsigned threads) {
  static std::map<unsigned, std::unique_ptr<compute::Arena>> arenas;
  auto& arena = arenas[threads];
  if (!arena) arena = std::make_unique<compute::Arena>(compute::Arena::Options{.cpus = {}, .threads = threads});
  return *arena;
}

compute::Arena& test_arena() {
  static compute::Arena arena(compute::Arena::Options{.cpus = {}, .threads = 1});
  return arena;
}

CodecRun::CodecRun(FileBytes file, codec::DecodeOptions options, codec::Limits limits, compute::Arena& arena)
    : arena_(arena), file_(std::move(file)) {
  auto info = codec::probe(file_, limits, options);
  if (!info) {
    error_ = info.error();
    return;
  }
  info_ = *info;
  pixels_.reset(static_cast<std::byte*>(::operator new[](info_.pixel_bytes, std::align_val_t{64})));
  auto image = codec::decode(file_, info_, {pixels_.get(), info_.pixel_bytes}, limits, arena_);
  if (image)
    image_ = std::move(*image);
  else
    error_ = image.error();
}

Errc CodecRun::error() const { return static_cast<Errc>(error_.code.value()); }

Raster CodecRun::raster(std::size_t page) const {
  const compute::ImageView& view = image_->pages.at(page);
  Raster raster{view.width, view.height, view.format.channels(), view.format.depth_bits, {}};
  for (std::uint32_t y = 0; y < view.height; ++y)
    for (std::size_t i = 0; i < std::size_t{view.width} * raster.channels; ++i)
      raster.samples.push_back(static_cast<std::uint16_t>(get(view, y, i)));
  return raster;
}

void CodecRun::change(const std::function<unsigned(unsigned)>& change) {
  for (const compute::ImageView& view : image_->pages)
    for (std::uint32_t y = 0; y < view.height; ++y)
      for (std::size_t i = 0; i < std::size_t{view.width} * view.format.channels(); ++i)
        if (i % view.format.channels() < view.format.colors) set(view, y, i, change(get(view, y, i)));
}

compute::Result<FileBytes> CodecRun::encode(codec::FileFormat format, std::optional<int> quality) {
  const codec::EncodeOptions options{.format = format, .quality = quality};
  constexpr std::size_t k_guard_bytes = 64;
  const std::size_t bound = codec::encoded_bytes_max(*image_, options);
  FileBytes out(bound + k_guard_bytes, std::byte{0xA5});
  const auto length = codec::encode(*image_, options, std::span(out).first(bound), arena_);
  for (std::size_t i = bound; i < out.size(); ++i) EXPECT_EQ(out[i], std::byte{0xA5}) << "written past the output";
  if (!length) return std::unexpected(length.error());
  EXPECT_LE(*length, bound);
  out.resize(*length);
  return out;
}

FileBytes CodecRun::encoded(codec::FileFormat format, std::optional<int> quality) {
  auto file = encode(format, quality);
  EXPECT_TRUE(file.has_value()) << (file ? "" : file.error().detail);
  return file ? *file : FileBytes{};
}

Errc way_of(const FileBytes& file, const codec::Limits& limits) {
  CodecRun run(file, {}, limits);
  if (!run.decoded()) return run.error();
  const auto out = run.encode(run.info().format);
  return out ? Errc{} : static_cast<Errc>(out.error().code.value());
}

}  // namespace histod::test
