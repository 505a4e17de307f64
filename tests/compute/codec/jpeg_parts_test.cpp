// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "compute/codec/jpeg_bands.hpp"
#include "compute/codec/jpeg_dct.hpp"
#include "compute/codec/jpeg_huffman.hpp"
#include "compute/codec/jpeg_zigzag.hpp"
#include "compute/kernels.hpp"
#include "tests/support/image_files.hpp"

/// The parts of the JPEG codec by themselves. Oracles: libjpeg, and naive code on strings of '0' and '1'.
namespace histod::test {
namespace {

namespace jpeg = compute::codec::jpeg;

/// All instruction sets that this machine has, one after the other.
template <class Body>
void for_each_isa(const Body& body) {
  const compute::Kernels& before = compute::kernels();
  for (const compute::Kernels* kernels : compute::available_kernels()) {
    SCOPED_TRACE(kernels->isa);
    compute::set_kernels(*kernels);
    body(jpeg::dct());
  }
  compute::set_kernels(before);
}

Raster gray_of_kind(int kind) {
  Raster raster{128, 96, 1, 8, {}};
  std::mt19937 random(static_cast<unsigned>(kind));
  for (std::uint32_t y = 0; y < raster.height; ++y)
    for (std::uint32_t x = 0; x < raster.width; ++x) {
      const auto noise = static_cast<unsigned>(random());
      const unsigned value[] = {noise % 256, noise % 2 * 255, (x * 2 + y) % 256, 128 + noise % 3,
                                (x / 8 + y / 8) % 2 * 255};
      raster.samples.push_back(static_cast<std::uint16_t>(value[kind]));
    }
  return raster;
}

jpeg::Quantization quantization_of(const FileBytes& file) {
  jpeg::Quantization table;
  const auto values = jpeg_quantization(file, 0);  // libjpeg has them in natural order
  std::copy(values.begin(), values.end(), table.begin());
  return table;
}

class Dct : public testing::TestWithParam<std::pair<int, int>> {};  // kind, quality

TEST_P(Dct, forward_is_that_of_libjpeg) {
  const Raster raster = gray_of_kind(GetParam().first);
  const FileBytes file = jpeg_file(raster, {.quality = GetParam().second});
  const auto expected = jpeg_coefficients(file, 0);
  std::vector<std::uint8_t> samples(raster.samples.begin(), raster.samples.end());
  const jpeg::Quantizer quantizer(quantization_of(file));
  for_each_isa([&](const jpeg::Dct& dct) {
    std::size_t block = 0;
    for (std::size_t y = 0; y < raster.height; y += 8)
      for (std::size_t x = 0; x < raster.width; x += 8, ++block) {
        std::vector<std::int16_t> found(64);
        const std::uint64_t nonzero =
            dct.forward(samples.data() + y * raster.width + x, raster.width, quantizer, found.data());
        const auto first = expected.begin() + static_cast<std::ptrdiff_t>(64 * block);
        ASSERT_EQ(found, std::vector(first, first + 64)) << "block at " << x << ", " << y;
        for (std::size_t i = 0; i < 64; ++i) ASSERT_EQ((nonzero >> i & 1) != 0, found[i] != 0);
      }
  });
}

TEST_P(Dct, inverse_is_that_of_libjpeg) {
  const FileBytes file = jpeg_file(gray_of_kind(GetParam().first), {.quality = GetParam().second});
  const auto coefficients = jpeg_coefficients(file, 0);
  const Raster expected = read_jpeg(file);
  const jpeg::Quantization quantization = quantization_of(file);
  for_each_isa([&](const jpeg::Dct& dct) {
    std::vector<std::uint8_t> samples(expected.samples.size());
    std::size_t block = 0;
    for (std::size_t y = 0; y < expected.height; y += 8)
      for (std::size_t x = 0; x < expected.width; x += 8, ++block)
        dct.inverse(coefficients.data() + 64 * block, quantization, samples.data() + y * expected.width + x,
                    expected.width);
    EXPECT_EQ(std::vector<std::uint16_t>(samples.begin(), samples.end()), expected.samples);
  });
}

INSTANTIATE_TEST_SUITE_P(KindsAndQualities, Dct,
                         testing::Values(std::pair{0, 1}, std::pair{0, 50}, std::pair{0, 90}, std::pair{0, 100},
                                         std::pair{1, 1}, std::pair{1, 75}, std::pair{1, 100}, std::pair{2, 25},
                                         std::pair{2, 95}, std::pair{2, 100}, std::pair{3, 50}, std::pair{3, 100},
                                         std::pair{4, 10}, std::pair{4, 85}, std::pair{4, 100}));

TEST(DctLimits, coefficients_that_nobody_writes_do_no_harm_and_are_the_same_everywhere) {
  std::mt19937 random(4);
  for (int round = 0; round < 200; ++round) {
    std::int16_t coefficients[64];
    jpeg::Quantization quantization;
    for (auto& value : coefficients) value = static_cast<std::int16_t>(random());
    for (auto& value : quantization) value = static_cast<std::uint16_t>(random() % 65535 + 1);
    std::vector<std::vector<std::uint8_t>> found;
    for_each_isa([&](const jpeg::Dct& dct) {
      found.emplace_back(64);
      dct.inverse(coefficients, quantization, found.back().data(), 8);
    });
    for (const auto& samples : found) ASSERT_EQ(samples, found[0]);
  }
}

TEST(DctLimits, quotients_are_those_of_integers) {
  // Flat blocks have one coefficient, eight times the shade: all quotients of all divisors can be had from them.
  for (unsigned divisor = 1; divisor <= 255; ++divisor) {
    jpeg::Quantization quantization;
    quantization.fill(static_cast<std::uint16_t>(divisor));
    const jpeg::Quantizer quantizer(quantization);
    for (int shade = 0; shade < 256; ++shade) {
      std::uint8_t samples[64];
      std::fill(std::begin(samples), std::end(samples), static_cast<std::uint8_t>(shade));
      std::int16_t found[64];
      jpeg::dct().forward(samples, 8, quantizer, found);
      const int value = 64 * (shade - 128);
      const int half = static_cast<int>(4 * divisor);
      const int expected = (std::abs(value) + half) / static_cast<int>(8 * divisor);
      ASSERT_EQ(found[0], value < 0 ? -expected : expected) << divisor << " " << shade;
    }
  }
}

TEST(Zigzag, is_the_way_of_the_standard) {
  const std::vector<int> first{0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48};
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(jpeg::k_natural_order[i], first[i]);
  std::array<int, 64> seen{};
  for (const auto place : jpeg::k_natural_order) ++seen[place];
  for (const int count : seen) EXPECT_EQ(count, 1);
  EXPECT_EQ(jpeg::k_natural_order[63], 63);
}

/// Codes of a table as text, made as the standard describes it.
std::vector<std::pair<unsigned, std::string>> codes_of(const jpeg::HuffmanTable& table) {
  std::vector<std::pair<unsigned, std::string>> codes;
  unsigned code = 0;
  std::size_t index = 0;
  for (unsigned length = 1; length <= 16; ++length, code *= 2)
    for (unsigned i = 0; i < table.counts[length - 1]; ++i, ++code) {
      std::string text;
      for (unsigned bit = length; bit-- > 0;) text += (code >> bit & 1) != 0 ? '1' : '0';
      codes.emplace_back(table.symbols[index++], text);
    }
  return codes;
}

std::uint64_t top_bits(std::string text) {
  text.resize(64, '0');
  return std::stoull(text, nullptr, 2);
}

/// The least that codes without a limit of length cost, counted by joining the two rarest again and again.
std::uint64_t cost_of_huffman(const jpeg::SymbolCounts& counts) {
  std::vector<std::uint64_t> weights;
  for (const auto count : counts)
    if (count > 0) weights.push_back(count);
  std::uint64_t cost = 0;
  while (weights.size() > 1) {
    std::sort(weights.rbegin(), weights.rend());
    const std::uint64_t two = weights.back() + weights[weights.size() - 2];
    weights.pop_back();
    weights.back() = two;
    cost += two;
  }
  return cost;
}

std::uint64_t cost_of(const jpeg::HuffmanTable& table, const jpeg::SymbolCounts& counts) {
  std::uint64_t cost = 0;
  for (const auto& [symbol, code] : codes_of(table)) cost += counts[symbol] * code.size();
  return cost;
}

jpeg::SymbolCounts some_counts(unsigned seed) {
  jpeg::SymbolCounts counts{};
  std::mt19937 random(seed);
  for (std::size_t i = 0; i < 256; ++i)
    if (random() % 4 != 0) counts[i] = 1 + (random() % 1000) * (random() % 1000) / (1 + i * i / 16);
  return counts;
}

TEST(BestTable, has_a_code_for_each_symbol_that_is_needed_and_none_of_all_ones) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto counts = some_counts(seed);
    const auto codes = codes_of(jpeg::best_table(counts));
    std::array<int, 256> seen{};
    for (const auto& [symbol, code] : codes) {
      ++seen[symbol];
      EXPECT_NE(code.find('0'), std::string::npos);
      for (const auto& other : codes) EXPECT_TRUE(other.first == symbol || !other.second.starts_with(code));
    }
    for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(seen[i], counts[i] > 0 ? 1 : 0);
  }
}

TEST(BestTable, costs_hardly_more_than_codes_of_any_length) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto counts = some_counts(seed);
    const auto least = cost_of_huffman(counts);
    const auto cost = cost_of(jpeg::best_table(counts), counts);
    EXPECT_GE(cost, least);
    EXPECT_LE(cost, least + least / 100);
  }
}

TEST(BestTable, keeps_to_sixteen_bits_where_huffman_would_not) {
  jpeg::SymbolCounts counts{};
  counts[0] = counts[1] = 1;
  for (std::size_t i = 2; i < 60; ++i) counts[i] = counts[i - 1] + counts[i - 2];  // the deepest tree there is
  const auto table = jpeg::best_table(counts);
  EXPECT_EQ(table.symbol_count, 60u);
  unsigned sum = 0;
  for (const auto count : table.counts) sum += count;
  EXPECT_EQ(sum, 60u);
  for (const auto& [symbol, code] : codes_of(table)) EXPECT_NE(code.find('0'), std::string::npos);
}

TEST(BestTable, of_one_symbol_or_none) {
  jpeg::SymbolCounts counts{};
  EXPECT_EQ(jpeg::best_table(counts).symbol_count, 0u);
  counts[7] = 3;
  const auto codes = codes_of(jpeg::best_table(counts));
  ASSERT_EQ(codes.size(), 1u);
  EXPECT_EQ(codes[0], std::pair(7u, std::string("0")));
}

/// Only symbols that are allowed: sizes up to 10, and the two that are zeros only.
jpeg::HuffmanTable ac_table(unsigned seed) {
  jpeg::SymbolCounts counts = some_counts(seed);
  for (std::size_t i = 0; i < 256; ++i)
    if (i % 16 > 10 || (i % 16 == 0 && i != 0 && i != 0xF0)) counts[i] = 0;
  for (const std::size_t i : {0x00, 0x01, 0x0A, 0xF0, 0xFA}) counts[i] += 1;
  return jpeg::best_table(counts);
}

TEST(HuffmanDecoder, finds_every_code_with_its_value) {
  std::mt19937 random(3);
  for (unsigned seed = 0; seed < 5; ++seed) {
    const auto table = ac_table(seed);
    const auto decoder = jpeg::HuffmanDecoder::make(table, jpeg::Coefficients::ac);
    ASSERT_TRUE(decoder.has_value());
    for (const auto& [symbol, code] : codes_of(table)) {
      const unsigned size = symbol & 15;
      std::string value;
      for (unsigned i = 0; i < size; ++i) value += random() % 2 != 0 ? '1' : '0';
      const std::uint64_t bits = top_bits(code + value + "1011");
      const jpeg::Symbol found = decoder->find(bits);
      EXPECT_EQ(found.byte, symbol);
      EXPECT_EQ(found.length, code.size());
      EXPECT_EQ(found.size, size);
      const unsigned step = symbol == 0 ? jpeg::k_end_of_block : (symbol >> 4) + 1;
      EXPECT_EQ(found.step, step);
      int expected = size == 0 ? 0 : std::stoi(value, nullptr, 2);
      if (size > 0 && value[0] == '0') expected -= (1 << size) - 1;
      const jpeg::Step with_value = decoder->find_step(bits);
      EXPECT_EQ(with_value.value, expected) << code << " " << value;
      EXPECT_EQ(with_value.total, code.size() + size);
      EXPECT_EQ(with_value.step, step);
    }
    EXPECT_EQ(decoder->find(~std::uint64_t{0}).length, 0) << "all ones is no code";
    EXPECT_EQ(decoder->find_step(~std::uint64_t{0}).total, 0);
  }
}

TEST(HuffmanDecoder, refuses_what_is_no_table_of_eight_bit_samples) {
  const auto make = [](std::array<std::uint8_t, 16> counts, std::vector<std::uint8_t> symbols,
                       jpeg::Coefficients kind) {
    jpeg::HuffmanTable table{.counts = counts};
    std::copy(symbols.begin(), symbols.end(), table.symbols.begin());
    table.symbol_count = symbols.size();
    return jpeg::HuffmanDecoder::make(table, kind).has_value();
  };
  EXPECT_TRUE(make({1, 1}, {0, 11}, jpeg::Coefficients::dc));
  EXPECT_FALSE(make({1, 1}, {0, 12}, jpeg::Coefficients::dc)) << "a difference of 12 bits";
  EXPECT_FALSE(make({3}, {0, 1, 2}, jpeg::Coefficients::dc)) << "three codes of one bit";
  EXPECT_FALSE(make({2, 1}, {0, 1, 2}, jpeg::Coefficients::dc)) << "no code is left";
  EXPECT_FALSE(make({1, 1}, {0}, jpeg::Coefficients::dc)) << "a symbol is missing";
  EXPECT_TRUE(make({1, 1}, {0x00, 0xFA}, jpeg::Coefficients::ac));
  EXPECT_FALSE(make({1, 1}, {0x00, 0xFB}, jpeg::Coefficients::ac)) << "a value of 11 bits";
  EXPECT_FALSE(make({1, 1}, {0x00, 0x30}, jpeg::Coefficients::ac)) << "three zeros and nothing";
  EXPECT_TRUE(make({}, {}, jpeg::Coefficients::ac)) << "as long as nobody needs it";
}

TEST(HuffmanEncoder, has_the_codes_of_its_table) {
  const auto table = ac_table(9);
  const jpeg::HuffmanEncoder encoder(table);
  std::size_t found = 0;
  for (const auto& [symbol, code] : codes_of(table)) {
    EXPECT_EQ(encoder.codes[symbol].length, code.size());
    EXPECT_EQ(encoder.codes[symbol].bits, std::stoul(code, nullptr, 2));
  }
  for (const auto& code : encoder.codes) found += code.length > 0;
  EXPECT_EQ(found, table.symbol_count);
}

TEST(BitWriter, writes_bits_stuffs_and_pads) {
  std::mt19937 random(12);
  for (int round = 0; round < 300; ++round) {
    FileBytes memory(4096);
    jpeg::BitWriter writer(memory.data());
    std::string text;
    for (auto i = random() % 200; i > 0; --i) {
      const auto count = static_cast<unsigned>(random() % 33);
      const std::uint64_t ones = (std::uint64_t{1} << count) - 1;
      const std::uint64_t value = (round % 2 == 0 ? random() : ~std::uint64_t{0}) & ones;
      writer.put(value, count);
      for (unsigned bit = count; bit-- > 0;) text += (value >> bit & 1) != 0 ? '1' : '0';
    }
    text.resize((text.size() + 7) / 8 * 8, '1');
    FileBytes expected;
    for (std::size_t i = 0; i < text.size(); i += 8) {
      expected.push_back(static_cast<std::byte>(std::stoul(text.substr(i, 8), nullptr, 2)));
      if (expected.back() == std::byte{0xFF}) expected.push_back(std::byte{0});
    }
    const std::byte* end = writer.finish();
    ASSERT_EQ(FileBytes(memory.data(), const_cast<std::byte*>(end)), expected);
  }
}

TEST(BitReader, gives_the_bits_from_anywhere) {
  std::mt19937 random(13);
  FileBytes memory(64 + jpeg::BitReader::k_padding_bytes);
  std::string text;
  for (std::size_t i = 0; i < 64; ++i) {
    memory[i] = static_cast<std::byte>(random());
    for (int bit = 7; bit >= 0; --bit)
      text += std::to_integer<unsigned>(memory[i] >> bit & std::byte{1}) != 0 ? '1' : '0';
  }
  for (std::size_t begin = 0; begin < 300; ++begin) {
    jpeg::BitReader reader(memory.data(), begin);
    std::size_t at = begin;
    while (at < 400) {
      reader.refill();
      ASSERT_EQ(reader.position(), at);
      ASSERT_EQ(reader.bits() >> 8, top_bits(text.substr(at, 56)) >> 8);
      const auto count = static_cast<unsigned>(random() % 56);
      reader.skip(count);
      at += count;
    }
    reader.seek(begin + 3);
    ASSERT_EQ(reader.position(), begin + 3);
  }
}

TEST(Cut, bands_are_whole_rows_of_mcus_and_intervals_fit) {
  for (const std::uint32_t width : {1u, 7u, 100u, 4000u, 5461u, 5462u, 30000u, 65500u})
    for (const std::uint32_t height : {1u, 96u, 97u, 3000u, 65500u})
      for (const unsigned v : {8u, 16u, 24u, 32u}) {
        const jpeg::Cut cut = jpeg::cut_into_bands(width, height, 16, v);
        if (cut.bands == 1) {
          EXPECT_EQ(cut.interval_mcus, 0u);
          EXPECT_GE(cut.rows, height);
          continue;
        }
        EXPECT_EQ(cut.rows % v, 0u);
        EXPECT_LT((cut.bands - 1) * cut.rows, height);
        EXPECT_GE(cut.bands * cut.rows, height);
        EXPECT_EQ(cut.interval_mcus, (width + 15) / 16 * (cut.rows / v));
        EXPECT_LE(cut.interval_mcus, 65535u);
        EXPECT_LE(cut.bands, jpeg::band_count(width, height));
      }
}

TEST(Cut, a_scan_keeps_the_interval_it_has) {
  for (const std::size_t blocks : {1u, 3u, 6u, 10u})
    for (const std::uint32_t mcus : {1u, 100u, 8192u, 8193u, 100'000u})
      for (const std::uint32_t interval : {0u, 1u, 7u, 500u, 8192u, 65535u}) {
        const jpeg::ScanCut cut = jpeg::cut_scan(mcus, blocks, interval);
        EXPECT_LE(cut.bands, jpeg::scan_bands_max(mcus, blocks));
        EXPECT_GE(std::uint64_t{cut.bands} * cut.band_mcus, mcus);
        EXPECT_LT(std::uint64_t{cut.bands - 1} * cut.band_mcus, mcus);
        if (interval != 0) {
          EXPECT_EQ(cut.interval_mcus, interval);
          EXPECT_EQ(cut.band_mcus % interval, 0u);
        } else {
          EXPECT_EQ(cut.interval_mcus, cut.bands > 1 ? cut.band_mcus : 0);
          EXPECT_LE(cut.interval_mcus, 65535u);
        }
      }
}

}  // namespace
}  // namespace histod::test
