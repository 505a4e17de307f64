// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/raster.hpp"

#include "compute/codec/internal.hpp"

namespace histod::compute::codec {
namespace {

constexpr std::size_t k_task_samples = 256u << 10;

bool at_odd_address(std::span<const std::byte> file, const FileInfo& info, std::size_t page) {
  return info.pages[page].format.depth_bits == 16 &&
         reinterpret_cast<std::uintptr_t>(file.data() + info.rasters[page].offset) % 2 != 0;
}

/// `to` may be `from`.
void copy_samples(std::byte* to, const std::byte* from, std::size_t count, bool swapped, Arena& arena) {
  if (to == from && !swapped) return;
  arena.parallel_for(count, k_task_samples, [=](std::size_t begin, std::size_t end) {
    if (swapped)
      copy_swapped16(to + 2 * begin, from + 2 * begin, end - begin);
    else
      std::memcpy(to + 2 * begin, from + 2 * begin, 2 * (end - begin));
  });
}

}  // namespace

bool stays_in_place(const FileInfo& info, std::span<const ImageView> planned, FileFormat format) {
  if (info.rasters.empty() || format != info.format) return false;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    if (planned[i].format != info.pages[i].format) return false;
  }
  return true;
}

std::size_t raster_pixel_bytes(std::span<const std::byte> file, const FileInfo& info) {
  for (std::size_t i = 0; i < info.pages.size(); ++i) {
    if (at_odd_address(file, info, i)) return info.pixel_bytes;
  }
  return 0;
}

Image open_rasters(std::span<std::byte> file, const FileInfo& info, std::span<std::byte> pixels, Arena& arena) {
  assert(!info.rasters.empty() && pixels.size() >= raster_pixel_bytes(file, info));
  const std::vector<ImageView> apart = pixels.empty() ? std::vector<ImageView>() : page_views(info, pixels);
  Image image{.info = info, .file = file, .pages = {}};
  for (std::size_t i = 0; i < info.pages.size(); ++i) {
    const PageInfo& page = info.pages[i];
    std::byte* const samples = file.data() + info.rasters[i].offset;
    ImageView view{samples, page.width, page.height, page.width * page.format.bytes_per_pixel(), page.format};
    if (page.format.depth_bits == 16) {
      if (!apart.empty()) view = apart[i];
      copy_samples(view.data, samples, page.pixel_bytes() / 2, info.rasters[i].swapped, arena);
    }
    image.pages.push_back(view);
  }
  return image;
}

void close_rasters(const Image& image, std::span<std::byte> file, Arena& arena) {
  for (std::size_t i = 0; i < image.info.pages.size(); ++i) {
    const PageInfo& page = image.info.pages[i];
    if (page.format.depth_bits == 16)
      copy_samples(file.data() + image.info.rasters[i].offset, image.pages[i].data, page.pixel_bytes() / 2,
                   image.info.rasters[i].swapped, arena);
  }
}

}  // namespace histod::compute::codec
