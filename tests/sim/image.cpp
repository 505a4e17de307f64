// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/image.hpp"

#include <array>
#include <random>

#include "compute/arena.hpp"
#include "compute/equalize.hpp"
#include "compute/tally.hpp"
#include "daemon/tables_json.hpp"

namespace histod::sim {

namespace {

compute::Tally counted(std::string& samples) {
  static compute::Arena arena({.cpus = {}, .threads = 1});
  compute::EqualizePage page;
  page.image = {
      reinterpret_cast<std::byte*>(samples.data()), static_cast<std::uint32_t>(samples.size()), 1, samples.size(), {}};
  return compute::tally_of(std::span(&page, 1), {}, arena).value();
}

}  // namespace

std::string image(std::uint64_t seed, std::uint64_t number) {
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(seed * 7'919 + number + 1));
  std::string samples(6 + random() % 20, '\0');
  const auto darkest = static_cast<unsigned>(random() % 200);
  for (char& sample : samples) sample = static_cast<char>(darkest + random() % (256 - darkest));
  for (int i = 0; i < 4; ++i) samples[static_cast<std::size_t>(i)] = static_cast<char>(number >> (8 * i));
  return samples;
}

compute::Lut exact_table(std::string_view samples) {
  std::array<std::uint64_t, 256> counts{};
  for (const char sample : samples) ++counts[static_cast<std::uint8_t>(sample)];
  std::size_t first = 0;
  while (counts[first] == 0) ++first;
  const std::uint64_t others = samples.size() - counts[first];
  compute::Lut lut(256);
  std::uint64_t cdf = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    cdf += counts[i];
    if (i >= first && others > 0)
      lut[i] = static_cast<std::uint16_t>(((cdf - counts[first]) * 255 + others / 2) / others);
  }
  return lut;
}

std::string applied(std::string_view samples, const compute::Lut& table) {
  std::string out;
  for (const char sample : samples) out += static_cast<char>(table[static_cast<std::uint8_t>(sample)]);
  return out;
}

std::vector<std::byte> tally_of(std::string samples) { return counted(samples).to_bytes(); }

std::string digest_of(std::string all_samples) {
  return daemon::lut_digest(compute::make_tables(compute::Rule::exact, counted(all_samples)).value());
}

}  // namespace histod::sim
