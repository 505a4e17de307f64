// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/inputs.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <random>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "compute/arena.hpp"
#include "compute/codec/codec.hpp"

namespace histod::bench {

namespace codec = compute::codec;

namespace {

constexpr const char* k_photographs = "/usr/share/backgrounds";

std::string first_photograph() {
  std::vector<std::string> paths;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(k_photographs, none)) {
    if (entry.path().extension() == ".jpg") paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  return paths.empty() ? "" : paths.front();
}

struct AlignedDelete {
  void operator()(std::byte* at) const { ::operator delete[](at, std::align_val_t(64)); }
};

/// The Y plane of a JPEG, or the first page of any other gray file, by the product's own decoders.
cv::Mat decoded_gray(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  const auto file = std::as_bytes(std::span(bytes));
  const codec::Limits limits;
  const auto info = codec::probe(file, limits, {.jpeg_luma_plane = true});
  if (!info) return {};
  const std::unique_ptr<std::byte[], AlignedDelete> pixels(new (std::align_val_t(64)) std::byte[info->pixel_bytes]);
  compute::Arena arena({.cpus = {}, .threads = 1});
  const auto image = codec::decode(file, *info, {pixels.get(), info->pixel_bytes}, limits, arena);
  if (!image) return {};
  const compute::ImageView& view = image->pages.front();
  if (view.format != compute::PixelFormat{}) return {};
  return cv::Mat(static_cast<int>(view.height), static_cast<int>(view.width), CV_8UC1, view.data, view.stride_bytes)
      .clone();
}

/// Eight low bits more, so that all 65 536 levels can occur: what a camera's noise does.
cv::Mat widened(const cv::Mat& gray) {
  cv::Mat wide(gray.size(), CV_16UC1);
  std::mt19937 random(2);
  for (std::size_t i = 0; i < gray.total(); ++i) {
    wide.ptr<std::uint16_t>()[i] = static_cast<std::uint16_t>(gray.data[i] << 8 | (random() & 0xff));
  }
  return wide;
}

}  // namespace

std::string Input::label() const {
  return fmt::format("{} {}x{} {}-bit", name, pixels.cols, pixels.rows, pixels.depth() == CV_8U ? 8 : 16);
}

Input noise(int width, int height, int depth_bits) {
  cv::Mat pixels(height, width, depth_bits == 8 ? CV_8UC1 : CV_16UC1);
  std::mt19937_64 random(1);
  const std::size_t bytes = pixels.total() * pixels.elemSize();
  for (std::size_t i = 0; i < bytes; ++i) pixels.data[i] = static_cast<std::uint8_t>(random() >> 56);
  return {"noise", pixels};
}

std::optional<Input> photograph(const std::string& path, int width, int height, int depth_bits) {
  const std::string found = path.empty() ? first_photograph() : path;
  const cv::Mat gray = found.empty() ? cv::Mat() : decoded_gray(found);
  if (gray.empty()) return std::nullopt;
  cv::Mat scaled;
  cv::resize(gray, scaled, cv::Size(width, height), 0, 0, cv::INTER_CUBIC);
  return Input{"photograph", depth_bits == 8 ? scaled : widened(scaled)};
}

std::uint64_t digest(const Input& input) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  const std::size_t bytes = input.pixels.total() * input.pixels.elemSize();
  for (std::size_t i = 0; i < bytes; ++i) hash = (hash ^ input.pixels.data[i]) * 0x100000001b3ull;
  return hash;
}

}  // namespace histod::bench
