// SPDX-License-Identifier: Apache-2.0
#include "daemon/streams/preview.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <utility>

#include "compute/codec/codec.hpp"
#include "net/copy.hpp"

namespace histod::daemon::streams {

namespace codec = compute::codec;
namespace rtp = net::rtp;

namespace {

constexpr int k_jpeg_quality = 80;
constexpr unsigned k_high_definition_rows = 720;  ///< from here on BT.709 is what cameras send

/// Colours of one pixel of the picture, summed over those of the frame that it stands for.
struct Sums {
  std::array<std::uint32_t, 3> first{};  ///< Y, or R; Cb, or G; Cr, or B
  std::array<std::uint32_t, 3> count{};
};

unsigned sample_at(std::span<const std::byte> octets, std::size_t bit, unsigned depth) {
  unsigned value = 0;
  for (unsigned i = 0; i < 3; ++i) {
    const std::size_t at = bit / 8 + i;
    value = value << 8 | (at < octets.size() ? std::to_integer<unsigned>(octets[at]) : 0);
  }
  return value >> (24 - bit % 8 - depth) & ((1u << depth) - 1);
}

std::size_t plane_of(rtp::Component component) {
  switch (component) {
    case rtp::Component::cb:
    case rtp::Component::g:
      return 1;
    case rtp::Component::cr:
    case rtp::Component::b:
      return 2;
    default:
      return 0;
  }
}

std::byte to_byte(double value) { return static_cast<std::byte>(std::clamp(value + 0.5, 0.0, 255.0)); }

/// Narrow range, as RFC 4175's senders have it.
void write_ycbcr(std::byte* to, double y, double cb, double cr, bool high_definition) {
  const double luma = 1.164383 * (y - 16), blue = cb - 128, red = cr - 128;
  to[0] = to_byte(luma + (high_definition ? 1.792741 : 1.596027) * red);
  to[1] =
      to_byte(luma - (high_definition ? 0.213249 : 0.391762) * blue - (high_definition ? 0.532909 : 0.812968) * red);
  to[2] = to_byte(luma + (high_definition ? 2.112402 : 2.017232) * blue);
}

/// One row of the picture, of the lines that were kept for it.
void make_row(std::span<const std::byte> line, const rtp::VideoFormat& format, const rtp::Pgroup& pgroup,
              unsigned scale, std::vector<Sums>& sums, std::span<std::byte> row) {
  std::ranges::fill(sums, Sums{});
  const auto samples = rtp::samples_of(format.sampling, format.depth);
  for (unsigned x = 0, at = 0; x < format.width; x += pgroup.width, at += pgroup.octets) {
    const auto group = line.subspan(at, pgroup.octets);
    std::size_t bit = 0;
    for (const rtp::Sample& sample : samples) {
      const unsigned value = sample_at(group, bit, format.depth) >> (format.depth - 8);
      bit += format.depth;
      const std::size_t column = (x + sample.x) / scale;
      if (sample.component == rtp::Component::a || column >= sums.size()) continue;
      const std::size_t plane = plane_of(sample.component);
      sums[column].first[plane] += value;
      ++sums[column].count[plane];
    }
  }
  const bool ycbcr = format.sampling == rtp::Sampling::ycbcr_422 || format.sampling == rtp::Sampling::ycbcr_420;
  std::array<double, 3> color{128, 128, 128};
  for (std::size_t column = 0; column < sums.size(); ++column) {
    // Of a row narrower than its chroma's, the colour before goes on.
    for (std::size_t plane = 0; plane < 3; ++plane)
      if (const unsigned count = sums[column].count[plane]; count > 0)
        color[plane] = static_cast<double>(sums[column].first[plane]) / count;
    std::byte* const to = row.data() + column * 3;
    if (ycbcr)
      write_ycbcr(to, color[0], color[1], color[2], format.height >= k_high_definition_rows);
    else
      for (std::size_t plane = 0; plane < 3; ++plane) to[plane] = to_byte(color[plane]);
  }
}

}  // namespace

std::shared_ptr<const PreviewBoard::Picture> PreviewBoard::read(Side side) const {
  const std::lock_guard lock(mutex_);
  return side == Side::in ? in_ : out_;
}

void PreviewBoard::publish(std::shared_ptr<const Picture> in, std::shared_ptr<const Picture> out) {
  const std::lock_guard lock(mutex_);
  in_ = std::move(in);
  out_ = std::move(out);
}

Previewer::Previewer(const rtp::VideoFormat& format, compute::Arena& arena, PreviewBoard& board, std::uint64_t epoch)
    : arena_(arena), board_(board), epoch_(epoch), format_(format), map_(packed_form(format)) {}

Previewer::~Previewer() { busy_.wait(true); }

void Previewer::configure(const PreviewConfig& config) {
  if (config.height_max != config_.height_max) {
    stale_ = true;
    keeping_ = false;
  }
  config_ = config;
}

void Previewer::reset(const rtp::VideoFormat& format) {
  format_ = format;
  stale_ = true;
  keeping_ = false;
}

void Previewer::lay_out() {
  const rtp::VideoFormat& format = geometry_.format = format_;
  const auto pgroup = rtp::pgroup_of(format.sampling, format.depth);
  assert(pgroup);
  geometry_.pgroup = *pgroup;
  geometry_.line_octets = (format.width + pgroup->width - 1) / pgroup->width * pgroup->octets;
  // Of interlaced video, every second row is of the other field.
  const unsigned unit = pgroup->height * (format.interlaced ? 2 : 1);
  const unsigned units = (format.height + unit - 1) / unit;
  geometry_.step = std::max(1u, (format.height + unit * config_.height_max - 1) / (unit * config_.height_max));
  geometry_.scale = unit * geometry_.step;
  geometry_.rows = (units + geometry_.step - 1) / geometry_.step;
  geometry_.columns = std::max(1u, format.width / geometry_.scale);
  lines_.resize(std::size_t{geometry_.rows} * geometry_.line_octets);
  pixels_.resize(std::size_t{geometry_.rows} * geometry_.columns * 3);
  stale_ = false;
}

bool Previewer::begin(std::uint64_t number, unsigned field, std::int64_t now_ns) {
  if (keeping_ || field != 0 || config_.per_second <= 0 || now_ns < next_ns_) return false;
  if (busy_.load(std::memory_order_acquire)) return false;
  if (stale_) lay_out();
  next_ns_ = now_ns + static_cast<std::int64_t>(1e9 / config_.per_second);
  number_ = number;
  return keeping_ = true;
}

void Previewer::keep(const rtp::Segment& segment, std::span<const std::byte> groups) {
  const unsigned row = geometry_.format.interlaced ? segment.row / 2 : segment.row;
  const unsigned unit = row / geometry_.pgroup.height;
  if (unit % geometry_.step != 0) return;
  const std::size_t at = std::size_t{unit / geometry_.step} * geometry_.line_octets +
                         std::size_t{segment.offset} / geometry_.pgroup.width * geometry_.pgroup.octets;
  assert(at + groups.size() <= lines_.size());
  net::move_bytes(lines_.data() + at, groups.data(), groups.size(), copied_bytes_);
}

void Previewer::end(bool whole, const compute::Lut& lut) {
  keeping_ = false;
  if (!whole) {
    next_ns_ = 0;
    return;
  }
  lut_ = lut;
  busy_.store(true, std::memory_order_release);
  arena_.enqueue(*this);
}

std::shared_ptr<const PreviewBoard::Picture> Previewer::encode() {
  std::vector<Sums> sums(geometry_.columns);
  for (unsigned row = 0; row < geometry_.rows; ++row) {
    const auto line = std::span(lines_).subspan(std::size_t{row} * geometry_.line_octets, geometry_.line_octets);
    const auto to = std::span(pixels_).subspan(std::size_t{row} * geometry_.columns * 3, geometry_.columns * 3);
    make_row(line, geometry_.format, geometry_.pgroup, geometry_.scale, sums, to);
  }
  codec::PageInfo page{.width = geometry_.columns, .height = geometry_.rows, .format = {.colors = 3}};
  codec::Image image{.info = {.format = codec::FileFormat::ppm, .pages = {page}},
                     .file = {},
                     .pages = {{pixels_.data(), page.width, page.height, page.width * std::size_t{3}, page.format}}};
  const codec::EncodeOptions options{.format = codec::FileFormat::jpeg, .quality = k_jpeg_quality};
  jpeg_.resize(codec::encoded_bytes_max(image, options));
  const auto bytes = codec::encode(image, options, jpeg_, arena_);
  if (!bytes) return nullptr;
  auto picture = std::make_shared<PreviewBoard::Picture>();
  picture->jpeg.assign(reinterpret_cast<const char*>(jpeg_.data()), *bytes);
  picture->number = number_;
  picture->epoch = epoch_;
  return picture;
}

void Previewer::run() {
  auto in = encode();
  map_.set(lut_);
  const rtp::VideoFormat& format = geometry_.format;
  const compute::video::Extent seen{.columns = format.width};
  for (unsigned row = 0; row < geometry_.rows; ++row)
    map_.apply(std::span(lines_).subspan(std::size_t{row} * geometry_.line_octets, geometry_.line_octets), seen);
  auto out = encode();
  if (in && out) board_.publish(std::move(in), std::move(out));
  busy_.store(false, std::memory_order_release);
  busy_.notify_all();
}

}  // namespace histod::daemon::streams
