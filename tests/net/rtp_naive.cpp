// SPDX-License-Identifier: Apache-2.0
#include "tests/net/rtp_naive.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace histod::test {

namespace {

using net::rtp::LineNumbering;
using net::rtp::VideoFormat;

/// Takes bits from the front; throws at the end.
struct Bits {
  std::span<const std::byte> octets;
  std::size_t at = 0;

  std::uint32_t take(unsigned bits) {
    if (at + bits > octets.size() * 8) throw std::out_of_range("end");
    const auto value = bits_at(octets, at, bits);
    at += bits;
    return static_cast<std::uint32_t>(value);
  }
  Octets take_octets(std::size_t count) {
    Octets out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(static_cast<std::byte>(take(8)));
    return out;
  }
};

struct NaiveSample {
  std::string component;
  unsigned down, right;
};

/// "CB01 Y00": component, row, pixel of each.
std::vector<NaiveSample> samples_named(const std::string& text) {
  std::istringstream stream(text);
  std::vector<NaiveSample> out;
  for (std::string word; stream >> word;) {
    const std::size_t size = word.size();
    out.push_back({word.substr(0, size - 2), static_cast<unsigned>(word[size - 2] - '0'),
                   static_cast<unsigned>(word[size - 1] - '0')});
  }
  return out;
}

/// All rows of a field (of a progressive frame: all rows), as rows of the frame.
std::vector<unsigned> rows_of_field(const VideoFormat& format, unsigned field) {
  std::vector<unsigned> rows;
  for (unsigned row = 0; row < format.height; ++row) {
    if (!format.interlaced || row % 2 == field) rows.push_back(row);
  }
  return rows;
}

void read_line(const NaiveLine& line, Bits& data, const VideoFormat& format, NaiveFrame& samples) {
  const NaivePgroup& pgroup = naive_pgroup(format);
  const auto rows = rows_of_field(format, line.field);
  // The line's place among the rows of its field.
  std::size_t place = line.line;
  if (format.interlaced && format.line_numbering == LineNumbering::frame) {
    const auto found = std::ranges::find(rows, line.line);
    if (found == rows.end()) throw std::out_of_range("line");
    place = static_cast<std::size_t>(found - rows.begin());
  }
  if (place >= rows.size() || place % pgroup.height != 0) throw std::out_of_range("line");
  if (line.length == 0 || line.length % pgroup.octets != 0 || line.offset % pgroup.width != 0) {
    throw std::out_of_range("pgroup");
  }
  const auto named = samples_named(pgroup.samples);
  unsigned x = line.offset;
  for (unsigned left = line.length; left > 0; left -= pgroup.octets, x += pgroup.width) {
    if (x >= format.width) throw std::out_of_range("pixel");
    for (const auto& [component, down, right] : named) {
      const unsigned value = data.take(format.depth);
      if (x + right >= format.width || place + down >= rows.size()) continue;
      if (!samples.emplace(std::tuple(component, rows[place + down], x + right), value).second) {
        throw std::out_of_range("twice");
      }
    }
  }
}

std::string component_name(net::rtp::Component component) {
  static const std::vector<std::string> k_names{"Y", "CB", "CR", "R", "G", "B", "A"};
  return k_names.at(static_cast<std::size_t>(component));
}

/// Calls `visit(bit in the packet, component, row, x)` for each sample that is no fill.
template <class Visit>
void each_sample(const net::rtp::Segment& segment, const VideoFormat& format, Visit visit) {
  const auto pgroup = net::rtp::pgroup_of(format.sampling, format.depth);
  const auto samples = net::rtp::samples_of(format.sampling, format.depth);
  std::size_t bit = std::size_t{segment.begin} * 8;
  for (unsigned i = 0; i < segment.octets / pgroup->octets; ++i) {
    for (const net::rtp::Sample& sample : samples) {
      const unsigned x = i * pgroup->width + sample.x;
      if (x < segment.pixels && sample.y < segment.rows) {
        visit(bit, component_name(sample.component), unsigned{segment.row} + sample.y * segment.row_step,
              segment.offset + x);
      }
      bit += format.depth;
    }
  }
}

}  // namespace

std::uint64_t bits_at(std::span<const std::byte> octets, std::size_t first_bit, unsigned bits) {
  std::uint64_t value = 0;
  for (std::size_t bit = first_bit; bit < first_bit + bits; ++bit) {
    value = value * 2 + ((std::to_integer<unsigned>(octets[bit / 8]) >> (7 - bit % 8)) & 1);
  }
  return value;
}

void put_bits(std::span<std::byte> octets, std::size_t first_bit, unsigned bits, std::uint64_t value) {
  for (unsigned i = 0; i < bits; ++i) {
    const std::size_t bit = first_bit + i;
    const auto mask = static_cast<std::byte>(0x80 >> bit % 8);
    octets[bit / 8] &= ~mask;
    if ((value >> (bits - 1 - i) & 1) != 0) octets[bit / 8] |= mask;
  }
}

std::optional<NaivePacket> naive_rtp(std::span<const std::byte> datagram) try {
  Bits bits{datagram};
  NaivePacket out;
  if (bits.take(2) != 2) return std::nullopt;
  const bool padding = bits.take(1) == 1;
  const bool extension = bits.take(1) == 1;
  const unsigned sources = bits.take(4);
  out.marker = bits.take(1);
  out.payload_type = bits.take(7);
  out.sequence_number = bits.take(16);
  out.timestamp = bits.take(32);
  out.ssrc = bits.take(32);
  for (unsigned i = 0; i < sources; ++i) out.csrc.push_back(bits.take(32));
  if (extension) {
    out.extension_profile = bits.take(16);
    const unsigned length = bits.take(16);
    out.extension = bits.take_octets(length * std::size_t{4});
  }
  out.payload = bits.take_octets(datagram.size() - bits.at / 8);
  if (padding) {
    if (out.payload.empty()) return std::nullopt;
    out.padding = std::to_integer<unsigned>(out.payload.back());
    if (out.padding == 0 || out.padding > out.payload.size()) return std::nullopt;
    out.payload.resize(out.payload.size() - out.padding);
  }
  return out;
} catch (const std::out_of_range&) {
  return std::nullopt;
}

std::optional<NaivePacket> naive_video(std::span<const std::byte> datagram, const VideoFormat& format) try {
  auto out = naive_rtp(datagram);
  if (!out) return std::nullopt;
  Bits bits{out->payload};
  out->extended = bits.take(16);
  for (bool more = true; more;) {
    NaiveLine line;
    line.length = bits.take(16);
    line.field = bits.take(1);
    line.line = bits.take(15);
    more = bits.take(1) == 1;
    line.offset = bits.take(15);
    if (line.field == 1 && !format.interlaced) return std::nullopt;
    if (!out->lines.empty()) {
      const NaiveLine& before = out->lines.back();
      if (line.field != before.field) return std::nullopt;
      if (std::tuple(line.line, line.offset) < std::tuple(before.line, before.offset)) return std::nullopt;
    }
    out->lines.push_back(line);
  }
  if (out->lines.size() == 1 && out->lines[0].length == 0) {
    out->lines.clear();
    return out;
  }
  for (const NaiveLine& line : out->lines) read_line(line, bits, format, out->samples);
  return out;
} catch (const std::out_of_range&) {
  return std::nullopt;
}

const std::vector<NaivePgroup>& naive_pgroups() {
  static const std::string k_422 = "CB00 Y00 CR00 Y01";
  static const std::string k_420 = "Y00 Y01 Y10 Y11 CB00 CR00";
  static const std::string k_rgba = "R00 G00 B00 A00";
  static const std::vector<NaivePgroup> k_pgroups{
      {"YCbCr-4:2:2", 8, 4, 2, 1, k_422},
      {"YCbCr-4:2:2", 10, 5, 2, 1, k_422},
      {"YCbCr-4:2:2", 12, 6, 2, 1, k_422},
      {"YCbCr-4:2:2", 16, 8, 2, 1, k_422},
      {"YCbCr-4:2:0", 8, 6, 2, 2, k_420},
      {"YCbCr-4:2:0", 10, 15, 4, 2, k_420 + " Y02 Y03 Y12 Y13 CB02 CR02"},
      {"YCbCr-4:2:0", 12, 9, 2, 2, k_420},
      {"YCbCr-4:2:0", 16, 12, 2, 2, k_420},
      {"RGB", 8, 3, 1, 1, "R00 G00 B00"},
      {"RGB", 10, 15, 4, 1, "R00 G00 B00 R01 G01 B01 R02 G02 B02 R03 G03 B03"},
      {"RGB", 12, 9, 2, 1, "R00 G00 B00 R01 G01 B01"},
      {"RGB", 16, 6, 1, 1, "R00 G00 B00"},
      {"RGBA", 8, 4, 1, 1, k_rgba},
      {"RGBA", 10, 5, 1, 1, k_rgba},
      {"RGBA", 12, 6, 1, 1, k_rgba},
      {"RGBA", 16, 8, 1, 1, k_rgba}};
  return k_pgroups;
}

const NaivePgroup& naive_pgroup(const VideoFormat& format) {
  for (const NaivePgroup& pgroup : naive_pgroups()) {
    if (pgroup.sampling == net::rtp::name_of(format.sampling) && pgroup.depth == format.depth) return pgroup;
  }
  throw std::logic_error("no pgroup");
}

NaiveFrame naive_noise(const VideoFormat& format, Random& random) {
  NaiveFrame frame;
  const NaivePgroup& pgroup = naive_pgroup(format);
  const auto named = samples_named(pgroup.samples);
  for (const unsigned field : {0u, 1u}) {
    if (field == 1 && !format.interlaced) break;
    const auto rows = rows_of_field(format, field);
    for (std::size_t place = 0; place < rows.size(); place += pgroup.height) {
      for (unsigned x = 0; x < format.width; x += pgroup.width) {
        for (const auto& [component, down, right] : named) {
          if (x + right >= format.width || place + down >= rows.size()) continue;
          frame[{component, rows[place + down], x + right}] = static_cast<unsigned>(random() % (1u << format.depth));
        }
      }
    }
  }
  return frame;
}

NaiveFrame samples_of_payload(std::span<const std::byte> datagram, const net::rtp::Payload& payload,
                              const VideoFormat& format) {
  NaiveFrame out;
  for (const net::rtp::Segment& segment : payload) {
    each_sample(segment, format, [&](std::size_t bit, const std::string& component, unsigned row, unsigned x) {
      out[{component, row, x}] = static_cast<unsigned>(bits_at(datagram, bit, format.depth));
    });
  }
  return out;
}

void put_segment(std::span<std::byte> packet, const net::rtp::Segment& segment, const VideoFormat& format,
                 const NaiveFrame& frame) {
  each_sample(segment, format, [&](std::size_t bit, const std::string& component, unsigned row, unsigned x) {
    put_bits(packet, bit, format.depth, frame.at({component, row, x}));
  });
}

net::rtp::Raster raster_of(const VideoFormat& format) { return net::rtp::Raster::make(format).value(); }

}  // namespace histod::test
