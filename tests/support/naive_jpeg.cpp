// SPDX-License-Identifier: Apache-2.0
#include "tests/support/naive_jpeg.hpp"

#include <algorithm>
#include <stdexcept>

namespace histod::test {
namespace {

using Numbers = std::vector<unsigned>;

[[noreturn]] void wrong(const std::string& why) { throw std::runtime_error(why); }

struct Segment {
  unsigned marker;
  Numbers data;
};

struct Source {
  Numbers bytes;
  std::size_t at = 0;

  unsigned next() {
    if (at >= bytes.size()) wrong("the file ends early");
    return bytes[at++];
  }
  unsigned word() {
    const unsigned high = next();
    return high * 256 + next();
  }
  Segment segment() {
    if (next() != 0xFF) wrong("no marker where one must be");
    Segment found{next(), {}};
    if (found.marker == 0xD8 || found.marker == 0xD9) return found;
    for (unsigned left = word() - 2; left > 0; --left) found.data.push_back(next());
    return found;
  }
};

/// The bits between two markers.
struct Interval {
  std::vector<bool> bits;
  std::size_t at = 0;
  bool bit() {
    if (at >= bits.size()) wrong("the data end within a block");
    return bits[at++];
  }
  int value(unsigned size) {
    if (size == 0) return 0;
    int number = 0;
    const bool positive = bit();
    number = positive ? 1 : 0;
    for (unsigned i = 1; i < size; ++i) number = number * 2 + (bit() ? 1 : 0);
    return positive ? number : number - (1 << size) + 1;
  }
  unsigned symbol(const std::map<std::string, unsigned>& codes) {
    std::string code;
    while (code.size() < 16) {
      code += bit() ? '1' : '0';
      if (const auto found = codes.find(code); found != codes.end()) return found->second;
    }
    wrong("no such code: " + code);
  }
};

void take_huffman(NaiveJpeg& jpeg, const Numbers& data) {
  for (std::size_t at = 0; at < data.size();) {
    auto& codes = jpeg.codes[data[at++]];
    codes.clear();
    const std::size_t counts = at;
    at += 16;
    unsigned code = 0;
    for (unsigned length = 1; length <= 16; ++length, code *= 2)
      for (unsigned i = 0; i < data.at(counts + length - 1); ++i, ++code) {
        std::string text;
        for (unsigned bit = length; bit-- > 0;) text += (code >> bit & 1) != 0 ? '1' : '0';
        if (text.find('0') == std::string::npos) wrong("a code of ones only");
        codes[text] = data.at(at++);
      }
  }
}

void take_quantization(NaiveJpeg& jpeg, const Numbers& data) {
  for (std::size_t at = 0; at < data.size();) {
    const bool wide = data[at] >= 16;
    auto& table = jpeg.tables[data[at++] % 16];
    table.clear();
    for (int i = 0; i < 64; ++i) {
      unsigned value = data.at(at++);
      if (wide) value = value * 256 + data.at(at++);
      table.push_back(value);
    }
  }
}

void take_frame(NaiveJpeg& jpeg, const Numbers& data) {
  jpeg.height = data.at(1) * 256 + data.at(2);
  jpeg.width = data.at(3) * 256 + data.at(4);
  for (std::size_t i = 0; i < data.at(5); ++i)
    jpeg.components.push_back(
        {data.at(6 + 3 * i), data.at(7 + 3 * i) / 16, data.at(7 + 3 * i) % 16, data.at(8 + 3 * i)});
  if (jpeg.components.size() == 1) jpeg.components[0].h = jpeg.components[0].v = 1;
}

void take_scan(NaiveJpeg& jpeg, const Numbers& data) {
  if (data.at(0) != jpeg.components.size()) wrong("a scan of some components only");
  for (std::size_t i = 0; i < jpeg.components.size(); ++i) {
    if (data.at(1 + 2 * i) != jpeg.components[i].id) wrong("components in another order");
    jpeg.components[i].dc_table = data.at(2 + 2 * i) / 16;
    jpeg.components[i].ac_table = data.at(2 + 2 * i) % 16;
  }
}

/// Data up to the end marker, cut at restarts.
std::vector<Interval> take_data(NaiveJpeg& jpeg, Source& source) {
  std::vector<Interval> intervals(1);
  for (;;) {
    const unsigned byte = source.next();
    if (byte == 0xFF) {
      const unsigned code = source.next();
      if (code == 0xD9) break;
      if (code >= 0xD0 && code <= 0xD7) {
        if (code - 0xD0 != jpeg.restarts++ % 8) wrong("a restart out of turn");
        intervals.emplace_back();
        continue;
      }
      if (code != 0) wrong("a marker within data");
    }
    for (int bit = 7; bit >= 0; --bit) intervals.back().bits.push_back((byte >> bit & 1) != 0);
  }
  jpeg.markers.push_back(0xD9);
  return intervals;
}

std::array<int, 64> block_of(const NaiveJpeg& jpeg, const NaiveJpeg::Component& component, Interval& from, int& dc) {
  std::array<int, 64> block{};
  dc += from.value(from.symbol(jpeg.codes.at(component.dc_table)));
  block[0] = dc;
  for (std::size_t place = 1; place < 64; ++place) {
    const unsigned symbol = from.symbol(jpeg.codes.at(16 + component.ac_table));
    if (symbol == 0) break;
    place += symbol / 16;
    const int value = from.value(symbol % 16);
    if (place > 63) wrong("a run over the end of a block");
    block[place] = value;
  }
  return block;
}

void take_mcus(NaiveJpeg& jpeg, std::vector<Interval>& intervals) {
  unsigned h = 1, v = 1;
  for (const auto& component : jpeg.components) {
    h = std::max(h, component.h);
    v = std::max(v, component.v);
  }
  const std::size_t count = std::size_t{(jpeg.width + 8 * h - 1) / (8 * h)} * ((jpeg.height + 8 * v - 1) / (8 * v));
  const std::size_t each = jpeg.restart_interval == 0 ? count : jpeg.restart_interval;
  if (intervals.size() != (count + each - 1) / each) wrong("another number of restarts than the interval asks for");
  jpeg.blocks.resize(jpeg.components.size());
  std::uint64_t before = 0;
  std::array<int, 3> dc{};
  for (std::size_t i = 0; i < count; ++i) {
    Interval& from = intervals[i / each];
    if (i > 0 && i % each == 0) {
      before += intervals[i / each - 1].bits.size();
      dc = {};
    }
    NaiveJpeg::Mcu mcu{before + from.at, 0, dc};
    for (std::size_t c = 0; c < jpeg.components.size(); ++c) {
      if (c == 1) mcu.chroma = before + from.at;
      for (unsigned block = 0; block < jpeg.components[c].h * jpeg.components[c].v; ++block)
        jpeg.blocks[c].push_back(block_of(jpeg, jpeg.components[c], from, dc[c]));
    }
    jpeg.mcus.push_back(mcu);
    const bool last = i + 1 == count || (i + 1) % each == 0;
    if (last && from.bits.size() - from.at >= 8) wrong("bytes are left behind the last MCU");
    while (last && from.at < from.bits.size())
      if (!from.bit()) wrong("padding that is not ones");
  }
  for (const Interval& interval : intervals) jpeg.bits += interval.bits.size();
}

void read(NaiveJpeg& jpeg, Source& source) {
  for (;;) {
    const Segment segment = source.segment();
    jpeg.markers.push_back(segment.marker);
    if (segment.marker == 0xC4) take_huffman(jpeg, segment.data);
    if (segment.marker == 0xDB) take_quantization(jpeg, segment.data);
    if (segment.marker == 0xC0 || segment.marker == 0xC1) take_frame(jpeg, segment.data);
    if (segment.marker == 0xDD) jpeg.restart_interval = segment.data.at(0) * 256 + segment.data.at(1);
    if (segment.marker != 0xDA) continue;
    take_scan(jpeg, segment.data);
    auto intervals = take_data(jpeg, source);
    return take_mcus(jpeg, intervals);
  }
}

}  // namespace

NaiveJpeg::NaiveJpeg(const FileBytes& file) {
  Source source;
  for (const std::byte byte : file) source.bytes.push_back(std::to_integer<unsigned>(byte));
  try {
    read(*this, source);
  } catch (const std::exception& error) {
    why = error.what();
  }
}

}  // namespace histod::test
