// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/decode_one.hpp"

#include <algorithm>
#include <cassert>
#include <memory>
#include <new>

namespace histod::test {
namespace {

namespace codec = compute::codec;
using compute::Errc;

constexpr codec::Limits k_limits{.pixels = 1u << 18,
                                 .dimension = 4096,
                                 .pages = 16,
                                 .decoded_bytes = 1u << 21,
                                 .jpeg_scans = 20,
                                 .ancillary_bytes = 1u << 16};

struct AlignedDelete {
  void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
};

compute::Arena& arena() {
  static compute::Arena one(compute::Arena::Options{.cpus = {}, .threads = 1});
  return one;
}

/// The encoded size must be within its bound, and what was written must be readable again.
void encode_one(const codec::Image& image, codec::FileFormat format) {
  const codec::EncodeOptions options{.format = format, .quality = {}};
  if (!codec::check_encodable(image.info, image.pages, format)) return;
  const std::size_t bound = codec::encoded_bytes_max(image, options);
  const auto out = std::make_unique_for_overwrite<std::byte[]>(bound);
  const auto length = codec::encode(image, options, {out.get(), bound}, arena());
  if (!length) {
    assert(length.error().code != Errc::output_full);
    return;
  }
  assert(*length <= bound);
  codec::Limits limits = k_limits;
  limits.ratio = 1u << 20;
  limits.ancillary_bytes = 1u << 20;
  limits.decoded_bytes = 1u << 24;
  limits.jpeg_scans = 100;
  const auto again = codec::probe({out.get(), *length}, limits);
  assert(again.has_value());
  assert(again->pages.size() == (format == image.info.format ? image.pages.size() : 1));
}

}  // namespace

bool decode_one(std::span<const std::byte> file) {
  for (const bool luma : {false, true}) {
    const auto info = codec::probe(file, k_limits, {.jpeg_luma_plane = luma});
    if (!info) return false;
    assert(info->pixel_bytes <= k_limits.decoded_bytes + std::uint64_t{64} * k_limits.pages);
    const std::unique_ptr<std::byte[], AlignedDelete> pixels(
        static_cast<std::byte*>(::operator new[](info->pixel_bytes, std::align_val_t{64})));
    const auto image = codec::decode(file, *info, {pixels.get(), info->pixel_bytes}, k_limits, arena());
    if (!image) return false;
    encode_one(*image, info->format);
    encode_one(*image, codec::FileFormat::png);
    if (info->format != codec::FileFormat::jpeg) break;
  }
  return true;
}

bool decode_one_of(std::span<const codec::FileFormat> formats, std::span<const std::byte> file) {
  const auto format = codec::sniff(file);
  return format && std::find(formats.begin(), formats.end(), *format) != formats.end() && decode_one(file);
}

}  // namespace histod::test
