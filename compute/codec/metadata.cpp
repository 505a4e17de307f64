// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/internal.hpp"

namespace histod::compute::codec {
namespace {

constexpr std::uint16_t k_orientation_tag = 274;

Metadata file_metadata(FileFormat format, Bytes file) {
  switch (format) {
    case FileFormat::png:
      return png::metadata(file);
    case FileFormat::jpeg:
      return jpeg::metadata(file);
    case FileFormat::tiff:
      return tiff::metadata(file);
    default:
      return {};
  }
}

}  // namespace

unsigned exif_orientation(Bytes exif) {
  if (exif.size() < 10) return 0;
  const bool little = starts_with(exif, "II*");
  if (!little && !starts_with(exif, std::string_view("MM\0*", 4))) return 0;
  const std::endian order = little ? std::endian::little : std::endian::big;
  const std::size_t offset = load<std::uint32_t>(exif, 4, order);
  if (offset > exif.size() - 2) return 0;
  const std::size_t count = load<std::uint16_t>(exif, offset, order);
  for (std::size_t i = 0; i < count && offset + 2 + 12 * (i + 1) <= exif.size(); ++i) {
    const std::size_t at = offset + 2 + 12 * i;
    if (load<std::uint16_t>(exif, at, order) != k_orientation_tag) continue;
    const unsigned value = load<std::uint16_t>(exif, at + 8, order);
    return value >= 1 && value <= 8 ? value : 0;
  }
  return 0;
}

std::vector<std::byte> orientation_exif(unsigned orientation) {
  std::vector<std::byte> block(26);
  Output out(block);
  out.put(std::string_view("MM\0*\0\0\0\x08", 8));
  out.put_number<std::uint16_t>(1, std::endian::big);
  out.put_number<std::uint16_t>(k_orientation_tag, std::endian::big);
  out.put_number<std::uint16_t>(3, std::endian::big);
  out.put_number<std::uint32_t>(1, std::endian::big);
  out.put_number<std::uint16_t>(static_cast<std::uint16_t>(orientation), std::endian::big);
  return block;
}

bool icc_fits(Bytes icc, unsigned colors) {
  constexpr std::size_t k_header_bytes = 128;
  if (icc.size() < k_header_bytes) return false;
  const std::string_view space = as_text(icc.subspan(16, 4));
  return (space == "RGB " && colors == 3) || (space == "GRAY" && colors == 1);
}

Metadata carried_metadata(const Image& image, unsigned colors) {
  Metadata metadata = file_metadata(image.info.format, image.file);
  if (!icc_fits(metadata.icc, colors)) metadata.icc.clear();
  if (metadata.orientation == 0) metadata.orientation = exif_orientation(metadata.exif);
  if (metadata.exif.empty() && metadata.orientation > 1) metadata.exif = orientation_exif(metadata.orientation);
  return metadata;
}

}  // namespace histod::compute::codec
