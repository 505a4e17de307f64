// SPDX-License-Identifier: Apache-2.0
#include "compute/codec/jpeg_markers.hpp"

namespace histod::compute::codec::jpeg {
namespace {

enum Marker : unsigned {
  k_sof0 = 0xC0,
  k_sof1 = 0xC1,
  k_sof2 = 0xC2,
  k_dht = 0xC4,
  k_jpg = 0xC8,
  k_dac = 0xCC,
  k_sof15 = 0xCF,
  k_rst0 = 0xD0,
  k_rst7 = 0xD7,
  k_soi = 0xD8,
  k_eoi = 0xD9,
  k_dqt = 0xDB,
  k_sos = 0xDA,
  k_app0 = 0xE0,
  k_app14 = 0xEE,
  k_app15 = 0xEF,
  k_com = 0xFE,
};

constexpr std::size_t k_segments_max = 100'000;

bool is_sof(unsigned marker) {
  return marker >= k_sof0 && marker <= k_sof15 && marker != k_dht && marker != k_jpg && marker != k_dac;
}

std::unexpected<Error> ended() { return fail(Errc::truncated, "the JPEG ends before its end-of-image marker"); }

struct Walk {
  Bytes file;
  std::size_t at = 2;
  Header header;
  bool jfif = false;
  int adobe_transform = -1;

  /// Position after the next marker; entropy-coded data in between are skipped.
  Result<unsigned> next_marker();
  Result<Bytes> segment_data();
  Result<void> take_sof(unsigned marker, Bytes data);
  Result<void> take_kept(unsigned marker, Bytes data);
  void find_color();
};

Result<unsigned> Walk::next_marker() {
  while (at < file.size()) {
    const void* found = std::memchr(file.data() + at, 0xff, file.size() - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - file.data());
    while (at < file.size() && file[at] == std::byte{0xff}) ++at;
    if (at == file.size()) break;
    const unsigned code = std::to_integer<unsigned>(file[at++]);
    const bool data = code == 0 || code == 1 || (code >= k_rst0 && code <= k_rst7);
    if (!data) return code;
  }
  return ended();
}

Result<Bytes> Walk::segment_data() {
  if (file.size() - at < 2) return ended();
  const std::size_t length = load_big<std::uint16_t>(file, at);
  if (length < 2) return fail(Errc::corrupt, "a segment of the JPEG is shorter than its own length field", length, 2);
  if (length > file.size() - at) return ended();
  const Bytes data = file.subspan(at + 2, length - 2);
  at += length;
  return data;
}

Result<void> Walk::take_sof(unsigned marker, Bytes data) {
  if (header.components != 0) return fail(Errc::corrupt, "the JPEG has more than one frame header");
  if (marker > k_sof2)
    return fail(Errc::unsupported_feature, "coding process of the JPEG (lossless, hierarchical or arithmetic)", marker);
  if (data.size() < 6) return fail(Errc::corrupt, "the frame header of the JPEG is too short");
  const unsigned bits = std::to_integer<unsigned>(data[0]);
  if (bits != 8) return fail(Errc::unsupported_feature, "bits of each sample of the JPEG", bits, 8);
  header.height = load_big<std::uint16_t>(data, 1);
  header.width = load_big<std::uint16_t>(data, 3);
  header.components = std::to_integer<unsigned>(data[5]);
  header.progressive = marker == k_sof2;
  if (header.height == 0) return fail(Errc::unsupported_feature, "the JPEG gives its height only after the pixels");
  if (header.components == 4) return fail(Errc::unsupported_feature, "the JPEG is CMYK or YCCK", 4, 3);
  if (header.components != 1 && header.components != 3)
    return fail(Errc::unsupported_feature, "components of the JPEG", header.components, 3);
  if (data.size() < 6 + 3 * std::size_t{header.components})
    return fail(Errc::corrupt, "the frame header of the JPEG is too short");
  for (std::size_t i = 0; i < header.components; ++i) {
    Component& component = header.sampling[i];
    component.id = std::to_integer<unsigned>(data[6 + 3 * i]);
    component.h = std::to_integer<unsigned>(data[7 + 3 * i]) >> 4;
    component.v = std::to_integer<unsigned>(data[7 + 3 * i]) & 15;
    if (component.h < 1 || component.h > 4 || component.v < 1 || component.v > 4)
      return fail(Errc::corrupt, "a sampling factor of the JPEG is not between 1 and 4");
    const unsigned table = std::to_integer<unsigned>(data[8 + 3 * i]);
    if (table > 3)
      return fail(Errc::corrupt, "the JPEG has a quantization table beyond the last that may be", table, 3);
  }
  return {};
}

Result<void> Walk::take_kept(unsigned marker, Bytes data) {
  header.ancillary_bytes += data.size() + 4;
  if (header.kept.size() >= k_segments_max)
    return fail(Errc::ancillary_over_limit, "segments of the JPEG", k_segments_max + 1, k_segments_max);
  header.kept.push_back({marker, data});
  if (marker == k_app0 && starts_with(data, std::string_view("JFIF\0", 5))) jfif = true;
  if (marker == k_app14 && data.size() >= 12 && starts_with(data, "Adobe"))
    adobe_transform = std::to_integer<int>(data[11]);
  return {};
}

/// A zero in a table is a division by zero for who encodes with it; libjpeg reads it without a word.
Result<void> check_quantization(Bytes data) {
  while (!data.empty()) {
    const std::size_t each_bytes = std::to_integer<unsigned>(data[0]) >> 4 == 0 ? 1 : 2;
    const std::size_t table_bytes = 64 * each_bytes;
    if (data.size() < 1 + table_bytes) return fail(Errc::corrupt, "a quantization table of the JPEG is too short");
    for (std::size_t i = 0; i < 64; ++i) {
      const std::size_t at = 1 + i * each_bytes;
      const unsigned value = each_bytes == 1 ? std::to_integer<unsigned>(data[at]) : load_big<std::uint16_t>(data, at);
      if (value == 0) return fail(Errc::corrupt, "a quantization table of the JPEG has a zero");
    }
    data = data.subspan(1 + table_bytes);
  }
  return {};
}

/// The guess that libjpeg makes, in its order.
void Walk::find_color() {
  const auto& ids = header.sampling;
  const bool rgb_ids = ids[0].id == 'R' && ids[1].id == 'G' && ids[2].id == 'B';
  header.ycc = header.components == 3 && (jfif || (adobe_transform >= 0 ? adobe_transform != 0 : !rgb_ids));
}

}  // namespace

unsigned Header::h_max() const {
  unsigned most = 1;
  for (unsigned i = 0; i < components; ++i) most = std::max(most, sampling[i].h);
  return most;
}

unsigned Header::v_max() const {
  unsigned most = 1;
  for (unsigned i = 0; i < components; ++i) most = std::max(most, sampling[i].v);
  return most;
}

std::uint64_t Header::padded_samples() const {
  const std::uint64_t across = (width + 8 * h_max() - 1) / (8 * h_max());
  const std::uint64_t down = (height + 8 * v_max() - 1) / (8 * v_max());
  std::uint64_t blocks = 0;
  for (unsigned i = 0; i < components; ++i) blocks += across * sampling[i].h * down * sampling[i].v;
  return blocks * 64;
}

Result<Header> read_markers(Bytes file) {
  Walk walk{.file = file, .header = {}};
  for (;;) {
    const auto marker = walk.next_marker();
    if (!marker) return std::unexpected(marker.error());
    if (*marker == k_eoi) break;
    if (*marker == k_soi) return fail(Errc::corrupt, "the JPEG has a second start-of-image marker");
    const auto data = walk.segment_data();
    if (!data) return std::unexpected(data.error());
    Result<void> done;
    if (is_sof(*marker)) done = walk.take_sof(*marker, *data);
    if (*marker == k_dqt) done = check_quantization(*data);
    if (*marker == k_dac) done = fail(Errc::unsupported_feature, "the JPEG is arithmetic-coded");
    if (*marker == k_sos) ++walk.header.scans;
    if (*marker == k_com || (*marker >= k_app0 && *marker <= k_app15)) done = walk.take_kept(*marker, *data);
    if (!done) return std::unexpected(done.error());
  }
  if (walk.header.components == 0) return fail(Errc::corrupt, "the JPEG has no frame header");
  if (walk.header.scans == 0) return fail(Errc::corrupt, "the JPEG has no scan");
  walk.find_color();
  return std::move(walk.header);
}

std::vector<std::byte> joined_icc(const std::vector<Segment>& segments) {
  constexpr std::size_t k_numbers_at = k_icc_prefix.size();
  std::array<Bytes, 256> parts{};
  std::size_t expected = 0;
  std::size_t found = 0;
  for (const Segment& segment : segments) {
    if (!is_icc(segment) || segment.data.size() < k_numbers_at + 2) continue;
    const auto number = std::to_integer<std::size_t>(segment.data[k_numbers_at]);
    expected = std::to_integer<std::size_t>(segment.data[k_numbers_at + 1]);
    if (number == 0 || number > expected || !parts[number].empty()) return {};
    parts[number] = segment.data.subspan(k_numbers_at + 2);
    ++found;
  }
  std::vector<std::byte> icc;
  if (found != expected) return icc;
  for (const Bytes part : parts) icc.insert(icc.end(), part.begin(), part.end());
  return icc;
}

}  // namespace histod::compute::codec::jpeg
