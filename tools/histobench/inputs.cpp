// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/inputs.hpp"

#include <algorithm>
#include <filesystem>
#include <random>

#include <fmt/format.h>
#include <opencv2/imgproc.hpp>

#include "tools/histobench/coder.hpp"
#include "tools/histobench/failure.hpp"
#include "tools/histobench/process.hpp"

namespace histod::bench {

namespace codec = compute::codec;
using codec::FileFormat;

namespace {

constexpr const char* k_photographs = "/usr/share/backgrounds";
constexpr int k_jpeg_quality = 90;

std::string first_photograph() {
  std::vector<std::string> paths;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(k_photographs, none)) {
    if (entry.path().extension() == ".jpg") paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  return paths.empty() ? "" : paths.front();
}

/// By the product's own decoders; for gray the Y plane of a JPEG.
cv::Mat decoded(const std::string& path, int channels) {
  const std::string text = text_of(path);
  try {
    Coder coder(std::as_bytes(std::span(text)), 1, channels == 1);
    coder.decode();
    const cv::Mat pixels = coder.pixels();
    return pixels.type() == CV_8UC(channels) ? pixels.clone() : cv::Mat();
  } catch (const Failure&) {
    return {};
  }
}

/// Eight low bits more, so that all 65 536 levels can occur: what a camera's noise does.
cv::Mat widened(const cv::Mat& narrow) {
  cv::Mat wide(narrow.size(), CV_16UC(narrow.channels()));
  std::mt19937 random(2);
  for (std::size_t i = 0; i < narrow.total() * narrow.channels(); ++i)
    wide.ptr<std::uint16_t>()[i] = static_cast<std::uint16_t>(narrow.data[i] << 8 | (random() & 0xff));
  return wide;
}

std::vector<std::byte> netpbm(const cv::Mat& pixels) {
  const bool wide = pixels.depth() == CV_16U;
  const std::string head = fmt::format("{}\n{} {}\n{}\n", pixels.channels() == 1 ? "P5" : "P6", pixels.cols,
                                       pixels.rows, wide ? 65535 : 255);
  std::vector<std::byte> out;
  out.reserve(head.size() + pixels.total() * pixels.elemSize());
  std::ranges::copy(std::as_bytes(std::span(head)), std::back_inserter(out));
  const auto* const from = reinterpret_cast<const std::byte*>(pixels.data);
  out.insert(out.end(), from, from + pixels.total() * pixels.elemSize());
  if (wide) {  // the most significant byte is first in the file
    for (std::size_t i = head.size(); i < out.size(); i += 2) std::swap(out[i], out[i + 1]);
  }
  return out;
}

void put(std::vector<std::byte>& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> 8 * i & 0xff));
}

/// Little-endian, uncompressed, in strips of 64 rows: what a camera's software or an instrument writes.
std::vector<std::byte> tiff(const Input& input) {
  constexpr std::uint32_t k_short = 3, k_long = 4, k_rows = 64, k_entries = 10;
  const cv::Mat& pixels = input.pixels;
  const auto width = static_cast<std::uint32_t>(pixels.cols), height = static_cast<std::uint32_t>(pixels.rows),
             samples = static_cast<std::uint32_t>(pixels.channels()), strips = (height + k_rows - 1) / k_rows,
             row_bytes = static_cast<std::uint32_t>(pixels.cols * pixels.elemSize()),
             depth = static_cast<std::uint32_t>(8 * pixels.elemSize1());
  const std::uint32_t depths_at = 8 + 2 + 12 * k_entries + 4, offsets_at = depths_at + 2 * samples + 2 * (samples % 2),
                      counts_at = offsets_at + 4 * strips, data_at = counts_at + 4 * strips;
  std::vector<std::byte> out;
  out.reserve(data_at + input.bytes().size());
  put(out, 0x002a4949, 4);
  put(out, 8, 4);
  put(out, k_entries, 2);
  const auto entry = [&](std::uint32_t tag, std::uint32_t type, std::uint32_t count, std::uint32_t value) {
    put(out, tag, 2);
    put(out, type, 2);
    put(out, count, 4);
    put(out, value, 4);
  };
  entry(256, k_long, 1, width);
  entry(257, k_long, 1, height);
  entry(258, k_short, samples, samples == 1 ? depth : depths_at);
  entry(259, k_short, 1, 1);                     // no compression
  entry(262, k_short, 1, samples == 1 ? 1 : 2);  // 0 is black, or RGB
  entry(273, k_long, strips, strips == 1 ? data_at : offsets_at);
  entry(277, k_short, 1, samples);
  entry(278, k_long, 1, k_rows);
  entry(279, k_long, strips, strips == 1 ? height * row_bytes : counts_at);
  entry(284, k_short, 1, 1);
  put(out, 0, 4);
  for (std::uint32_t i = 0; i < samples; ++i) put(out, depth, 2);
  if (samples % 2 == 1) put(out, 0, 2);
  for (std::uint32_t i = 0; i < strips; ++i) put(out, data_at + i * k_rows * row_bytes, 4);
  for (std::uint32_t i = 0; i < strips; ++i) put(out, std::min(k_rows, height - i * k_rows) * row_bytes, 4);
  out.insert(out.end(), input.bytes().begin(), input.bytes().end());
  return out;
}

}  // namespace

std::string Input::label() const {
  return fmt::format("{} {}x{} {}{}", name, pixels.cols, pixels.rows, pixels.channels() == 3 ? "RGB " : "",
                     pixels.depth() == CV_8U ? "8-bit" : "16-bit");
}

std::span<const std::byte> Input::bytes() const {
  return {reinterpret_cast<const std::byte*>(pixels.data), pixels.total() * pixels.elemSize()};
}

Input noise(Size size, int depth_bits, int channels) {
  cv::Mat pixels(size.height, size.width, depth_bits == 8 ? CV_8UC(channels) : CV_16UC(channels));
  std::mt19937_64 random(1);
  const std::size_t bytes = pixels.total() * pixels.elemSize();
  for (std::size_t i = 0; i < bytes; ++i) pixels.data[i] = static_cast<std::uint8_t>(random() >> 56);
  return {"noise", pixels};
}

Input dim_noise(Size size, int channels) {
  cv::Mat pixels = noise(size, 8, channels).pixels;
  for (std::size_t i = 0; i < pixels.total() * pixels.elemSize(); ++i)
    pixels.data[i] = static_cast<std::uint8_t>(85 + pixels.data[i] / 3);
  return {"dim noise", pixels};
}

std::optional<Input> photograph(const std::string& path, Size size, int depth_bits, int channels) {
  const std::string found = path.empty() ? first_photograph() : path;
  const cv::Mat narrow = found.empty() ? cv::Mat() : decoded(found, channels);
  if (narrow.empty()) return std::nullopt;
  cv::Mat scaled;
  cv::resize(narrow, scaled, cv::Size(size.width, size.height), 0, 0, cv::INTER_CUBIC);
  return Input{"photograph", depth_bits == 8 ? scaled : widened(scaled)};
}

std::uint64_t digest(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const std::byte byte : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3ull;
  return hash;
}

std::string ImageFile::label() const { return fmt::format("{} {}", codec::name(format), input.label()); }

ImageFile image_file(const Input& input, FileFormat format) {
  std::vector<std::byte> bytes = format == FileFormat::tiff ? tiff(input) : netpbm(input.pixels);
  if (format == FileFormat::png || format == FileFormat::jpeg) {
    Coder coder(bytes, 1);
    coder.decode();
    const auto made = coder.encode({format, k_jpeg_quality});
    bytes = std::vector(made.begin(), made.end());
  }
  return {input, format, std::move(bytes)};
}

}  // namespace histod::bench
